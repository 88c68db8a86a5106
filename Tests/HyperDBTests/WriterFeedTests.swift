import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

/// The feeds of a database, as feeds.
@Suite(.timeLimit(.minutes(1))) struct WriterFeedTests {
  private func owner(_ count: Int) async throws -> HyperDB {
    let db = try await HyperDB.inMemory()
    for number in 0..<count { try await db.put("k/\(number)", [UInt8(number)]) }
    return db
  }

  private func sparse() -> HyperDB.Options {
    var options = HyperDB.Options()
    options.sparse = true
    return options
  }

  @Test func `each feed of a database shows its blocks`() async throws {
    let db = try await owner(3)
    let clone = try await db.clone()
    try await clone.put("mine", [9])
    try await sync(db, clone)
    for feed in await clone.feeds {
      let blocks = try #require(await clone.feed(of: feed.key))
      #expect(blocks.key == feed.key)
      #expect(blocks.discoveryKey == feed.key.discoveryKey)
      #expect(await blocks.length == feed.length)
      #expect(await blocks.downloaded() == feed.storedLength)
      #expect(await blocks.has(0..<feed.length))
      #expect(HyperDB.isHeader(try await blocks.get(0)))
      #expect(try await blocks.audit().valid == feed.length)
    }
    #expect(await clone.feeds.count == 2)
    let own = try #require(await db.feed(of: db.localKey))
    #expect(await own.byteLength > 0)
    // What is written through the database is seen at once: there is one state.
    let before = await own.length
    try await db.put("later", [1])
    #expect(await own.length == before + 1)
    let stranger = KeyPair.generate().publicKey
    #expect(await db.feed(of: stranger) == nil)
    #expect(await db.feed(of: PublicKey()) == nil)
  }

  @Test func `a feed of a database has events, peers and statistics, and ends with the database`()
    async throws
  {
    let db = try await owner(5)
    let clone = try await db.clone(authorized: false)
    let blocks = try #require(await clone.feed(of: db.key))
    let twice = try #require(await clone.feed(of: db.key))
    let (events, others) = (blocks.events(), twice.events())
    let connection = try await LiveConnection(db, clone)
    try await clone.until("k/4", has: [[4]])
    try await blocks.download(DownloadRange(0..<6))
    let peer = try #require(await blocks.peers.first)
    #expect(peer.peer.id == (await connection.streams.1.remote)?.id)
    #expect(peer.remoteLength == 6)
    #expect(await blocks.statistics.totals.downloadedBlocks == 6)
    await connection.end()
    #expect(await blocks.peers.isEmpty)
    await clone.close()
    for events in [events, others] {
      var seen: [FeedEvent] = []
      for await event in events { seen.append(event) }
      #expect(seen.first == .ready)
      #expect(seen.last == .close)
      let arrived = seen.reduce(into: Set<UInt64>()) { arrived, event in
        if case .download(let range, let from) = event {
          arrived.formUnion(range)
          #expect(from == peer.peer)
        }
      }
      #expect(arrived == Set(0..<6))
    }
    let error = await #expect(throws: FeedError.self) { _ = try await blocks.get(1) }
    #expect(error?.code == .closed)
    #expect(await clone.feed(of: db.key) == nil)
    // A reader that comes after the end gets it as well.
    var last: FeedEvent?
    for await event in blocks.events() { last = event }
    #expect(last == .close)
  }

  @Test func `ranges of a sparse database are downloaded and given up, and reads go on`()
    async throws
  {
    let db = try await owner(60)
    let clone = try await db.clone(authorized: false, options: sparse())
    let connection = try await LiveConnection(db, clone)
    #expect(try await clone.get("k/7").map(\.value) == [[7]])
    let blocks = try #require(await clone.feed(of: db.key))
    try await blocks.download(DownloadRange(0..<61))
    #expect(await blocks.downloaded() == 61)
    try await blocks.clear(0..<61)
    #expect(await blocks.downloaded() == 1)
    #expect(await blocks.has(0..<1))
    // Entries that were read are remembered; others are fetched as they are needed.
    let values = try await clone.list("k").collect().count
    #expect(values == 60)
    #expect(try await clone.get("k/33").map(\.value) == [[33]])
    // A block that nobody has is waited for until that is cancelled, however late the wait begins.
    let waiting = Task { try await blocks.get(1000) }
    let cancelling = Task {
      while !Task.isCancelled {
        try await blocks.cancel(1000..<1001)
        await Task.yield()
      }
    }
    let error = await #expect(throws: FeedError.self) { _ = try await waiting.value }
    #expect(error?.code == .cancelled)
    cancelling.cancel()
    try await cancelling.value
    await connection.end()
  }

  @Test func `no blocks are given up that the database can't do without`() async throws {
    let db = try await owner(3)
    let clone = try await db.clone()
    try await clone.put("mine", [1])
    try await sync(db, clone)
    let others = try #require(await clone.feed(of: db.key))
    let error = await #expect(throws: HyperDBError.self) { try await others.clear(0..<9) }
    #expect(error?.code == .notSparse)
    #expect(error?.reason.contains("`sparse`") == true)
    let sparse = try await HyperDB.inMemory(options: sparse())
    try await sparse.put("a", [1])
    for db in [clone, sparse] {
      let own = try #require(await db.feed(of: db.localKey))
      let length = await own.length
      let error = await #expect(throws: HyperDBError.self) { try await own.clear(0..<9) }
      #expect(error?.code == .ownFeed)
      #expect(await own.downloaded() == length)
    }
  }
}
