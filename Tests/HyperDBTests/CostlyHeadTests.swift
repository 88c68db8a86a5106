import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// Writers whose entries are made to be slow to merge.
struct CostlyHeadTests {
  private static let hash = PathHash.standard

  /// Makes a room in which each of `count` writers ends with entries that have some 500,000 bytes of pointers
  /// each, all to existing entries.
  static func room(
    _ count: Int, small: Int = 200, large: Int = 3, knowing clock: UInt64 = 0
  ) throws -> HostileRoom {
    let room = try HostileRoom(evil: count)
    for number in 0..<small { try room.core.put(Array("k/owner/\(number)".utf8), [1]) }
    for writer in 0..<count {
      for number in 0..<small { room.append(writer, "k/\(writer)/\(number)") }
    }
    for number in 0..<large {
      for writer in 0..<count {
        let key = "k/large/\(writer)/\(number)"
        room.append(writer, key, trie: trie(key, room, small: small)) {
          $0.clock[0] = clock
        }
      }
    }
    return room
  }

  /// Makes a trie that has, at every place, as many pointers as a slot may have without being searched.
  static func trie(_ key: String, _ room: HostileRoom, small: Int) -> [UInt8] {
    let path = hash.path(of: Array(key.utf8), terminated: true)
    let feeds = room.evil.count + 1
    var trie: [UInt8] = []
    var seed = 1
    for index in 0..<(path.count - 1) {
      var slots: [UInt8: [FeedSequence]] = [:]
      for digit in UInt8(0)..<4 where digit != path.digit(index) {
        slots[digit] = (0..<510).map { number in
          seed = (seed &* 1_103_515_245 &+ 12345) & 0x7fff_ffff
          return FeedSequence(feed: number % feeds, seq: 1 + seed >> 8 % (small - 1))
        }
      }
      HostileRoom.write(index, slots, to: &trie)
      if trie.count > 500_000 { break }
    }
    return trie
  }

  @Test(arguments: [10, 20])
  func `a put on heads with 1.5 MB of pointers each takes a bounded number of steps`(
    count: Int
  ) throws {
    let room = try Self.room(count)
    let before = room.core.mergedSteps
    let clock = ContinuousClock.now
    let node = try room.core.put(Array("k/honest".utf8), [7])
    let steps = room.core.mergedSteps - before
    print("\(count) costly heads: \(steps) steps, \(ContinuousClock.now - clock)")
    #expect(steps <= 4 * HyperDBLimits.mergeSteps)
    // A head that was too costly is not part of the entry, and remains a head.
    let heads = try room.core.snapshot().heads.map(\.feed)
    #expect(heads.contains(0))
    #expect(heads.count > 1)
    for feed in heads where feed != 0 {
      #expect(node.clock(of: feed) < UInt64(room.core.log(of: feed).length))
    }
    #expect(try room.value("k/honest", room.core.snapshot()) == [[7]])
    #expect(try room.value("shared", room.core.snapshot()) == [[1]])
    // The following puts are bounded as well.
    for number in 0..<3 {
      let before = room.core.mergedSteps
      try room.core.put(Array("k/next/\(number)".utf8), [8])
      #expect(room.core.mergedSteps - before <= 4 * HyperDBLimits.mergeSteps)
    }
  }

  @Test func `a sound head is merged among costly ones, and nothing of the costly ones is hidden`()
    throws
  {
    let room = try Self.room(6)
    let sound = room.evil.count - 1
    // The last writer writes as the reference does, on top of the owner's entries and its own.
    let own = try #require(
      try room.core.node(
        at: FeedSequence(feed: sound + 1, seq: room.evil[sound].blocks.count - 4)))
    let trie = try room.core.trie(for: Array("k/sound".utf8), on: [own])
    let written = room.append(
      sound, "k/sound",
      trie: TrieCoding.encode(trie, encodeMap: Array(0...room.evil.count))
    ) { $0.clock[1] = 101 }
    let node = try room.core.put(Array("k/honest".utf8), [7])
    #expect(node.covers(try #require(try room.core.node(at: written))))
    #expect(node.clock(of: 1) == 101, "it knows what the sound head knew")
    let heads = try room.core.snapshot().heads.map(\.feed)
    #expect(Set(heads) == Set(0..<sound + 1))
    for writer in room.evil.indices where writer != sound {
      let key = "k/large/\(writer)/2"
      #expect(try room.value(key, room.core.snapshot()) == [[0xee]], "\(key)")
    }
  }

  @Test func `what is under a costly entry of others is found after puts that pass it over`() throws
  {
    // The costly heads know all that the owner wrote, and the owner's next entry is built on one that is
    // cheap for its key, and costly for the next.
    let room = try Self.room(3, knowing: 1)
    for number in 0..<40 { try room.core.put(Array("k/x/\(number)".utf8), [UInt8(number)]) }
    let snapshot = try room.core.snapshot()
    for number in 0..<40 {
      #expect(try room.value("k/x/\(number)", snapshot) == [[UInt8(number)]])
    }
    for number in 0..<200 {
      #expect(try room.value("k/owner/\(number)", snapshot).contains([1]))
    }
    let listed = Set(try room.core.groups("k/x", ListOptions(), in: snapshot).map { $0[0].key })
    #expect(listed.count == 40)
  }

  @Test func `entries that claim each other's next all the way down don't hold up a put`() throws {
    let room = try HostileRoom(evil: 2)
    let count = 3_000
    for number in 0..<count {
      let seq = UInt64(number) + 1
      room.append(0, "a/\(number)", clock: [0, seq + 1, seq + 2])
      room.append(1, "b/\(number)", clock: [0, seq + 2, seq + 1])
    }
    let clock = ContinuousClock.now
    try room.core.put(Array("after".utf8), [1])
    print("claims of each other's next: \(ContinuousClock.now - clock)")
    try room.checkSound("claims of each other's next")
  }
}
