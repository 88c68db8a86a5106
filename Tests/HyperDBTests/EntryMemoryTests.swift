import Testing

@testable import HyperDB

/// The memory that entries and the index of their paths share.
struct EntryMemoryTests {
  @Test func `paths are indexed with the second read of a cut, and not for a single one`() throws {
    let log = MemoryLog(key: try HostileRoom.key(1), isWritable: true)
    func open() throws -> DatabaseCore {
      try DatabaseCore(source: log, local: nil, options: DatabaseCore.Options()) {
        MemoryLog(key: $0, isWritable: false)
      }
    }
    let key = Array("a".utf8)
    let last = try #require(try open().write([.put(key, [1])]).last)
    let core = try open()
    #expect(core.memory.index != nil)
    for head in [nil, last.location, last.location] {
      #expect(try core.get(key, in: core.snapshot(.local)).count == 1)
      #expect(core.memory.index?.head == head)
    }
    let other = try open()
    let cut = try other.snapshot(.local)
    #expect(other.memory.index(for: cut, in: cut) == nil)
    #expect(other.memory.index(for: cut, in: cut)?.head == last.location, "the second read has it")
  }

  @Test func `places of entries are bounded, however long a writer says its feed is`() {
    let cache = EntryCache(limit: 1 << 20)
    func isHeld(_ feed: Int, _ seq: Int) -> Bool {
      let location = FeedSequence(feed: feed, seq: seq)
      cache.insert(.bad, at: location)
      if case .bad = cache[location] { return true }
      return false
    }
    // There are places for 33 million entries of all feeds together.
    #expect(!isHeld(0, 1 << 25))
    #expect(isHeld(0, 1 << 24))
    #expect(!isHeld(1, 1 << 24))
    #expect(isHeld(1, 1 << 23))
    #expect(isHeld(0, 7))
  }

  @Test func `the local cut is worked out once, until a feed grows`() throws {
    let room = try HostileRoom()
    let first = try room.core.snapshot(.local)
    func isFirst() throws -> Bool {
      let heads = try room.core.snapshot(.local).heads
      return heads.withUnsafeBufferPointer { heads in
        first.heads.withUnsafeBufferPointer { heads.baseAddress == $0.baseAddress }
      }
    }
    #expect(try isFirst())
    try room.core.put(Array("later".utf8), [1])
    #expect(try !isFirst())
  }
}
