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
  }
}
