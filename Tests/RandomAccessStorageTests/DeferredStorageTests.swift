import DatTesting
import RandomAccessStorage
import Testing

/// Files that stay in memory until there is something worth keeping.
struct DeferredStorageTests {
  private static let header = [UInt8](repeating: 1, count: 32)

  @Test func `headers and keys alone create nothing, and the first entry writes all`() throws {
    let base = MemoryStorage()
    let storage = DeferredStorage(base)
    let (key, tree, data) = (
      try storage.storage(named: "key"), try storage.storage(named: "tree"),
      try storage.storage(named: "data")
    )
    try key.write([StorageWrite(offset: 0, bytes: Self.header + Self.header)])
    try tree.write([StorageWrite(offset: 0, bytes: Self.header)])
    #expect(base.names == [])
    try tree.write([StorageWrite(offset: 32, bytes: [2])])
    #expect(base.names == ["key", "tree"])
    #expect(try base.storage(named: "key").length() == 64)
    #expect(try base.storage(named: "tree").length() == 33)
    try data.write([StorageWrite(offset: 0, bytes: [3])])
    #expect(try base.storage(named: "data").length() == 1)
  }

  @Test func `a file that was let go of is written with the others`() throws {
    let base = MemoryStorage()
    let storage = DeferredStorage(base)
    do {
      let key = try storage.storage(named: "key")
      try key.write([StorageWrite(offset: 0, bytes: Self.header)])
      key.close()
    }
    try storage.storage(named: "data").write([StorageWrite(offset: 0, bytes: Self.header + [4])])
    #expect(base.names == ["data", "key"])
  }

  @Test func `what is removed is not written, and what was written is removed`() throws {
    let base = MemoryStorage()
    let storage = DeferredStorage(base)
    let (key, tree) = (try storage.storage(named: "key"), try storage.storage(named: "tree"))
    for file in [key, tree] { try file.write([StorageWrite(offset: 0, bytes: Self.header)]) }
    try storage.remove("key")
    try tree.write([StorageWrite(offset: 32, bytes: [2])])
    #expect(base.names == ["tree"])
    // A file that came after all were written.
    try storage.storage(named: "late").write([StorageWrite(offset: 0, bytes: [3])])
    #expect(try base.names == ["late", "tree"] && storage.exists("late"))
    try storage.remove("late")
    #expect(try base.storage(named: "late").length() == 0)
    try storage.remove("tree")
    #expect(try base.storage(named: "tree").length() == 0)
  }

  @Test func `after an error the next write tries again, and nothing is lost`() throws {
    let base = MemoryStorage()
    let faulty = FaultyStorage(base)
    let storage = DeferredStorage(faulty)
    let files = try ["key", "bitfield", "tree"].map { try storage.storage(named: $0) }
    for file in files { try file.write([StorageWrite(offset: 0, bytes: Self.header)]) }
    for call in 0..<files.count {
      faulty.fail(.init(call: call, kinds: [.write]))
      #expect(throws: StorageError.self) {
        try files[2].write([StorageWrite(offset: 32, bytes: [2])])
      }
      for file in files { #expect(try file.length() == (call == 2 && file === files[0] ? 33 : 32)) }
      faulty.fail(nil)
      // The key is there now, and stays as it is written there.
      if call == 1 {
        try storage.storage(named: "key").write([StorageWrite(offset: 32, bytes: [3])])
      }
    }
    try files[2].write([StorageWrite(offset: 32, bytes: [2])])
    #expect(base.names == ["bitfield", "key", "tree"])
    #expect(
      try ["key", "bitfield", "tree"].map { try base.storage(named: $0).length() } == [33, 32, 33])
  }

  @Test func `a storage that is dropped without being closed is freed`() throws {
    weak var dropped: DeferredStorage?
    do {
      let storage = DeferredStorage(MemoryStorage())
      dropped = storage
      try storage.storage(named: "tree").write([StorageWrite(offset: 0, bytes: Self.header)])
      let tree = try storage.storage(named: "tree")
      #expect(try tree.length() == 32)
    }
    #expect(dropped == nil)
  }
}
