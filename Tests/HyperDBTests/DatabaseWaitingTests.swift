import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import Testing

/// Calls that wait for peers, and the ends of their waits.
@Suite struct DatabaseWaitingTests {
  private func emptyClone() async throws -> HyperDB {
    try await HyperDB.inMemory(key: KeyPair.generate().publicKey)
  }

  typealias Call = @Sendable (HyperDB) async throws -> Void

  static let waitingCalls: [(name: String, call: Call)] = [
    ("get", { _ = try await $0.get("a") }),
    ("prefix get", { _ = try await $0.get(prefix: "a") }),
    ("list", { _ = try await $0.list().collect() }),
    ("history", { _ = try await $0.history().collect() }),
    ("key history", { _ = try await $0.history(of: "a").collect() }),
    ("diff", { _ = try await $0.diff(nil).collect() }),
    ("heads", { _ = try await $0.heads() }),
    ("version", { _ = try await $0.version() }),
    ("snapshot", { _ = try await $0.snapshot() }),
    ("authorize", { try await $0.authorize(KeyPair.generate().publicKey) }),
  ]

  @Test(arguments: waitingCalls.indices)
  func `on an empty clone a read waits until its task is cancelled`(index: Int) async throws {
    let db = try await emptyClone()
    let call = Self.waitingCalls[index].call
    let task = Task { try await call(db) }
    await Task.yield()
    task.cancel()
    await #expect(throws: CancellationError.self, "\(Self.waitingCalls[index].name)") {
      try await task.value
    }
  }

  @Test func `a read that waits ends with its timeout`() async throws {
    let db = try await emptyClone()
    let error = await #expect(throws: HyperDBError.self) {
      try await db.get("a", options: .init(timeout: .milliseconds(1)))
    }
    #expect(error?.code == .timedOut)
    let listed = await #expect(throws: HyperDBError.self) {
      try await db.list(options: .init(timeout: .milliseconds(1))).collect()
    }
    #expect(listed?.code == .timedOut)
    await #expect(throws: HyperDBError.self) { try await db.heads(timeout: .milliseconds(1)) }
    await #expect(throws: HyperDBError.self) {
      try await db.authorize(KeyPair.generate().publicKey, timeout: .milliseconds(1))
    }
  }

  @Test func `a read that waits ends when the database is closed`() async throws {
    let db = try await emptyClone()
    let tasks = (0..<3).map { _ in Task { _ = try await db.get("a") } }
    await Task.yield()
    await db.close()
    for task in tasks {
      await #expect(throws: HyperDBError.self) { try await task.value }
    }
  }

  @Test func `what needs no peer doesn't wait for one`() async throws {
    let db = try await emptyClone()
    #expect(try await db.get("a", options: .init(update: false)).isEmpty)
    #expect(try await db.list(options: .init(update: false)).collect().isEmpty)
    #expect(await !db.isAuthorized(db.localKey))
    let changes = await db.watch("a")
    let node = try await db.put("a", [1])
    #expect(!node.isFromAuthorizedWriter)
    #expect(await !db.isLocalAuthorized)
    var iterator = changes.makeAsyncIterator()
    #expect(try await iterator.next() != nil)
    // Once something is written there is something to read.
    #expect(try await db.get("a").map(\.value) == [[1]])
    try await db.batch([.put("b", [2])])
    try await db.delete("a")
    #expect(try await db.list().collect().count == 1)
  }

  @Test func `a database can be told never to wait`() async throws {
    var options = HyperDBOptions()
    options.update = false
    let db = try await HyperDB.inMemory(key: KeyPair.generate().publicKey, options: options)
    #expect(try await db.get("a").isEmpty)
    #expect(try await db.history().collect().isEmpty)
    #expect(try await db.heads().isEmpty)
    #expect(try await db.version().isEmpty)
  }

  @Test func `a read that waits is answered once a peer has come`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("a", [1])
    let clone = try await owner.clone(authorized: false)
    let waiting = Task { try await clone.get("a") }
    await Task.yield()
    let connection = try await LiveConnection(owner, clone)
    _ = try await waiting.value
    try await clone.until("a", has: [[1]])
    await connection.end()
  }
}
