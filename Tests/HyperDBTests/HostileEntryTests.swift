import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

struct HostileEntryTests {
  private func trie(_ numbers: UInt64...) -> [UInt8] {
    var bytes: [UInt8] = []
    for var number in numbers {
      while number >= 0x80 {
        bytes.append(UInt8(number & 0x7f) | 0x80)
        number >>= 7
      }
      bytes.append(UInt8(number))
    }
    return bytes
  }

  @Test func `an entry that can't be read is reported and hides nothing`() throws {
    let huge: UInt64 = 1 << 53
    let cases: [(String, HyperDBError.Code, (inout EntryMessage) -> Void)] = [
      ("trie cut short", .malformedEntry, { $0.trie = [0, 1] }),
      ("trie of junk", .malformedEntry, { $0.trie = Array(repeating: 0xff, count: 100) }),
      ("trie digit 5", .malformedEntry, { $0.trie = self.trie(0, 32, 0, 1) }),
      ("trie out of order", .malformedEntry, { $0.trie = self.trie(5, 1, 0, 1, 5, 1, 0, 1) }),
      ("trie at 2^52", .malformedEntry, { $0.trie = self.trie(1 << 52, 1, 0, 1) }),
      ("trie to feed 7", .malformedEntry, { $0.trie = self.trie(0, 1, 14, 1) }),
      ("trie to a header", .malformedEntry, { $0.trie = self.trie(0, 1, 0, 0) }),
      ("trie to itself", .malformedEntry, { $0.trie = self.trie(0, 1, 2, 2) }),
      ("trie to its future", .malformedEntry, { $0.trie = self.trie(0, 1, 2, 1 << 40) }),
      ("seq over 2^53", .malformedEntry, { $0.trie = self.trie(0, 1, 0, huge) }),
      ("clock over 2^53", .malformedEntry, { $0.clock = [huge, huge] }),
      ("clock of 300", .missingFeedMappings, { $0.clock = Array(repeating: 1, count: 300) }),
      ("clock too long", .missingFeedMappings, { $0.clock = [1, 3, 9] }),
      ("inflate in the future", .malformedFeedList, { $0.inflate = 1 << 50 }),
      ("inflate 0", .malformedFeedList, { $0.inflate = 0 }),
      ("no inflate", .malformedFeedList, { $0.inflate = nil }),
      ("inflate without list", .malformedFeedList, { $0.inflate = 2 }),
      (
        "5,000 feeds", .malformedEntry,
        { message in
          message.inflate = 2
          message.feeds = (0..<5000).map {
            [UInt8($0 & 255), UInt8($0 >> 8)] + Array(repeating: 1, count: 30)
          }
        }
      ),
      (
        "a feed twice", .malformedFeedList,
        { message in
          message.inflate = 2
          message.feeds = [Array(repeating: 1, count: 32), Array(repeating: 1, count: 32)]
        }
      ),
    ]
    for (name, code, change) in cases {
      let room = try HostileRoom()
      room.append(0, "good")
      let bad = room.append(0, "bad", change: change)
      try room.checkSound(name)
      #expect(room.core.issues.map(\.code) == [code], "\(name)")
      #expect(room.core.issues.map(\.seq) == [bad.seq], "\(name)")
      #expect(room.core.issues.map(\.feed) == [bad.feed], "\(name)")
      // The writer's last good entry still counts, and so does the next one.
      #expect(try room.value("good", room.core.snapshot()) == [[0xee]], "\(name)")
      room.append(0, "better")
      #expect(try room.value("better", room.core.snapshot()) == [[0xee]], "\(name)")
      #expect(room.core.issueCount == 1)
    }
  }

  @Test func `blocks that are no entries at all are stepped over`() throws {
    let room = try HostileRoom()
    room.append(0, "good")
    room.evil[0].blocks += [[], [0xff], Array("hello".utf8), EntryMessageCodec.header]
    try room.checkSound("junk")
    #expect(room.core.issueCount == 4)
    #expect(try room.value("good", room.core.snapshot()) == [[0xee]])
  }

  @Test func `keys that nobody writes take no place, whatever lists them`() throws {
    let room = try HostileRoom(evil: 3)
    for writer in 0..<3 {
      room.append(writer, "many") { message in
        message.feeds =
          room.list
          + (0..<240).map {
            [UInt8($0), UInt8(writer)] + Array(repeating: 7, count: 30)
          }
      }
    }
    try room.checkSound("many feeds")
    #expect(room.core.feedCount == 4)
    #expect(room.core.candidates.count == 720)
    // A newcomer gets in, and local entries list none of the others.
    let newcomer = try HostileRoom.key(77)
    let entry = try #require(try room.core.authorize(newcomer.bytes))
    let block = try #require(try room.core.log(of: 0).block(at: entry.seq))
    let list = try #require(EntryMessageCodec().decode(block, inflated: true)?.feeds)
    #expect(list == room.list + [newcomer.bytes])
  }

  /// A feed that is signed to have the greatest length, with a header and a last entry.
  private final class LongLog: EntryLog {
    let key: PublicKey
    let length = 1 << 53 - 1
    private let last: [UInt8]
    var isOwned: Bool { false }
    var isWritable: Bool { false }

    init(key: PublicKey) {
      self.key = key
      var message = EntryMessage(key: Array("long/\(key.bytes[1])".utf8), value: [1])
      message.feeds = [key.bytes]
      message.inflate = 1 << 53 - 2
      message.clock = [1 << 53 - 1]
      last = EntryMessageCodec().encode(message)
    }

    func firstMissing(from start: Int) -> Int { max(start, 1) }
    func block(at index: Int) -> [UInt8]? {
      index == 0 ? EntryMessageCodec.header : index == length - 1 ? last : nil
    }
    func append(_ blocks: [[UInt8]]) -> Int { length }
  }

  @Test func `feeds that are signed to be as long as can be cost what is stored of them`() throws {
    let owner = MemoryLog(key: try HostileRoom.key(1), isWritable: true)
    let long = try (2..<62).map { LongLog(key: try HostileRoom.key($0)) }
    var options = DatabaseCore.Options()
    options.fetchesBlocks = true
    let core = try DatabaseCore(source: owner, local: nil, options: options) { key in
      long.first { $0.key == key }
    }
    for log in long { try core.authorize(log.key.bytes) }
    let groups = try core.groups("long", ListOptions(), in: core.snapshot())
    #expect(groups.count == long.count)
    try core.put(Array("after".utf8), [1])
    #expect(try core.get(Array("after".utf8), in: core.snapshot()).map(\.value) == [[1]])
    _ = try? core.keyGroups("long/7", in: core.snapshot())
  }

  @Test func `keys in a list that are none are skipped`() throws {
    let room = try HostileRoom()
    room.append(0, "junk", trie: trie(0, 1, 4, 9)) { message in
      message.feeds = room.list + [[1, 2, 3]]
      message.clock = [0, 2, 5]
    }
    try room.checkSound("junk key")
    #expect(room.core.issueCount == 0)
    #expect(room.core.feedKeys.count == 2)
    #expect(try room.value("junk", room.core.snapshot()) == [[0xee]])
    #expect(throws: HyperDBError.self) { try room.core.authorize([1, 2, 3]) }
  }

  @Test func `an entry that claims to know everything hides no entry from the history`() throws {
    let room = try HostileRoom()
    room.append(0, "liar", clock: [1 << 40, 2])
    let places = try room.core.entries(in: room.core.snapshot()).locations
    #expect(places.count == 4)
    // It is outside the local cut, so local entries don't build on it.
    let snapshot = try room.core.snapshot(.local)
    #expect(snapshot.heads.map(\.feed) == [0])
    #expect(try room.value("shared", snapshot) == [[1]])
    let written = try room.core.put(Array("after".utf8), [3])
    #expect(written.clock(of: 1) == 1)
  }

  @Test func `tries that lead in circles come to an end`() throws {
    // Each key is its own hash, so that paths can be made by hand.
    let hash = PathHash { bytes in
      bytes.prefix(8).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64($1.offset * 8) }
    }
    let room = try HostileRoom(evil: 2, hash: hash)
    // Nodes that part from the target later and later, each with pointers to all that follow.
    let target = Array("target!!".utf8)
    for layer in (0..<24).reversed() {
      for writer in 0..<2 {
        var key = target
        key[layer / 4] ^= 1 << UInt8(layer % 4 * 2)
        let digit = target[layer / 4] >> UInt8(layer % 4 * 2) & 3
        let seq = UInt64(room.evil[writer].blocks.count)
        var bytes: [UInt8] = []
        if seq > 1 {
          let mask: UInt64 = 1 << UInt64(digit)
          bytes = trie(UInt64(layer), mask, 3, seq - 1, 4, seq - 1)
        }
        var clock: [UInt64] = [0, 0, 0]
        clock[writer + 1] = seq + 1
        var message = EntryMessage(key: key, value: [1])
        message.trie = bytes
        message.clock = clock
        message.inflate = 1
        if seq == 1 { message.feeds = room.list }
        room.evil[writer].blocks.append(EntryMessageCodec().encode(message))
      }
    }
    _ = try? room.core.get(target, in: room.core.snapshot())
    _ = try? room.core.get(target, GetOptions(raw: true), in: room.core.snapshot())
    _ = try? room.core.groups("", ListOptions(), in: room.core.snapshot())
    try room.checkSound("circles")
    try room.core.put(target, [4])
    #expect(try room.core.get(target, in: room.core.snapshot()).map(\.value) == [[4]])
  }

  @Test func `pointers to where their path does not lead are not followed`() throws {
    let room = try HostileRoom()
    // Every place points to the owner's entries.
    var bytes: [UInt8] = []
    for index in 0..<64 {
      bytes += trie(UInt64(index), 31)
      for _ in 0..<5 { bytes += trie(1, 1, 1, 2, 0, 3) }
    }
    room.append(0, "everywhere", trie: bytes)
    try room.checkSound("wrong pointers")
    let groups = try room.core.groups("", ListOptions(), in: room.core.snapshot())
    #expect(Set(groups.map { $0[0].key }).count == groups.count)
  }

  @Test func `an entry with more pointers than another has room for stops no put`() throws {
    let room = try HostileRoom()
    for key in 0..<40 { try room.core.put(Array("messages/\(key)".utf8), [1]) }
    for number in 0..<300 { room.append(0, "messages/evil\(number)") }
    let pointers = (1...300).map { FeedSequence(feed: 1, seq: $0) }
    var bytes: [UInt8] = []
    for index in 0..<64 {
      HostileRoom.write(index, [0: pointers, 1: pointers, 2: pointers, 3: pointers], to: &bytes)
    }
    #expect(bytes.count > HyperDBLimits.trieBytes)
    // It claims to know all, and does lead to all: nothing is beside it.
    let heads = try room.core.snapshot(.local).heads
    let sound = try room.core.trie(for: Array("messages/x".utf8), on: heads)
    var both: [UInt8] = []
    var places: [Int: [UInt8: [FeedSequence]]] = [:]
    sound.forEachSlot { index, digit, pointers in places[index, default: [:]][digit] = pointers }
    for index in 0..<64 {
      for digit in UInt8(0)..<4 { places[index, default: [:]][digit, default: []] += pointers }
    }
    for (index, slots) in places.sorted(by: { $0.key < $1.key }) {
      HostileRoom.write(index, slots, to: &both)
    }
    let length = UInt64(room.core.log(of: 0).length)
    for trie in [bytes, both] {
      let seq = UInt64(room.evil[0].blocks.count)
      room.append(0, "messages/x", trie: trie, clock: [length, seq + 1])
      let written = try room.core.put(Array("messages/after".utf8), [3])
      #expect(TrieCoding.encode(written.trie, encodeMap: [0, 1]).count < 10_000)
      try room.checkSound("many pointers")
      for key in 0..<40 {
        #expect(try room.value("messages/\(key)", room.core.snapshot()) == [[1]], "\(key)")
      }
      // Its own entries don't lead to each other: those it hides from itself.
      #expect(try room.value("messages/x", room.core.snapshot()) == [[0xee]])
      let keys = try room.core.groups("messages", ListOptions(), in: room.core.snapshot())
      #expect(keys.count >= 42)
    }
  }

  @Test func `what is larger than any sound entry has room for is left out`() throws {
    let room = try HostileRoom()
    room.append(0, "first")
    var bytes: [UInt8] = trie(0, 1)
    for _ in 0..<300_000 { bytes += [1, 1] }
    room.append(0, "many copies", trie: bytes + [0, 1])
    room.append(0, String(repeating: "/", count: HyperDBLimits.readSegments + 10))
    try room.checkSound("too large")
    #expect(try room.value("first", room.core.snapshot()) == [[0xee]])
    #expect(room.core.issues.map(\.code) == [.malformedEntry, .malformedEntry])
  }

  @Test func `keys of any length are read, and only short ones written`() throws {
    let room = try HostileRoom()
    let deep = String(repeating: "x/", count: 200_000) + "y"
    let long = String(repeating: "z", count: 1_000_000)
    room.append(0, deep)
    room.append(0, long)
    try room.checkSound("long keys")
    #expect(try room.value(long, room.core.snapshot()) == [[0xee]])
    #expect(throws: HyperDBError.self) { try room.core.put(Array(long.utf8), [1]) }
    #expect(throws: HyperDBError.self) {
      try room.core.put(Array(String(repeating: "x/", count: 100).utf8), [1])
    }
    try room.core.put(Array(repeating: UInt8(ascii: "k"), count: HyperDBLimits.keyBytes), [1])
  }

  @Test func `a missing block is told, not waited for, and never stops a put`() throws {
    let room = try HostileRoom()
    room.append(0, "a")
    room.append(0, "b", trie: [])
    room.evil[0].blocks[1] = nil
    #expect(throws: MissingBlock(feed: 1, seq: 1)) { try room.core.snapshot() }
    let snapshot = try room.core.snapshot(.local)
    #expect(snapshot.lengths == [4, 1])
    try room.core.put(Array("shared".utf8), [9])
    #expect(try room.value("shared", room.core.snapshot(.local)) == [[9]])
  }

  @Test(arguments: testSeeds(standard: 100))
  func `damaged entries of one writer leave the others' values alone`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let room = try HostileRoom(evil: 2)
    for step in 0..<12 {
      room.append(
        Int.random(in: 0..<2, using: &random), "k/\(step)",
        trie: random.bytes(random.chance(0.5) ? 0 : 12))
    }
    for log in room.evil {
      for index in log.blocks.indices.dropFirst() where random.chance(0.6) {
        guard var block = log.blocks[index], !block.isEmpty else { continue }
        let place = Int.random(in: block.indices, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: block[place] = UInt8.random(in: .min ... .max, using: &random)
        case 1: block.removeSubrange(place...)
        default: block = random.bytes(40)
        }
        log.blocks[index] = block
      }
    }
    let snapshot: Snapshot
    do { snapshot = try room.core.snapshot(.local) } catch {
      Issue.record("seed \(seed): \(error)")
      return
    }
    // A clock that is still readable and claims to know the owner's entries hides them from lookups,
    // as in the reference; the history still has them.
    let entries = try room.core.entries(in: snapshot)
    #expect(entries.contains { $0.feed == 0 && $0.value == [1] }, "seed \(seed)")
    if !entries.contains(where: { $0.feed != 0 && $0.clock(of: 0) > 0 }) {
      #expect(try room.value("shared", snapshot).contains([1]), "seed \(seed)")
    }
    _ = try room.core.groups("", ListOptions(), in: snapshot)
    for key in ["shared", "k/1", "k/2", "folder/owner"] {
      _ = try room.core.keyGroups(key, in: snapshot)
      try room.core.put(Array(key.utf8), [5])
      #expect(try room.value(key, room.core.snapshot(.local)) == [[5]], "seed \(seed)")
    }
  }
}
