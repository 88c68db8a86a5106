import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import Testing

@Suite struct DatabaseWatchingTests {
  @Test func `watching begins with the call`() async throws {
    let db = try await HyperDB.inMemory()
    var changes = await db.watch("a").makeAsyncIterator()
    try await db.put("a/b", [1])
    #expect(try await changes.next() != nil)
    try await db.put("a", [2])
    #expect(try await changes.next() != nil)
  }

  @Test func `many changes are one, and others are none`() async throws {
    let db = try await HyperDB.inMemory()
    let all = await db.watch("/a")
    var changes = all.makeAsyncIterator()
    for number in 0..<10 { try await db.put("a/\(number)", [1]) }
    try await db.put("b", [2])
    #expect(try await changes.next() != nil)
    let waiting = Task {
      for try await _ in all { return true }
      return false
    }
    try await db.put("b", [3])
    try await db.put("ab", [3])
    await Task.yield()
    waiting.cancel()
    #expect(try await !waiting.value)
    try await db.delete("a/3")
    #expect(try await changes.next() != nil)
  }

  @Test func `the last of many changes is never missed`() async throws {
    let db = try await HyperDB.inMemory()
    let changes = await db.watch("k")
    let reader = Task {
      for try await _ in changes {
        if try await db.values("k") == [[99]] { return true }
      }
      return false
    }
    for number in 0..<100 {
      try await db.put("k", [UInt8(number)])
      if number.isMultiple(of: 7) { await Task.yield() }
    }
    #expect(try await reader.value)
  }

  @Test func `a watch ends when the database closes or the sequence is cancelled`() async throws {
    let db = try await HyperDB.inMemory()
    let first = await db.watch("a")
    let second = await db.watch("a")
    let tasks = [first, second].map { changes in
      Task {
        var count = 0
        for try await _ in changes { count += 1 }
        return count
      }
    }
    await Task.yield()
    await first.cancel()
    #expect(try await tasks[0].value == 0)
    await db.close()
    #expect(try await tasks[1].value == 0)
  }

  @Test func `a change that a peer brings is told`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("x", [0])
    let clone = try await owner.clone()
    let connection = try await LiveConnection(owner, clone)
    var changes = await clone.watch("a").makeAsyncIterator()
    try await owner.put("a", [1])
    #expect(try await changes.next() != nil)
    #expect(try await clone.values("a") == [[1]])
    await connection.end()
  }
}
