import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Values that are not kept with their entries: their writer decides how large they are, and must not decide
/// how much memory the reader takes.
@Suite(.timeLimit(.minutes(1))) struct LargeValueTests {
  private static let limit = EntryNode.keptValue

  private func value(_ number: Int, count: Int = limit * 4) -> [UInt8] {
    [UInt8](repeating: 1, count: count / 2)
      + [UInt8](repeating: UInt8(number), count: count - count / 2)
  }

  @Test func `an entry is kept without its value where that is large`() throws {
    let log = MemoryLog(key: try HostileRoom.key(1), isWritable: true)
    let core = try DatabaseCore(source: log, local: nil) { MemoryLog(key: $0, isWritable: false) }
    for (count, isKept) in [(Self.limit, true), (Self.limit + 1, false)] {
      let stored = value(1, count: count)
      let written = try core.put(Array("key \(count)".utf8), stored)
      #expect(written.value == stored)
      let snapshot = try core.snapshot(.local)
      let reopened = try DatabaseCore(source: log, local: nil) {
        MemoryLog(key: $0, isWritable: false)
      }
      for node in [
        snapshot.heads[0], try #require(try core.node(at: written.location)),
        try #require(try reopened.node(at: written.location)),
      ] {
        #expect((node.value != nil) == isKept)
        #expect(node.isValueApart == !isKept)
        #expect(try core.value(of: node) == stored)
        #expect(try core.reencode(node) == log.blocks[node.seq])
      }
    }
    log.blocks[2] = nil
    let node = try #require(try core.node(at: FeedSequence(feed: 0, seq: 2)))
    let error = #expect(throws: HyperDBError.self) { try core.value(of: node) }
    #expect(error?.code == .feed && error?.seq == 2)
  }

  @Test func `large values are given whole wherever values are`() async throws {
    let db = try await HyperDB.inMemory()
    let first = try await db.put("one", value(1))
    #expect(first.value == value(1))
    let batch = try await db.batch([.put("two", value(2)), .put("one", value(3)), .delete("two")])
    #expect(batch.map(\.value) == [value(2), value(3), nil])
    #expect(try await db.get("one").map(\.value) == [value(3)])
    #expect(try await db.list().collect().map { $0.map(\.value) } == [[value(3)]])
    #expect(
      try await db.history().collect().map(\.value) == [value(1), value(2), value(3), nil])
    #expect(
      try await db.history(of: "one").collect().map { $0.map(\.value) } == [[value(3)], [value(1)]])
    let before = try await db.checkout(heads: [first])
    let difference = try #require(try await db.diff(before).collect().first)
    #expect(difference.left?.map(\.value) == [value(3)])
    #expect(difference.right?.map(\.value) == [value(1)])
    let changed = try await db.update("one") { nodes in (nodes.first?.value ?? []) + [1] }
    #expect(changed.value == value(3) + [1])
  }

  @Test(arguments: [false, true])
  func `large values are given out a few at a time`(isSparse: Bool) async throws {
    let count = 40
    let db = try await HyperDB.inMemory()
    for number in 0..<count { try await db.put("\(number)", value(number)) }
    var options = HyperDBOptions()
    options.sparse = isSparse
    let clone = try await HyperDB.inMemory(key: db.key, options: options)
    let connection = try await LiveConnection(db, clone)
    if isSparse { #expect(try await clone.list().collect().count == count) }
    var values: [[UInt8]?] = []
    var most = 0
    for await update in clone.updates() {
      guard case .entries(let nodes) = update else { continue }
      most = max(most, nodes.reduce(0) { $0 + ($1.value?.count ?? 0) })
      values += nodes.map(\.value)
      if values.count == count { break }
    }
    #expect(Set(values) == Set((0..<count).map { value($0) }))
    #expect(values.count == count)
    #expect(most < 2 << 20, "\(most) bytes at once")
    await connection.end()
  }

  @Test func `walks side by side that wait for blocks are whole`() async throws {
    let count = 20
    let db = try await HyperDB.inMemory()
    for number in 0..<count { try await db.put("\(number)", value(number)) }
    var options = HyperDBOptions()
    options.sparse = true
    let clone = try await HyperDB.inMemory(key: db.key, options: options)
    let connection = try await LiveConnection(db, clone)
    let counts = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<6 { group.addTask { try await clone.list().collect().count } }
      for _ in 0..<2 { group.addTask { try await clone.history().collect().count } }
      var counts: [Int] = []
      for try await number in group { counts.append(number) }
      return counts
    }
    #expect(counts == Array(repeating: count, count: 8))
    await connection.end()
  }

  @Test func `a follower is spared values that it can't use`() async throws {
    let db = try await HyperDB.inMemory()
    for count in [0, 10, 11, Self.limit + 1] {
      try await db.put("\(count)", value(0, count: count))
    }
    try await db.delete("10")
    for (limit, counts) in [
      (10, [0, 10, nil, nil, nil]), (Self.limit, [0, 10, 11, nil, nil]),
      (.max, [0, 10, 11, Self.limit + 1, nil]),
    ] as [(Int, [Int?])] {
      for await update in db.updates(valuesUpTo: limit) {
        guard case .entries(let nodes) = update else { break }
        #expect(nodes.map { $0.value?.count } == counts)
      }
    }
  }
}
