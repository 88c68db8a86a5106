import DatTesting
import HypercoreCrypto
import Testing

@testable import Saga

@Suite struct MessageLogTests {
  private static let feeds = (0..<4).map { number in
    PublicKey(bytes: [UInt8](repeating: UInt8(number + 1), count: 32))!
  }

  private func entry(
    _ key: String, feed: Int, seq: UInt64, clock: [UInt64], _ text: String?, deletes: Bool = false,
    time: Int64 = 0
  ) -> MessageLog.Entry {
    MessageLog.Entry(
      key: "messages/\(key)", feed: Self.feeds[feed], feedNumber: feed, seq: seq, clock: clock,
      content: text.map { MessageContent(text: $0, username: "u\(feed)", timestamp: time) },
      isDeletion: deletes)
  }

  private func log(_ entries: [MessageLog.Entry]) -> MessageLog {
    var log = MessageLog()
    for entry in entries { _ = log.add(entry) }
    return log
  }

  @Test func `the author's later value is an edit, another's a conflict that is not shown`() {
    let first = entry("a", feed: 1, seq: 1, clock: [0, 2], "first")
    let edit = entry("a", feed: 1, seq: 2, clock: [0, 3], "edited")
    let foreign = entry("a", feed: 0, seq: 5, clock: [6, 3], "taken over")
    var log = MessageLog()
    let added = log.add(first)
    #expect(added.count == 1)
    guard case .edited(let edited)? = log.add(edit).first else {
      Issue.record("no edit")
      return
    }
    #expect(edited.text == "edited" && edited.isEdited)
    guard case .conflicted(let conflicted)? = log.add(foreign).first else {
      Issue.record("no conflict")
      return
    }
    #expect(conflicted.text == "edited" && conflicted.isConflicted)
    #expect(log.messages.count == 1)
  }

  @Test func `a key that is overwritten without end costs no more each time`() {
    var log = MessageLog()
    for seq in 1...20_000 as ClosedRange<UInt64> {
      let feed = Int(seq % 2)
      _ = log.add(entry("a", feed: feed, seq: seq, clock: [seq, seq], "text \(seq)"))
      _ = log.add(entry("b", feed: feed, seq: seq, clock: [seq, seq], nil))
    }
    #expect(log.messages.map(\.text) == ["text 19999"])
    #expect(log.messages.first?.isEdited == true && log.messages.first?.isConflicted == true)
    #expect(log.add(entry("a", feed: 1, seq: 30_000, clock: [], nil, deletes: true)).count == 1)
    #expect(log.count == 0)
  }

  @Test func `of two firsts that did not know each other the lowest feed's is shown and flagged`() {
    let one = entry("a", feed: 2, seq: 1, clock: [0, 0, 2], "from two")
    let other = entry("a", feed: 1, seq: 1, clock: [0, 2], "from one")
    for order in [[one, other], [other, one]] {
      let message = log(order).messages.first
      #expect(message?.text == "from one")
      #expect(message?.isConflicted == true)
    }
  }

  @Test func `the causally first entry is shown though it arrives last, whatever the feeds' order`()
  {
    let first = entry("a", feed: 3, seq: 1, clock: [0, 0, 0, 2], "first")
    let later = entry("a", feed: 0, seq: 9, clock: [10, 0, 0, 2], "later")
    #expect(log([later, first]).messages.map(\.text) == ["first"])
  }

  @Test func `the author's deletion removes a message, another's does not`() {
    let first = entry("a", feed: 1, seq: 1, clock: [0, 2], "text")
    let foreign = entry("a", feed: 0, seq: 1, clock: [2, 2], nil, deletes: true)
    #expect(log([first, foreign]).messages.count == 1)
    let own = entry("a", feed: 1, seq: 2, clock: [2, 3], nil, deletes: true)
    #expect(log([first, foreign, own]).messages.isEmpty)
    #expect(log([own, foreign, first]).messages.isEmpty)
  }

  @Test func `a value that is no message is told and skipped`() {
    var log = MessageLog()
    let bad = entry("a", feed: 1, seq: 1, clock: [0, 2], nil)
    let changes = log.add(bad)
    #expect(changes == [.unreadable(key: "messages/a", feed: Self.feeds[1])])
    #expect(log.messages.isEmpty)
  }

  @Test func `messages come by time, then key`() {
    let entries = [
      entry("b", feed: 0, seq: 1, clock: [2], "3", time: 7),
      entry("a", feed: 0, seq: 2, clock: [3], "2", time: 7),
      entry("c", feed: 0, seq: 3, clock: [4], "1", time: 5),
      entry("d", feed: 0, seq: 4, clock: [5], "4", time: 9),
    ]
    #expect(log(entries).messages.map(\.text) == ["1", "2", "3", "4"])
  }

  @Test(arguments: testSeeds(standard: 200))
  func `the order of arrival does not matter`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    // Writers that write, edit, delete and take over under few keys, knowing more or less.
    var known = [[UInt64]](repeating: [0, 0, 0], count: 3)
    var entries: [MessageLog.Entry] = []
    for step in 0..<30 {
      let feed = Int.random(in: 0..<3, using: &random)
      if random.chance(0.3) {
        let other = Int.random(in: 0..<3, using: &random)
        for place in 0..<3 { known[feed][place] = max(known[feed][place], known[other][place]) }
      }
      known[feed][feed] = max(known[feed][feed], 1)
      let seq = known[feed][feed]
      known[feed][feed] += 1
      let deletes = random.chance(0.15)
      entries.append(
        entry(
          "k\(Int.random(in: 0..<4, using: &random))", feed: feed, seq: seq, clock: known[feed],
          deletes || random.chance(0.1) ? nil : "text \(step)", deletes: deletes,
          time: Int64.random(in: 0..<10, using: &random)))
    }
    let expected = log(entries).messages
    for _ in 0..<5 {
      #expect(log(entries.shuffled(using: &random)).messages == expected, "seed \(seed)")
    }
  }

  @Test(arguments: testSeeds(standard: 200))
  func `at any moment the messages are those that the changes told of, in order`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var log = MessageLog()
    // What somebody has who follows the changes.
    var told: [String: Message] = [:]
    var times: [Int: Int64] = [:]
    var known = [[UInt64]](repeating: [1, 1, 1], count: 3)
    let steps = 300
    for step in 1...steps {
      let feed = Int.random(in: 0..<3, using: &random)
      if random.chance(0.5) {
        let other = Int.random(in: 0..<3, using: &random)
        for place in 0..<3 { known[feed][place] = max(known[feed][place], known[other][place]) }
      }
      let seq = known[feed][feed]
      known[feed][feed] += 1
      let number = Int.random(in: 0..<30, using: &random)
      // Most edits keep their time, and most messages that are new come last.
      var time = times[number] ?? Int64(step)
      if random.chance(0.4) { time = Int64.random(in: 0..<60, using: &random) }
      times[number] = time
      let deletes = random.chance(0.2)
      let isNone = deletes || random.chance(0.05)
      let changes = log.add(
        entry(
          "k\(number)", feed: feed, seq: seq, clock: known[feed], isNone ? nil : "text \(step)",
          deletes: deletes, time: time))
      for change in changes {
        switch change {
        case .added(let message), .edited(let message), .conflicted(let message):
          told[message.key] = message
        case .removed(let message): told[message.key] = nil
        case .unreadable: break
        }
      }
      #expect(log.count == told.count, "SEED=\(seed)")
      #expect(log["messages/k\(number)"] == told["messages/k\(number)"], "SEED=\(seed)")
      guard step == steps || random.chance(0.1) else { continue }
      if random.chance(0.5) { log.sortIn() }
      let expected = told.values.sorted { ($0.timestamp, $0.key) < ($1.timestamp, $1.key) }
      #expect(log.messages == expected, "SEED=\(seed)")
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func `edits and deletions cost no more in a large room`() {
    let count = 10_000
    var log = MessageLog()
    var seq: UInt64 = 0
    func pass(_ text: String?, time: (Int) -> Int64) {
      for number in 0..<count {
        seq += 1
        _ = log.add(
          entry(
            "\(number)", feed: 0, seq: seq, clock: [seq + 1], text, deletes: text == nil,
            time: time(number)))
      }
    }
    pass("first") { Int64($0) }
    pass("same time") { Int64($0) }
    #expect(log.messages.map(\.text) == [String](repeating: "same time", count: count))
    pass("backwards") { Int64(-$0) }
    pass("backwards again") { Int64(-$0) }
    #expect(log.messages.first?.key == "messages/\(count - 1)")
    // Each of them later than all, so that it comes last.
    for round in 1...3 { pass("later") { Int64(round * count + $0) } }
    #expect(log.messages.first?.key == "messages/0")
    #expect(log.messages.map(\.text) == [String](repeating: "later", count: count))
    pass(nil) { _ in 0 }
    #expect(log.count == 0 && log.messages.isEmpty)
  }

  @Test func `a message keeps the spelling of its key`() {
    let spellings = ["\u{e9}", "e\u{301}"]
    for (first, second) in zip(spellings, spellings.reversed()) {
      var log = log([
        entry("f", feed: 0, seq: 1, clock: [2], "last"),
        entry(first, feed: 0, seq: 2, clock: [3], "one"),
        entry("a", feed: 0, seq: 3, clock: [4], "first"),
      ])
      // An edit that keeps the time, and one that does not.
      for (seq, time) in [(4, 0), (5, 9)] as [(UInt64, Int64)] {
        _ = log.add(entry(second, feed: 0, seq: seq, clock: [seq + 1], "edited", time: time))
        let shown = log.messages.filter(\.isEdited)
        #expect(log.count == 3 && log.messages.count == 3)
        #expect(shown.map { Array($0.key.utf8) } == [Array("messages/\(first)".utf8)])
      }
      #expect(log.messages.last?.text == "edited")
    }
  }
}
