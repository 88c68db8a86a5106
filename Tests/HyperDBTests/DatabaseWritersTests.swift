import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Several writers: authorization, replication, conflicts.
@Suite struct DatabaseWritersTests {
  @Test func `two writers who don't know each other are in conflict until one writes again`()
    async throws
  {
    let owner = try await HyperDB.inMemory()
    let clone = try await owner.clone()
    try await sync(owner, clone)
    #expect(await clone.isLocalAuthorized)
    try await owner.put("k", "owner", as: .utf8)
    #expect(try await clone.put("k", "clone", as: .utf8).isFromAuthorizedWriter)
    try await sync(owner, clone)
    for db in [owner, clone] {
      let nodes = try await db.get("k")
      #expect(Set(nodes.map(\.feed)) == [owner.localKey, clone.localKey])
      #expect(!nodes[0].covers(nodes[1]) && !nodes[1].covers(nodes[0]))
      #expect(try await db.heads().count == 2)
      #expect(try await db.get("k", options: .init(transform: .firstNode)).count == 1)
      #expect(try await db.list().collect().map(\.count) == [2])
      #expect(
        try await db.list(options: .init(transform: .firstNode)).collect().map(\.count) == [1])
    }
    let merged = try await clone.put("k", "merged", as: .utf8)
    try await sync(owner, clone)
    #expect(try await owner.get("k") == [merged])
    #expect(try await owner.get("k", as: .utf8) == ["merged"])
  }

  @Test func `what an unauthorized writer wrote stays here until it is authorized`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("a", [1])
    let clone = try await owner.clone(authorized: false)
    let early = try await clone.put("b", [2])
    #expect(!early.isFromAuthorizedWriter)
    try await sync(owner, clone)
    #expect(try await owner.values("b").isEmpty)
    #expect(try await clone.values("b") == [[2]])
    #expect(await !clone.isLocalAuthorized)
    try await owner.authorize(clone.localKey)
    try await sync(owner, clone)
    #expect(await clone.isLocalAuthorized)
    #expect(try await owner.values("b") == [[2]])
    #expect(try await clone.get("b").map(\.isFromAuthorizedWriter) == [true])
  }

  @Test func `authorization is passed on and not written twice`() async throws {
    let owner = try await HyperDB.inMemory()
    let second = try await owner.clone()
    try await sync(owner, second)
    let third = try await second.clone()
    try await sync(owner, second)
    for db in [owner, second] { #expect(await db.isAuthorized(third.localKey)) }
    // A feed counts once a block of it is there.
    #expect(await owner.feedCount == 2)
    try await sync(owner, third)
    try await sync(owner, second)
    for db in [owner, second, third] {
      #expect(await db.isAuthorized(third.localKey))
      #expect(await Set(db.feeds.map(\.key)) == [owner.key, second.localKey, third.localKey])
    }
    let length = await owner.feeds[0].length
    try await owner.authorize(second.localKey)
    try await owner.authorize(owner.key)
    #expect(await owner.feeds[0].length == length)
    #expect(await !owner.isAuthorized(KeyPair.generate().publicKey))
  }

  @Test(.timeLimit(.minutes(1)))
  func `replicas that know different writers exchange all of them and end`() async throws {
    let owner = try await HyperDB.inMemory()
    let left = try await owner.clone()
    let right = try await owner.clone()
    try await sync(owner, left)
    try await sync(owner, right)
    // Each of two replicas authorizes writers that are unknown to the other.
    var others: [HyperDB] = []
    for (host, count) in [(left, 2), (right, 3)] {
      for number in 0..<count {
        let clone = try await host.clone()
        try await sync(host, clone)
        try await clone.put("from/\(others.count)", [UInt8(number)])
        try await sync(host, clone)
        others.append(clone)
      }
    }
    try await sync(left, right)
    for db in [left, right] {
      #expect(await db.feedCount == 8)
      for number in 0..<others.count {
        #expect(try await db.values("from/\(number)").count == 1, "\(number)")
      }
    }
    // The newest of one side and of the other.
    try await sync(others[0], others[4])
    #expect(try await others[0].values("from/4").count == 1)
    #expect(try await others[4].values("from/0").count == 1)
  }

  @Test(.timeLimit(.minutes(1))) func `a feed that is authorized while connected is opened`()
    async throws
  {
    let owner = try await HyperDB.inMemory()
    let clone = try await owner.clone(authorized: false)
    let connection = try await LiveConnection(owner, clone)
    try await clone.put("from/clone", [1])
    try await owner.authorize(clone.localKey)
    try await owner.until("from/clone", has: [[1]])
    try await clone.put("from/clone", [2])
    try await owner.until("from/clone", has: [[2]])
    await connection.end()
  }

  @Test(.timeLimit(.minutes(1))) func `three replicas in a line reach each other`() async throws {
    let owner = try await HyperDB.inMemory()
    let middle = try await owner.clone()
    let far = try await owner.clone()
    let connections = [
      try await LiveConnection(owner, middle), try await LiveConnection(middle, far),
    ]
    try await owner.put("from/owner", [1])
    try await far.until("from/owner", has: [[1]])
    try await far.put("from/far", [2])
    try await owner.until("from/far", has: [[2]])
    try await middle.put("from/middle", [3])
    try await owner.until("from/middle", has: [[3]])
    try await far.until("from/middle", has: [[3]])
    for connection in connections { await connection.end() }
    #expect(try await owner.heads().count == 1)
  }

  @Test func `a conflict is settled by a function of the caller`() async throws {
    let owner = try await HyperDB.inMemory()
    let clone = try await owner.clone()
    try await sync(owner, clone)
    try await owner.put("k", [3])
    try await clone.put("k", [4])
    try await sync(owner, clone)
    struct Unable: Error {}
    await #expect(throws: Unable.self) { try await owner.resolve("k") { _ in throw Unable() } }
    #expect(try await owner.get("k").count == 2)
    let settled = try await owner.resolve("k") { nodes in
      [nodes.reduce(0) { $0 + ($1.value?.first ?? 0) }]
    }
    #expect(settled?.value == [7])
    #expect(try await owner.values("k") == [[7]])
    #expect(try await owner.resolve("k") { _ in [] } == nil)
    let raised = try await owner.update("k") { [($0.first?.value?.first ?? 0) + 1] }
    #expect(raised.value == [8])
    try await owner.update("k") { _ in nil }
    #expect(try await owner.get("k").isEmpty)
  }

  @Test func `a delete and a value are in conflict`() async throws {
    let owner = try await HyperDB.inMemory()
    let clone = try await owner.clone()
    try await owner.put("k", [0])
    try await sync(owner, clone)
    try await owner.delete("k")
    try await clone.put("k", [1])
    try await sync(owner, clone)
    #expect(try await owner.get("k").map(\.isDeleted).sorted { $0 && !$1 } == [true, false])
    #expect(try await clone.values("k") == [[1]])
  }

  @Test func `a replica in a folder keeps its writer and its peers' feeds`() async throws {
    let folder = try TemporaryFolder()
    let owner = try await HyperDB.inMemory()
    let clone = try await HyperDB.open(folder: folder.path, key: owner.key)
    try await owner.authorize(clone.localKey)
    let third = try await owner.clone()
    try await third.put("from/third", [3])
    try await sync(owner, third)
    try await sync(owner, clone)
    try await clone.put("from/clone", [2])
    let localKey = clone.localKey
    await clone.close()
    let again = try await HyperDB.open(folder: folder.path)
    #expect(again.key == owner.key)
    #expect(again.localKey == localKey)
    #expect(await again.isLocalAuthorized)
    #expect(await again.feedCount == 3)
    #expect(try await again.values("from/third") == [[3]])
    #expect(try await again.put("from/clone", [4]).seq == 2)
    try await sync(owner, again)
    #expect(try await owner.values("from/clone") == [[4]])
    await again.close()
  }

  @Test func `a feed that is only named gets no folder before its first block`() async throws {
    let storage = MemoryStorage()
    let owner = try await HyperDB.open(storage)
    let clone = try await owner.clone()
    let prefix = "peers/\(clone.localKey.discoveryKey.hex)/"
    #expect(try !storage.exists(prefix + "key"))
    #expect(try !storage.exists(prefix + "bitfield"))
    try await sync(owner, clone)
    #expect(try storage.exists(prefix + "key"))
    #expect(try storage.exists(prefix + "tree"))
    #expect(try !storage.exists(prefix + "secret_key"))
  }

  @Test func `a writer that streams its changes writes them in batches`() async throws {
    let db = try await HyperDB.inMemory()
    let writer = db.writer()
    for number in 0..<3000 { try await writer.write(.put("k/\(number)", [1])) }
    try await writer.write([.delete("k/7"), .put("k/8", [2])])
    try await writer.finish()
    #expect(try await db.list("k").collect().count == 2999)
    #expect(try await db.values("k/8") == [[2]])
    try await writer.write(.put(String(repeating: "k", count: 5000), [1]))
    await #expect(throws: HyperDBError.self) { try await writer.finish() }
    await #expect(throws: HyperDBError.self) { try await writer.write(.put("x", [1])) }
    #expect(try await db.values("x").isEmpty)
  }
}
