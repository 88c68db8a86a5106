import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Saga

@Suite(.timeLimit(.minutes(1))) struct RoomIndexTests {
  private static let feeds = (0..<4).map { number in
    PublicKey(bytes: [UInt8](repeating: UInt8(number + 1), count: 32))!
  }

  private func entry(
    _ key: String, feed: Int, seq: UInt64, time: Int64? = 0, deletes: Bool = false
  ) -> RoomIndex.Entry {
    RoomIndex.Entry(
      key: Array("messages/\(key)".utf8), feed: Self.feeds[feed], seq: seq,
      timestamp: deletes ? nil : time, isDeletion: deletes)
  }

  private func index(_ entries: [RoomIndex.Entry]) -> RoomIndex {
    var index = RoomIndex()
    for entry in entries { _ = index.add(entry) }
    return index
  }

  /// A message of an index, as far as the index knows it.
  private struct Shown: Hashable {
    var place: Message.Place
    var seq: UInt64
    var isEdited: Bool
    var sharesKey: Bool
  }

  private func shown(_ index: RoomIndex) -> [Shown] {
    var place = index.order.start
    var all: [Shown] = []
    while let number = index.order.next(&place) {
      let record = index.record(number)
      let id = Message.ID(
        keyBytes: index.keys.key(record.key) ?? [], feed: index.feed(of: record))
      all.append(
        Shown(
          place: Message.Place(timestamp: record.timestamp, id: id), seq: record.seq,
          isEdited: record.isEdited, sharesKey: index.sharesKey(number)))
    }
    return all
  }

  private func seqs(_ index: RoomIndex) -> [UInt64] { shown(index).map(\.seq) }

  @Test func `what a feed wrote is taken out, and counts as new if it comes back`() {
    var index = index([
      entry("a", feed: 0, seq: 1, time: 1), entry("a", feed: 1, seq: 1, time: 2),
      entry("b", feed: 1, seq: 2, time: 3), entry("b", feed: 1, seq: 3, time: 4),
      entry("c", feed: 1, seq: 4, deletes: true), entry("d", feed: 1, seq: 5, deletes: true),
      entry("e", feed: 2, seq: 7, time: 5),
    ])
    let before = shown(index)
    #expect(index.remove(Self.feeds[3]) == [])
    #expect(index.remove(Self.feeds[1]) == [1, 2])
    #expect(seqs(index) == [1, 7])
    #expect(!index.sharesKey(0))
    #expect(index.newest(of: Self.feeds[1]) == nil)
    #expect(index.records.count { $0.hasEntry } == 2)
    #expect(index.remove(Self.feeds[1]) == [])
    #expect(index.add(entry("a", feed: 1, seq: 1, time: 2)) == .added(1))
    #expect(index.add(entry("b", feed: 1, seq: 2, time: 3)) == .added(2))
    #expect(index.add(entry("b", feed: 1, seq: 3, time: 4)) == .edited(2))
    #expect(index.add(entry("c", feed: 1, seq: 4, deletes: true)) == .none)
    #expect(shown(index) == before)
  }

  @Test func `a room has numbers for far more feeds than it has places`() {
    var index = RoomIndex()
    for number in 0..<5_000 {
      var bytes = [UInt8](repeating: 9, count: 32)
      (bytes[0], bytes[1]) = (UInt8(number >> 8), UInt8(number & 255))
      let feed = PublicKey(bytes: bytes)!
      let entry = RoomIndex.Entry(
        key: Array("messages/\(number)".utf8), feed: feed, seq: 1 << 44, timestamp: 0,
        isDeletion: false)
      #expect(index.add(entry) == .added(UInt32(number)))
      #expect(index.record(UInt32(number)).seq == 1 << 44)
      if number.isMultiple(of: 100) { #expect(index.remove(feed) == [UInt32(number)]) }
    }
    #expect(index.count == 4_950)
    // A file has none of those that lost their place.
    let file = RoomIndexFile(MemoryStorage(), .messages)
    #expect(throws: Never.self) { try file.write(index, [:]) }
    let stored = file.read()?.index
    #expect(stored?.feeds.count == 4_950)
    #expect(stored.map(shown) == shown(index))
  }

  @Test func `a feed's later entry is an edit, another feed's is a message of its own`() {
    var index = RoomIndex()
    #expect(index.add(entry("a", feed: 1, seq: 1)) == .added(0))
    #expect(index.add(entry("a", feed: 1, seq: 2)) == .edited(0))
    #expect(!index.sharesKey(0))
    #expect(index.add(entry("a", feed: 0, seq: 9)) == .added(1))
    #expect(shown(index).map(\.isEdited) == [false, true])
    #expect(shown(index).map(\.sharesKey) == [true, true])
    #expect(index.sharing(0) == [1] && index.sharing(1) == [0])
  }

  @Test func `a deletion removes the feed's own message alone`() {
    var index = index([entry("a", feed: 1, seq: 1), entry("a", feed: 2, seq: 1)])
    #expect(index.add(entry("a", feed: 0, seq: 1, deletes: true)) == .none)
    #expect(seqs(index) == [1, 1])
    #expect(index.add(entry("a", feed: 1, seq: 4, deletes: true)) == .removed(0, seq: 1))
    #expect(shown(index).map(\.place.id.feed) == [Self.feeds[2]])
    #expect(shown(index).map(\.sharesKey) == [false])
    #expect(index.add(entry("a", feed: 1, seq: 5)) == .added(0))
    #expect(shown(index).map(\.isEdited) == [true, false])
  }

  @Test func `an entry that is neither text nor deletion changes nothing`() {
    var index = index([entry("a", feed: 1, seq: 1)])
    #expect(index.add(entry("a", feed: 1, seq: 2, time: nil)) == .unreadable)
    #expect(index.add(entry("b", feed: 1, seq: 3, time: nil)) == .unreadable)
    #expect(seqs(index) == [1])
  }

  @Test func `messages come by time, then key, then feed`() {
    let index = index([
      entry("b", feed: 0, seq: 1, time: 7), entry("a", feed: 2, seq: 2, time: 7),
      entry("a", feed: 1, seq: 3, time: 7), entry("a/10", feed: 1, seq: 4, time: 7),
      entry("a/9", feed: 1, seq: 5, time: 7), entry("c", feed: 0, seq: 6, time: 5),
      entry("d", feed: 0, seq: 7, time: 9), entry("é", feed: 0, seq: 8, time: .max),
    ])
    #expect(seqs(index) == [6, 3, 2, 4, 5, 1, 7, 8])
    #expect(shown(index).map(\.place) == shown(index).map(\.place).sorted())
  }

  @Test func `two spellings of a character are two keys`() {
    let index = index([
      entry("\u{e9}", feed: 0, seq: 1), entry("e\u{301}", feed: 0, seq: 2),
    ])
    #expect(shown(index).map { $0.place.id.keyBytes.count } == [12, 11])
    #expect(shown(index).allSatisfy { !$0.sharesKey && !$0.isEdited })
  }

  @Test func `keys are kept whole, long ones by a hash`() {
    var keys = KeyTable()
    var compact: [CompactKey] = []
    let all = (0..<120).flatMap { count in
      ["", "x", "/", "/1"].map { Array((String(repeating: "k", count: count) + $0).utf8) }
    }
    for key in Set(all) {
      guard let one = keys.insert(key) else {
        Issue.record("a key was refused")
        return
      }
      #expect(keys.find(key) == one && !compact.contains(one))
      #expect(keys.compare(one, key) == 0)
      if key.count <= 64 { #expect(keys.key(one) == key) }
      if let whole = keys.key(one) { #expect(whole == key) }
      compact.append(one)
    }
    #expect(keys.find(Array("messages/never/1".utf8)) == nil)
    let counted = (0..<2_000).compactMap { keys.insert(Array("messages/one-process/\($0)".utf8)) }
    #expect(Set(counted.map(\.beginning)).count == 1 && Set(counted).count == 2_000)
    #expect(MemoryLayout<RoomIndex.Record>.stride == 32)
  }

  @Test(arguments: testSeeds(standard: 200))
  func `the order of arrival does not matter`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var entries: [RoomIndex.Entry] = []
    var next: [UInt64] = [1, 1, 1]
    for _ in 0..<40 {
      let feed = Int.random(in: 0..<3, using: &random)
      let time = random.chance(0.1) ? nil : Int64.random(in: 0..<6, using: &random)
      entries.append(
        entry(
          "k\(Int.random(in: 0..<5, using: &random))", feed: feed, seq: next[feed], time: time,
          deletes: random.chance(0.2)))
      next[feed] += 1
    }
    // The rule in its simplest form: of each key of each feed the newest entry with a meaning.
    var newest: [Message.ID: [RoomIndex.Entry]] = [:]
    for entry in entries where entry.timestamp != nil || entry.isDeletion {
      newest[Message.ID(keyBytes: entry.key, feed: entry.feed), default: []].append(entry)
    }
    let live = newest.filter { !$0.value[$0.value.count - 1].isDeletion }
    let expected = live.map { id, entries in
      Shown(
        place: .init(timestamp: entries[entries.count - 1].timestamp ?? 0, id: id),
        seq: entries[entries.count - 1].seq,
        isEdited: entries.count { !$0.isDeletion } > 1,
        sharesKey: live.keys.contains { $0.keyBytes == id.keyBytes && $0.feed != id.feed })
    }.sorted { $0.place < $1.place }
    for round in 0..<6 {
      let shuffled = round == 0 ? entries : entries.shuffled(using: &random)
      #expect(shown(index(shuffled)) == expected, "SEED=\(seed)")
    }
  }

  @Test(arguments: testSeeds(standard: 50))
  func `at any moment the index has what its changes say, and finds it`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var index = RoomIndex()
    var told: [UInt32: UInt64] = [:]
    for step in 1...1_500 as ClosedRange<UInt64> {
      let feed = Int.random(in: 0..<3, using: &random)
      // Most new ones come last.
      let time = random.chance(0.4) ? Int64.random(in: 0..<60, using: &random) : Int64(step)
      let entry = entry(
        "k\(Int.random(in: 0..<400, using: &random))", feed: feed, seq: step, time: time,
        deletes: random.chance(0.2))
      switch index.add(entry) {
      case .added(let number):
        #expect(told[number] == nil, "SEED=\(seed)")
        told[number] = step
      case .edited(let number):
        #expect(told[number] != nil, "SEED=\(seed)")
        told[number] = step
      case .removed(let number, let seq):
        #expect(told.removeValue(forKey: number) == seq, "SEED=\(seed)")
      case .none, .unreadable: break
      }
      #expect(index.count == told.count, "SEED=\(seed)")
    }
    let all = shown(index)
    #expect(all.map(\.place) == all.map(\.place).sorted(), "SEED=\(seed)")
    #expect(Set(all.map(\.seq)) == Set(told.values), "SEED=\(seed)")
    for (position, one) in all.enumerated() {
      var place = index.place(of: one.place)
      #expect(index.order.position(of: place) == position, "SEED=\(seed)")
      #expect(index.order.place(at: position) == place, "SEED=\(seed)")
      #expect(index.order.next(&place).map { index.record($0).seq } == one.seq, "SEED=\(seed)")
      #expect(index.find(one.place.id).map { index.record($0).seq } == one.seq, "SEED=\(seed)")
    }
    for feed in Self.feeds.prefix(3) {
      let last = all.last { $0.place.id.feed == feed }
      #expect(index.newest(of: feed).map { index.record($0).seq } == last?.seq, "SEED=\(seed)")
      #expect(
        index.feeds.first { $0.key == feed }?.count == all.count { $0.place.id.feed == feed })
    }
  }

  @Test func `edits and deletions cost no more in a large room`() {
    let count = 10_000
    var index = RoomIndex()
    var seq: UInt64 = 0
    func pass(deletes: Bool = false, time: (Int) -> Int64) {
      for number in 0..<count {
        seq += 1
        _ = index.add(
          entry("\(number)", feed: 0, seq: seq, time: time(number), deletes: deletes))
      }
    }
    pass { Int64($0) }
    pass { Int64($0) }
    pass { Int64(-$0) }
    #expect(shown(index).first?.place.id.key == "messages/\(count - 1)")
    for round in 1...3 { pass { Int64(round * count + $0) } }
    #expect(shown(index).first?.place.id.key == "messages/0")
    #expect(index.count == count)
    pass(deletes: true) { _ in 0 }
    #expect(index.count == 0 && index.records.count == count)
  }

  @Test func `a flood evicts the texts of its own writer alone`() {
    var recent = RecentTexts(limit: 100_000)
    let short = MessageContent(text: "short", username: "ana", timestamp: 1)
    for record in 0..<20 as Range<UInt32> { recent.keep(short, of: record, feed: 0, at: 1) }
    let long = MessageContent(
      text: String(repeating: "x", count: 10_000), username: "eve", timestamp: 1)
    for record in 100..<4_100 as Range<UInt32> {
      recent.keep(long, of: record, feed: 1, at: 1)
      #expect(recent.byteCount <= 100_000)
    }
    #expect((0..<20).allSatisfy { recent.content($0, at: 1) != nil })
    #expect(recent.content(4_099, at: 1) != nil && recent.content(100, at: 1) == nil)
    #expect(recent.content(4_099, at: 2) == nil)
    // One message that is edited again and again.
    for seq in 0..<10_000 as Range<UInt64> { recent.keep(short, of: 7, feed: 0, at: seq) }
    #expect(recent.content(7, at: 9_999) != nil && recent.content(6, at: 1) != nil)
    #expect(recent.queuedCount < 200)
    for record in 0..<4_100 as Range<UInt32> { recent.remove(record) }
    #expect(recent.byteCount == 0)
  }
}
