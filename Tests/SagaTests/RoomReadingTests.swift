import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

@Suite(.timeLimit(.minutes(1))) struct RoomReadingTests {
  private func room(_ count: Int, text: (Int) -> String) async throws -> Saga {
    let saga = try await Saga.open(storage: MemoryStorage(), username: "Ána")
    try await write(count, to: saga, text: text)
    return saga
  }

  /// Writes messages into an empty room, and returns when it has them.
  private func write(_ count: Int, to saga: Saga, text: (Int) -> String) async throws {
    let changes = (0..<count).map { number in
      let content = MessageContent(
        text: text(number), username: "Ána", timestamp: Int64(1_000 + number))
      return HyperDB.BatchChange.put(
        "messages/a/\(number)", content.value(key: "messages/a/\(number)"))
    }
    for start in stride(from: 0, to: count, by: 500) {
      try await saga.db.batch(Array(changes[start..<min(start + 500, count)]))
    }
    while await saga.messageCount < count { await Task.yield() }
  }

  @Test func `events are taken one at a time, too, each once and in order`() async throws {
    let saga = try await room(600) { "\($0)" }
    let events = saga.events()
    var texts: [String] = []
    reading: while let event = await events.next() {
      switch event {
      case .message(let message): texts.append(message.text)
      case .ready: break reading
      default: break
      }
    }
    #expect(texts == (0..<600).map { "\($0)" })
    await saga.close()
    #expect(await events.next() == nil)
  }

  @Test func `large texts are handed over some at a time, those that came later as well`()
    async throws
  {
    let saga = try await room(0) { _ in "" }
    let events = saga.events()
    while let event = await events.next(), event != .ready {}
    let text = String(repeating: "x", count: 60_000)
    try await write(100, to: saga) { _ in text }
    for reader in [events.reader, saga.events().reader] {
      var messages = 0
      var most = 0
      while messages < 100 {
        let some = try #require(await saga.nextEvents(reader))
        let bytes = some.reduce(0) { sum, event in
          if case .message(let message) = event { sum + message.text.utf8.count } else { sum }
        }
        most = max(most, bytes)
        messages += bytes / text.utf8.count
      }
      #expect(messages == 100)
      // Of what waits 16 are taken together.
      #expect(most < 1 << 20 + 16 * 60_000)
    }
    await saga.close()
  }

  @Test func `pages go back and forth without gap or overlap`() async throws {
    let saga = try await room(253) { "\($0)" }
    let all = await saga.messages
    var back: [Message] = []
    var page = await saga.messages(limit: 20)
    while let first = page.first {
      back = page + back
      page = await saga.messages(before: first.place, limit: 20)
    }
    #expect(back == all && all.count == 253)
    var forth: [Message] = []
    page = await saga.messages(after: nil, limit: 20)
    while let last = page.last {
      forth += page
      page = await saga.messages(after: last.place, limit: 20)
    }
    #expect(forth == all)
    let around = try #require(await saga.page(.around(all[100].id), limit: 11))
    #expect(around.messages == Array(all[95...105]) && !around.isStart && !around.isEnd)
    #expect(await saga.page(.around(.init(key: "none", feed: saga.key)), limit: 5) == nil)
    #expect(await saga.page(.newest, limit: 1_000)?.messages.count == 253)
    #expect(
      await saga.page(.oldest, limit: 0) == MessagePage(messages: [], isStart: true, isEnd: false))
    #expect(await saga.page(.newest, limit: -1)?.messages == [])
    // A place stays valid after its message has gone.
    try await saga.delete(all[50].id)
    #expect(await saga.messages(before: all[50].place, limit: 1) == [all[49]])
    #expect(await saga.messages(after: all[50].place, limit: 1) == [all[51]])
    #expect(await saga.messageCount(after: all[249].place, without: []) == 3)
    #expect(await saga.messageCount(after: nil, without: [saga.key]) == 0)
    #expect(await saga.latestMessage(without: []) == all[252])
    #expect(await saga.latestMessage(without: [saga.key]) == nil)
    #expect(
      await saga.authors == [Author(feed: saga.key, username: "Ána", messages: 252, last: 1_252)])
    await saga.close()
  }

  @Test func `a search finds the newest first, whatever case and accents, and is left at any time`()
    async throws
  {
    let saga = try await room(2_000) { $0 % 100 == 7 ? "Überall CAFÉ \($0)" : "nothing \($0)" }
    var found: [String] = []
    for await message in saga.search("cafe") { found.append(message.text) }
    #expect(
      found.count == 20 && found.first == "Überall CAFÉ 1907" && found.last == "Überall CAFÉ 7")
    for await message in saga.search("ÜBERALL").prefix(1) {
      #expect(message.text.hasSuffix("1907"))
    }
    var byName = 0
    for await _ in saga.search("ana") { byName += 1 }
    #expect(byName == 2_000)
    let third = await saga.messages[1_707]
    var before: [String] = []
    for await message in saga.search("café", before: third.place).prefix(1) {
      before.append(message.text)
    }
    #expect(before == ["Überall CAFÉ 1607"])
    for await _ in saga.search("cafe", without: [saga.key]) { Issue.record("one that is left out") }
    for await _ in saga.search("\u{301}") { Issue.record("marks alone are nothing to look for") }
    let task = Task {
      var count = 0
      for await _ in saga.search("nothing") {
        count += 1
        withUnsafeCurrentTask { $0?.cancel() }
      }
      return count
    }
    #expect(await task.value == 1)
    await saga.close()
    for await _ in saga.search("cafe") { Issue.record("a closed room was searched") }
  }

  @Test func `marks and letters without end cost a search no more than their bytes`() async throws {
    let marks = "caf" + String(repeating: "\u{301}", count: 20_000) + "e"
    let saga = try await room(40) { _ in marks }
    var found = 0
    for await message in saga.search("cafe") {
      #expect(message.text.utf8.count == marks.utf8.count)
      found += 1
    }
    #expect(found == 40)
    for await _ in saga.search("cafx") { Issue.record("found") }
    await saga.close()
  }

  @Test func `where the words begin is told in bytes`() {
    #expect(SearchPattern("see")?.firstMatch(in: "Ein Café am SEE") == 13)
    #expect(SearchPattern("am")?.firstMatch(in: "EIN AM") == 4)
    #expect(SearchPattern("é")?.firstMatch(in: "xxe\u{301}") == 2)
    #expect(SearchPattern("Ж")?.firstMatch(in: "aж") == 1)
    #expect(SearchPattern("") == nil)
    #expect(SearchPattern("abc")?.firstMatch(in: "ab") == nil)
  }

  // MARK: Readers of events

  @Test func `a reader that leaves early, or never reads, leaves nothing behind`() async throws {
    let saga = try await room(10) { "\($0)" }
    for _ in 0..<50 {
      for await _ in saga.events() { break }
      _ = saga.events()
      let task = Task { for await _ in saga.events(stored: .none) {} }
      task.cancel()
      await task.value
    }
    #expect(saga.broadcast.isEmpty)
    await saga.close()
  }

  @Test func `what waits for a slow reader is a name for each message, however often it changes`()
    async throws
  {
    let saga = try await room(10) { "\($0)" }
    let events = saga.events(stored: .none)
    let large = String(repeating: "x", count: 60_000)
    var ids: [Message.ID] = []
    for number in 0..<20 { ids.append(try await saga.writeMessage("\(number) \(large)")) }
    for round in 0..<20 { for id in ids { try await saga.edit(id, to: "\(round) \(large)") } }
    try await saga.delete(ids[0])
    let old = await saga.messages[0]
    for _ in 0..<50 { try await saga.edit(old.id, to: "edited") }
    #expect((saga.broadcast.pendingCounts.first ?? 0) <= 22)
    #expect(await saga.recent.byteCount <= RecentTexts.byteLimit)
    var told: [SagaEvent] = []
    for await event in events {
      told.append(event)
      if case .edit = event { break }
    }
    let texts = told.compactMap { if case .message(let message) = $0 { message.text } else { nil } }
    #expect(texts == [String](repeating: "19 \(large)", count: 19))
    guard case .edit(let edited)? = told.last else { return }
    #expect(edited.id == old.id && edited.text == "edited")
    await saga.close()
  }

  @Test func `a reader is told the newest that are stored, then what comes, and nothing twice`()
    async throws
  {
    let saga = try await room(100) { "\($0)" }
    let events = saga.events(stored: .newest(3))
    // It comes before the reading begins, so it is one of the newest then.
    try await saga.writeMessage("new")
    var told: [String] = []
    reading: for await event in events {
      switch event {
      case .message(let message): told.append(message.text)
      case .ready:
        told.append("ready")
        try await saga.writeMessage("newer")
      default: break
      }
      if told.last == "newer" { break reading }
    }
    #expect(told == ["98", "99", "new", "ready", "newer"])
    await saga.close()
  }

  @Test(arguments: testSeeds(standard: 30))
  func `who follows the changes has what is in the room`(seed: UInt64) async throws {
    var random = SeededRandom(seed: seed)
    let saga = try await room(5) { "\($0)" }
    var iterator = saga.events().makeAsyncIterator()
    var known: [Message.ID: Message] = [:]
    stored: while let event = await iterator.next() {
      switch event {
      case .message(let message): known[message.id] = message
      case .ready: break stored
      default: break
      }
    }
    for step in 0..<60 {
      let messages = await saga.messages
      switch Int.random(in: 0..<4, using: &random) {
      case 0, 1: try await saga.writeMessage("step \(step)")
      case 2:
        if let one = messages.randomElement(using: &random) {
          try await saga.edit(one.id, to: "edit \(step)")
        }
      default:
        if let one = messages.randomElement(using: &random) { try await saga.delete(one.id) }
      }
      // Now and then the reader reads everything that waits, up to a message that comes last.
      guard random.chance(0.15) || step == 59 else { continue }
      let last = try await saga.writeMessage("last of \(step)")
      reading: while let event = await iterator.next() {
        switch event {
        case .message(let message), .edit(let message):
          known[message.id] = message
          if message.id == last { break reading }
        case .removal(let message):
          #expect(known.removeValue(forKey: message.id) != nil, "SEED=\(seed)")
        default: break
        }
      }
      #expect(Set(known.values) == Set(await saga.messages), "SEED=\(seed)")
    }
    await saga.close()
  }
}
