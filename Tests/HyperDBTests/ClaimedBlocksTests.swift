import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// Entries that claim to know blocks that don't exist, and correct writers that built on them.
struct ClaimedBlocksTests {
  /// Another replica of a room: it has the blocks that were in the room's feeds when it was made, and a feed
  /// of its own.
  private struct Reader {
    let core: DatabaseCore
    /// The owner's feed, then those of the hostile writers.
    let logs: [MemoryLog]

    init(_ room: HostileRoom, lengths: [Int: Int] = [:], stopped: Set<Int> = []) throws {
      let owner = try #require(room.core.log(of: 0) as? MemoryLog)
      let logs = ([owner] + room.evil).enumerated().map { number, log in
        let copy = MemoryLog(
          key: log.key, isWritable: false,
          blocks: Array(log.blocks.prefix(lengths[number] ?? log.blocks.count)))
        copy.isStopped = stopped.contains(number)
        return copy
      }
      self.logs = logs
      let local = MemoryLog(key: try HostileRoom.key(900), isWritable: true)
      core = try DatabaseCore(source: logs[0], local: local) { key in
        logs.first { $0.key == key } ?? MemoryLog(key: key, isWritable: false)
      }
      for log in logs {
        let number = try #require(core.number(of: log.key))
        for seq in log.blocks.indices.dropFirst() { try core.inspect(feed: number, seq: seq) }
      }
    }

    func value(_ key: String) throws -> [[UInt8]?] {
      try core.get(Array(key.utf8), in: core.snapshot(.local)).map(\.value)
    }

    /// Takes in what a feed has got since.
    func take(_ number: Int, from log: MemoryLog) { logs[number].blocks = log.blocks }
  }

  /// Checks that a reader sees what the owner wrote last, and that its writes replace that.
  private func checkIsNotCutOff(_ reader: Reader, _ key: String, _ value: UInt8) throws {
    #expect(try reader.value(key) == [[value]])
    #expect(try reader.value("shared") == [[1]])
    let written = try reader.core.put(Array(key.utf8), [99])
    #expect(try reader.value(key) == [[99]])
    #expect(try reader.value("shared") == [[1]])
    let owner = reader.logs[0]
    let location = FeedSequence(
      feed: try #require(reader.core.number(of: owner.key)), seq: owner.length - 1)
    #expect(written.covers(try #require(try reader.core.node(at: location))))
  }

  @Test func `a claim on a feed that comes later cuts nobody off from those who built on it`()
    throws
  {
    let room = try HostileRoom()
    let later = MemoryLog(
      key: try HostileRoom.key(800), isWritable: false, blocks: [EntryMessageCodec.header])
    room.append(0, "claim", clock: [0, 2, 9]) {
      $0.feeds = [room.core.key.bytes, room.evil[0].key.bytes, later.key.bytes]
    }
    let written = try room.core.put(Array("after".utf8), [7])
    #expect(written.clock == [UInt64(written.seq) + 1, 2])
    let owner = MemoryLog(
      key: room.core.key, isWritable: false,
      blocks: try #require(room.core.log(of: 0) as? MemoryLog).blocks)
    let reader = try DatabaseCore(
      source: owner, local: MemoryLog(key: try HostileRoom.key(900), isWritable: true)
    ) { key in
      let logs = [owner, room.evil[0], later]
      return logs.first { $0.key == key } ?? MemoryLog(key: key, isWritable: false)
    }
    for seq in 1..<owner.length { try reader.inspect(feed: 0, seq: seq) }
    try reader.inspect(feed: try #require(reader.number(of: room.evil[0].key)), seq: 1)
    #expect(reader.number(of: later.key) != nil)
    let key = Array("after".utf8)
    #expect(try reader.get(key, in: reader.snapshot(.local)).map(\.value) == [[7]])
    try reader.put(key, [8])
    #expect(try reader.get(key, in: reader.snapshot(.local)).map(\.value) == [[8]])
    let claim = try reader.get(Array("claim".utf8), in: reader.snapshot(.local))
    #expect(claim.map(\.value) == [[0xee]])
  }

  @Test(arguments: 1...9)
  func `a writer that makes claims and takes them back cuts nobody off`(count: Int) throws {
    let room = try HostileRoom(evil: 2)
    // The second feed has one block.
    for number in 0..<4 { room.append(0, "claim/\(number)", clock: [0, UInt64(number) + 2, 9]) }
    room.append(0, "none", clock: [0, 6, 1])
    try room.core.put(Array("after".utf8), [7])
    for number in 0..<count {
      room.append(0, "more/\(number)", clock: [0, UInt64(number) + 7, 9])
    }
    try checkIsNotCutOff(try Reader(room), "after", 7)
  }

  @Test func `a feed of which no more can come cuts nobody off from those who have more of it`()
    throws
  {
    let room = try HostileRoom()
    for number in 0..<5 { room.append(0, "evil/\(number)") }
    try room.core.put(Array("after".utf8), [7])
    // While more may come, what was built on it waits for it.
    let waiting = try Reader(room, lengths: [1: 3])
    #expect(try waiting.value("after") == [])
    waiting.logs[1].isStopped = true
    try checkIsNotCutOff(waiting, "after", 7)
    let reader = try Reader(room, lengths: [1: 3], stopped: [1])
    try checkIsNotCutOff(reader, "after", 7)
    // If the rest comes after all, nothing of it is hidden.
    reader.logs[1].isStopped = false
    reader.take(1, from: room.evil[0])
    #expect(try reader.value("evil/4") == [[0xee]])
    #expect(try reader.value("after") == [[99]])
  }

  @Test(arguments: ["feed 0", "its own", "others"])
  func `an entry that points to blocks that don't exist hides nothing`(target: String) throws {
    let room = try HostileRoom(evil: 2)
    let keys = (0..<60).map { "k/\($0 % 7)/\($0)" }
    for key in keys { try room.core.put(Array(key.utf8), Array(key.utf8)) }
    let length = UInt64(room.core.log(of: 0).length)
    let feed = ["feed 0": 0, "its own": 1, "others": 2][target]!
    let path = PathHash.standard.path(of: Array("liar".utf8), terminated: true)
    var trie: [UInt8] = []
    for index in 0..<64 {
      var slots: [UInt8: [FeedSequence]] = [:]
      for digit in UInt8(0)..<4 where digit != path.digit(index) {
        slots[digit] = [FeedSequence(feed: feed, seq: 1_000)]
      }
      HostileRoom.write(index, slots, to: &trie)
    }
    room.append(0, "liar", trie: trie, clock: [length, 2, 1])
    for reader in [room.core, try Reader(room).core] {
      for _ in 0..<2 {
        let snapshot = try reader.snapshot(.local)
        for key in keys {
          let found = try reader.get(Array(key.utf8), in: snapshot).map(\.value)
          #expect(found == [Array(key.utf8)], "\(key)")
        }
        let listed = Set(try reader.groups("k", ListOptions(), in: snapshot).map { $0[0].key })
        #expect(listed.isSuperset(of: keys.map { Array($0.utf8) }))
        try reader.put(Array("after".utf8), [1])
      }
    }
  }

  @Test func `an entry that points to one that is left out hides nothing`() throws {
    let room = try HostileRoom(evil: 2)
    let keys = (0..<60).map { "k/\($0 % 7)/\($0)" }
    for key in keys { try room.core.put(Array(key.utf8), Array(key.utf8)) }
    let length = UInt64(room.core.log(of: 0).length)
    // Each branch of the second writer's entries leads to all; but it claims a block that doesn't exist.
    let heads = try room.core.snapshot().heads
    let hash = PathHash.standard
    var branches: [UInt8: FeedSequence] = [:]
    var number = 0
    while branches.count < 4 {
      number += 1
      let key = Array("branch\(number)".utf8)
      let digit = hash.path(of: key, terminated: true).digit(0)
      if branches[digit] != nil { continue }
      let trie = TrieCoding.encode(
        try room.core.trie(for: key, on: heads), encodeMap: [0, 1, 2])
      branches[digit] = room.append(
        1, "branch\(number)", trie: trie,
        clock: [length, 99, UInt64(room.evil[1].blocks.count) + 1])
    }
    let own = hash.path(of: Array("liar".utf8), terminated: true).digit(0)
    var trie: [UInt8] = []
    HostileRoom.write(
      0, branches.filter { $0.key != own }.mapValues { [$0] }, to: &trie)
    room.append(0, "liar", trie: trie, clock: [length, 2, 1])
    for reader in [room.core, try Reader(room).core] {
      for _ in 0..<2 {
        let snapshot = try reader.snapshot(.local)
        for key in keys {
          let found = try reader.get(Array(key.utf8), in: snapshot).map(\.value)
          #expect(found == [Array(key.utf8)], "\(key)")
        }
        try reader.put(Array("after".utf8), [1])
      }
    }
  }

  @Test func `a liar that vouches for what is on its way hides nothing of it`() throws {
    let room = try HostileRoom(evil: 3)
    // The second writer is sound, and has replaced a value of the first; so is the third.
    let first = room.append(1, "a/x")
    let older = try room.core.snapshot().heads
    func append(_ writer: Int, _ key: String, _ heads: [EntryNode]) throws -> FeedSequence {
      let trie = try room.core.trie(for: Array(key.utf8), on: heads)
      let seq = room.evil[writer].blocks.count
      let clock = (0...3).map { feed in
        feed == writer + 1 ? UInt64(seq) + 1 : UInt64(room.core.log(of: feed).length)
      }
      return room.append(
        writer, key, trie: TrieCoding.encode(trie, encodeMap: [0, 1, 2, 3]), clock: clock)
    }
    let replaced = try append(1, "a/y", older)
    let last = try append(
      2, "b", [try #require(try room.core.node(at: replaced))])
    // The reader has that, and nothing new of what it was built on.
    let lengths = [2: first.seq + 1]
    room.append(
      0, "liar", clock: [UInt64(room.core.log(of: 0).length), 2, 0, UInt64(last.seq) + 1])
    let reader = try Reader(room, lengths: lengths)
    #expect(try reader.value("a/x") == [[0xee]])
    #expect(try reader.value("shared") == [[1]])
    try reader.core.put(Array("mine".utf8), [5])
    #expect(try reader.value("a/x") == [[0xee]])
    reader.take(2, from: room.evil[1])
    for _ in 0..<2 {
      for key in ["a/x", "a/y", "b", "liar"] {
        #expect(try reader.value(key) == [[0xee]], "\(key)")
      }
      #expect(try reader.value("mine") == [[5]])
      #expect(try reader.value("shared") == [[1]])
      try reader.core.put(Array("more".utf8), [6])
    }
  }
}
