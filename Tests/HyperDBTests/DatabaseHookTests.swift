import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// The write hook, content feeds and sparse databases.
@Suite struct DatabaseHookTests {
  struct Refusal: Error {}

  /// The entries that a hook was called with.
  final class Questions: @unchecked Sendable {
    // Unchecked, with this proof: every access holds the lock.
    private let lock = NSLock()
    private var all: [ProposedEntry] = []

    func add(_ entry: ProposedEntry) { lock.withLock { all.append(entry) } }
    var entries: [ProposedEntry] { lock.withLock { all } }
  }

  @Test func `the write hook sees every entry before it is stored, and may refuse it`() async throws
  {
    let questions = Questions()
    var options = HyperDBOptions()
    options.onWrite = { entry in
      questions.add(entry)
      if entry.key == "bad" { throw Refusal() }
    }
    let db = try await HyperDB.inMemory(options: options)
    try await db.put("good", [1])
    let error = await #expect(throws: HyperDBError.self) { try await db.put("bad", [2]) }
    #expect(error?.code == .refused)
    #expect(error?.cause is Refusal)
    await #expect(throws: HyperDBError.self) {
      try await db.batch([.put("good", [3]), .put("bad", [4])])
    }
    #expect(try await db.get("good").map(\.value) == [[1]])
    #expect(try await db.get("bad").isEmpty)
    #expect(try await db.put("good", [5]).seq == 2)
    #expect(questions.entries.map(\.key) == ["good", "bad", "good", "bad", "good"])
    #expect(questions.entries.allSatisfy { $0.isLocal && $0.feed == db.key && $0.peer == nil })
  }

  @Test func `values are bytes of any collection`() async throws {
    let db = try await HyperDB.inMemory()
    try await db.put("a", Data([1, 2]))
    try await db.put("b", "hello".utf8)
    try await db.put("c", nil)
    #expect(try await db.get("a").map(\.value) == [[1, 2]])
    #expect(try await db.get("b").map(\.value) == [Array("hello".utf8)])
    #expect(try await db.get("c").map(\.value) == [nil])
  }

  @Test func `the write hook may refuse what a peer brings`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("good", [1])
    try await owner.put("bad", [2])
    let questions = Questions()
    var options = HyperDBOptions()
    options.onWrite = { entry in
      questions.add(entry)
      if entry.key == "bad" { throw Refusal() }
    }
    let clone = try await owner.clone(authorized: false, options: options)
    let (one, other) = (try await owner.replicate(), try await clone.replicate())
    await join(one, other)
    let error = await #expect(throws: FeedError.self) { try await other.finished() }
    #expect(error?.code == .refused)
    #expect(error?.cause is Refusal)
    #expect(try await clone.values("good") == [[1]])
    #expect(try await clone.values("bad").isEmpty)
    let asked = try #require(questions.entries.first)
    #expect(!asked.isLocal && asked.peer?.count == 32 && asked.seq == 1 && asked.value == [1])
  }

  @Test(.timeLimit(.minutes(1)))
  func `content feeds are derived, published, attached and replicated`() async throws {
    var options = HyperDBOptions()
    options.contentFeed = true
    let storage = MemoryStorage()
    let pair = KeyPair.generate()
    options.keyPair = pair
    options.isNew = true
    let owner = try await HyperDB.open(storage, options: options)
    options.keyPair = nil
    let content = try #require(await owner.localContent)
    #expect(content.key == KeyPair.contentFeed(of: pair.secretKey).publicKey)
    try await content.append("large", as: .utf8)
    let prefix = "content/\(owner.key.discoveryKey.hex)/"
    #expect(try storage.exists(prefix + "key"))
    #expect(try !storage.exists(prefix + "secret_key"))

    let clone = try await HyperDB.inMemory(key: owner.key, options: options)
    #expect(await clone.contentFeed(of: owner.key) == nil)
    try await owner.put("a", [1])
    try await owner.authorize(clone.localKey)
    let connection = try await LiveConnection(owner, clone)
    try await clone.until("a", has: [[1]])
    let copy = try #require(await clone.contentFeed(of: owner.key))
    #expect(copy.key == content.key)
    #expect(try await copy.get(0, as: .utf8) == "large")
    try await content.append("later", as: .utf8)
    #expect(try await copy.get(1, as: .utf8) == "later")
    // The other way: published with the clone's first entry, while connected.
    let own = try #require(await clone.localContent)
    try await own.append("mine", as: .utf8)
    try await clone.put("b", [2])
    try await owner.until("b", has: [[2]])
    let attached = try #require(await owner.contentFeed(of: clone.localKey))
    #expect(try await attached.get(0, as: .utf8) == "mine")
    await connection.end()
    await owner.close()

    let again = try await HyperDB.open(storage, options: options)
    #expect(try await again.localContent?.get(0, as: .utf8) == "large")
    #expect(try await again.localContent?.append("more", as: .utf8) == 2)
    #expect(try await again.contentFeed(of: clone.localKey)?.get(0, as: .utf8) == "mine")
  }

  @Test(.timeLimit(.minutes(1))) func `a connection that ends by itself carries content too`()
    async throws
  {
    var options = HyperDBOptions()
    options.contentFeed = true
    let owner = try await HyperDB.inMemory(options: options)
    try await owner.put("a", [1])
    try await owner.localContent?.append("content", as: .utf8)
    let clone = try await owner.clone(options: options)
    try await clone.put("b", [2])
    try await clone.localContent?.append("other", as: .utf8)
    try await sync(owner, clone)
    let length = { (db: HyperDB, key: PublicKey) in await db.contentFeed(of: key)?.length }
    #expect(await length(clone, owner.key) == 1)
    #expect(await length(owner, clone.localKey) == 1)
    let plain = try await owner.clone(authorized: false)
    try await sync(owner, plain)
    #expect(try await plain.values("a") == [[1]])
    #expect(await plain.contentFeed(of: owner.key) == nil)
  }

  @Test(.timeLimit(.minutes(1))) func `content may be sparse where the entries are not`()
    async throws
  {
    var options = HyperDBOptions()
    options.contentFeed = true
    let owner = try await HyperDB.inMemory(options: options)
    try await owner.put("a", [1])
    for number in 0..<20 { try await owner.localContent?.append("\(number)", as: .utf8) }
    options.sparseContent = true
    let clone = try await owner.clone(options: options)
    let connection = try await LiveConnection(owner, clone)
    try await clone.until("a", has: [[1]])
    let content = try #require(await clone.contentFeed(of: owner.key))
    #expect(try await content.get(7, as: .utf8) == "7")
    #expect(await content.downloaded() == 1)
    await connection.end()
  }

  @Test(.timeLimit(.minutes(1))) func `a sparse replica fetches what it reads and no more`()
    async throws
  {
    let owner = try await HyperDB.inMemory()
    for number in 0..<200 { try await owner.put("k/\(number)", [UInt8(number)]) }
    var options = HyperDBOptions()
    options.sparse = true
    let clone = try await owner.clone(options: options)
    let connection = try await LiveConnection(owner, clone)
    let nodes = try await clone.get("k/77")
    #expect(nodes.map(\.value) == [[77]])
    let fetched = await clone.storedBlocks
    #expect(fetched < 60, "\(fetched)")
    #expect(try await clone.heads().map(\.seq) == [201])
    #expect(await clone.isLocalAuthorized)

    // A put builds on everything verified, and fetches what it points to.
    let put = try await clone.put("k/78", [7], timeout: .seconds(30))
    #expect(put.clock[owner.key] == 202)
    try await owner.until("k/78", has: [[7]])
    #expect(try await owner.values("k/199") == [[199]])

    // Announced entries become readable.
    try await owner.put("k/5", [99])
    try await clone.until("k/5", has: [[99]])
    #expect(try await clone.list("k").collect().count == 200)
    await connection.end()
  }

  @Test(.timeLimit(.minutes(1))) func `a sparse replica without its peer gives up in time`()
    async throws
  {
    let owner = try await HyperDB.inMemory()
    for number in 0..<100 { try await owner.put("k/\(number)", [UInt8(number)]) }
    var options = HyperDBOptions()
    options.sparse = true
    let clone = try await owner.clone(options: options)
    let connection = try await LiveConnection(owner, clone)
    _ = try await clone.heads()
    await connection.end()
    let read = await #expect(throws: HyperDBError.self) {
      try await clone.list(options: .init(timeout: .milliseconds(1))).collect()
    }
    #expect(read?.code == .timedOut)
    let length = await clone.localLength
    let write = await #expect(throws: HyperDBError.self) {
      for number in 0..<100 {
        try await clone.put("k/\(number)", [1], timeout: .milliseconds(1))
      }
    }
    #expect(write?.code == .timedOut)
    let waiting = Task { for number in 0..<100 { try await clone.put("k/\(number)", [1]) } }
    await Task.yield()
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    #expect(await clone.localLength < length + 100)
  }
}

extension HyperDB {
  /// The number of blocks that are here, of all feeds but the local one.
  var storedBlocks: UInt64 {
    get async {
      var count: UInt64 = 0
      for feed in feeds where !feed.isLocal { count += feed.storedLength }
      return count
    }
  }

  var localLength: UInt64 {
    get async { feeds.first { $0.isLocal }?.length ?? 0 }
  }
}
