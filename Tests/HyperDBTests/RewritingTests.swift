import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// The same operations give the same bytes.
struct RewritingTests {
  @Test(arguments: RecordedDatabase.all.filter { $0.feeds.count == 1 })
  func `one writer's history written anew has the recorded bytes`(
    database: RecordedDatabase
  ) throws {
    let recorded = try #require(try database.logs()[PublicKey(hex: database.key)!])
    for batchSize in [1, 7, 1000] {
      let log = MemoryLog(key: recorded.key, isWritable: true)
      var options = DatabaseCore.Options()
      options.contentKey = database.contentKey.map { [UInt8](hex: $0) }
      let core = try DatabaseCore(source: log, local: nil, options: options) { _ in
        throw HyperDBError(.closed, "There are no other feeds")
      }
      let codec = EntryMessageCodec()
      let changes = try recorded.blocks.dropFirst().map { block in
        let bytes = try #require(block)
        let message = try #require(codec.decode(bytes, inflated: false))
        return Change(key: message.key, value: message.value, isDelete: message.deleted)
      }
      for start in stride(from: 0, to: changes.count, by: batchSize) {
        try core.write(Array(changes[start..<min(start + batchSize, changes.count)]))
      }
      #expect(log.blocks == recorded.blocks, "in batches of \(batchSize)")
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `an entry built from what its writer knew points to the recorded places`(
    database: RecordedDatabase
  ) throws {
    let core = try database.open()
    for (feed, recorded) in database.feeds.enumerated() {
      for seq in 1..<max(recorded.length, 1) {
        let node = try #require(try core.node(at: FeedSequence(feed: feed, seq: seq)))
        var lengths = (0..<database.feeds.count).map { Int(node.clock(of: $0)) }
        lengths[feed] = seq
        let trie = try core.trie(for: node.key, on: core.heads(below: lengths))
        #expect(pointers(trie) == pointers(node.trie), "\(node)")
      }
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `a recorded database is written on and opened again`(database: RecordedDatabase) throws {
    let logs = try database.logs()
    func open() throws -> DatabaseCore {
      try DatabaseCore(
        source: try #require(logs[PublicKey(hex: database.key)!]),
        local: logs[PublicKey(hex: database.local)!]
      ) { logs[$0] ?? MemoryLog(key: $0, isWritable: false) }
    }
    var core = try open()
    let head = try core.snapshot().heads
    let local = try #require(core.local)
    let before = core.log(of: local).length
    let node = try core.put(Array("written/on".utf8), Array("1".utf8))
    #expect(node.seq == before)
    #expect(head.allSatisfy { node.covers($0) })
    core = try open()
    let found = try core.get(Array("/written/on".utf8), in: core.snapshot())
    #expect(found.map(\.location) == [node.location])
    #expect(try core.snapshot().heads.map(\.location) == [node.location])
    // The list did not change, so it is not written again.
    let second = try core.put(Array("written/on".utf8), Array("2".utf8))
    #expect(second.inflate < second.seq)
    #expect(second.inflate == node.inflate)
  }

  @Test func `a stored feed is a database's log`() throws {
    let storage = MemoryStorage()
    let pair = try #require(KeyPair(seed: Array(repeating: 7, count: 32)))
    let feed = try FeedCore.open(
      in: storage, prefix: "source/", options: FeedOptions(keyPair: pair))
    let core = try DatabaseCore(source: try #require(FeedLog(feed)), local: nil) { _ in
      throw HyperDBError(.closed, "There are no other feeds")
    }
    for index in 0..<50 { try core.put(Array("k/\(index % 7)".utf8), [UInt8(index)]) }
    try core.write((0..<20).map { .put(Array("b/\($0)".utf8), [UInt8($0)]) })
    try feed.close()
    let again = try FeedCore.open(in: storage, prefix: "source/")
    let reopened = try DatabaseCore(source: try #require(FeedLog(again)), local: nil) { _ in
      throw HyperDBError(.closed, "There are no other feeds")
    }
    #expect(try reopened.groups("", ListOptions(), in: reopened.snapshot()).count == 27)
    #expect(try reopened.get(Array("k/0".utf8), in: reopened.snapshot()).map(\.value) == [[49]])
    #expect(throws: HyperDBError.self) {
      let plain = try FeedCore.open(in: MemoryStorage())
      try plain.append([[1, 2, 3]])
      _ = try DatabaseCore(source: FeedLog(plain)!, local: nil) { _ in fatalError() }
    }
  }
}
