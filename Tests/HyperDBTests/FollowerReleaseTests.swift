import DatTesting
import Hypercore
import Testing

@testable import HyperDB

/// The release of everything that was kept for readers that have left.
@Suite(.timeLimit(.minutes(1))) struct FollowerReleaseTests {
  @Test func `a follower that leaves early, or never reads, leaves nothing behind`() async throws {
    let db = try await HyperDB.inMemory()
    for _ in 0..<100 {
      for await _ in db.updates() { break }
      _ = db.updates()
    }
    #expect(db.followers.isEmpty)
    let kept = db.updates()
    #expect(db.followers.pendingCounts == [0])
    withExtendedLifetime(kept) {}
  }

  @Test func `a watch that is left early leaves nothing behind`() async throws {
    let db = try await HyperDB.inMemory()
    for _ in 0..<100 {
      let changes = await db.watch("a")
      try await db.put("a", [1])
      for try await _ in changes { break }
      _ = await db.watch("b")
    }
    #expect(db.watchers.isEmpty)
  }

  @Test func `entries from another time are not told again`() async throws {
    let db = try await HyperDB.inMemory()
    for number in 0..<10 { try await db.put("k/\(number)", [1]) }
    let updates = db.updates(after: [db.key: 7], valuesUpTo: .max)
    var seqs: [UInt64] = []
    reading: for await update in updates {
      switch update {
      case .entries(let nodes): seqs += nodes.map(\.seq)
      case .caughtUp: break reading
      default: break
      }
    }
    #expect(seqs == [8, 9, 10])
  }

  @Test func `what happens between the call and the first look is told`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("x", [0])
    let clone = try await owner.clone()
    let updates = clone.updates()
    let connection = try await LiveConnection(owner, clone)
    try await owner.authorize(clone.localKey)
    while await !clone.isLocalAuthorized { await Task.yield() }
    var isTold = false
    for await update in updates {
      if case .authorized = update { isTold = true }
      if isTold { break }
    }
    #expect(isTold)
    await connection.end()
  }
}
