import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Reading and writing through the public database, one replica.
@Suite struct DatabaseReadingTests {
  private func filled() async throws -> HyperDB {
    let db = try await HyperDB.inMemory()
    try await db.put("a", "1", as: .utf8)
    try await db.put("a/b", "2", as: .utf8)
    try await db.put("c", "3", as: .utf8)
    try await db.delete("c")
    return db
  }

  @Test func `a value is got by its key, with or without a leading slash`() async throws {
    let db = try await HyperDB.inMemory()
    let written = try await db.put("/people/ana", "Bogotá", as: .utf8)
    #expect(written.key == "people/ana")
    #expect(written.seq == 1)
    #expect(written.clock == [db.key: 2])
    #expect(written.isFromAuthorizedWriter)
    let nodes = try await db.get("people/ana")
    #expect(nodes == [written])
    #expect(try await db.get("/people/ana", as: .utf8) == ["Bogotá"])
    #expect(try await db.get("people").isEmpty)
    #expect(try await db.get(prefix: "people") == [written])
  }

  @Test func `a deleted key is given on request only`() async throws {
    let db = try await filled()
    #expect(try await db.get("c").isEmpty)
    let node = try #require(try await db.get("c", options: .init(deletes: true)).first)
    #expect(node.isDeleted)
    #expect(node.value == nil)
    #expect(try await db.get("c", as: .utf8, options: .init(deletes: true)).isEmpty)
  }

  @Test func `a put if absent writes once, and not over a delete`() async throws {
    let db = try await HyperDB.inMemory()
    #expect(try await db.put(ifAbsent: "k", "1", as: .utf8) != nil)
    #expect(try await db.put(ifAbsent: "k", "2", as: .utf8) == nil)
    #expect(try await db.get("k", as: .utf8) == ["1"])
    try await db.delete("k")
    #expect(try await db.put(ifAbsent: "k", "3", as: .utf8) == nil)
    #expect(try await db.history().collect().count == 2)
  }

  @Test func `a batch is written whole or not at all`() async throws {
    let db = try await HyperDB.inMemory()
    let nodes = try await db.batch([
      .put("a", [1]), .put("b", "two", as: .utf8), .delete("a"),
    ])
    #expect(nodes.map(\.seq) == [1, 2, 3])
    #expect(nodes.map { $0.clock[db.key] } == [2, 3, 4])
    #expect(try await db.get("a").isEmpty)
    #expect(try await db.get("b", as: .utf8) == ["two"])
    await #expect(throws: HyperDBError.self) {
      try await db.batch([
        .put("c", [3]), .put(String(repeating: "k", count: HyperDBLimits.keyBytes + 1), [4]),
      ])
    }
    #expect(try await db.get("c").isEmpty)
    #expect(try await db.batch([]).isEmpty)
    #expect(try await db.put("d", [4]).seq == 4)
  }

  @Test func `a list takes its options`() async throws {
    let db = try await filled()
    func keys(_ prefix: String, _ options: ListingOptions = ListingOptions()) async throws
      -> [String]
    {
      try await db.list(prefix, options: options).collect().map { $0[0].key }
    }
    let all = try await keys("")
    #expect(Set(all) == ["a", "a/b"])
    #expect(try await keys("", .init(reverse: true)) == all.reversed())
    #expect(try await keys("a") == ["a", "a/b"])
    #expect(try await keys("a", .init(after: true)) == ["a/b"])
    #expect(try await keys("", .init(recursive: false)).count == 1)
    #expect(try await Set(keys("", .init(deletes: true))) == ["a", "a/b", "c"])
    #expect(try await keys("b").isEmpty)
  }

  @Test func `history goes forward, back, and along one key`() async throws {
    let db = try await filled()
    let keys = try await db.history().collect().map(\.key)
    #expect(keys == ["a", "a/b", "c", "c"])
    #expect(try await db.history(reverse: true).collect().map(\.key) == keys.reversed())
    #expect(
      try await db.history(of: "c").collect().map { $0.map(\.isDeleted) } == [[true], [false]])
    #expect(try await db.history(of: "nothing").collect().isEmpty)
  }

  @Test func `a checkout stays what it was`() async throws {
    let db = try await filled()
    let version = try await db.version()
    let snapshot = try await db.snapshot()
    try await db.put("a", "later", as: .utf8)
    let checkout = try await db.checkout(version)
    for old in [snapshot, checkout] {
      #expect(try await old.get("a", as: .utf8) == ["1"])
      #expect(try await old.version() == version)
      #expect(try await Set(old.list().collect().map { $0[0].key }) == ["a", "a/b"])
      #expect(try await old.history().collect().count == 4)
      #expect(try await old.history(of: "a").collect().count == 1)
      #expect(try await old.heads().map(\.seq) == [4])
    }
    #expect(try await db.checkout(source: 1).list().collect().count == 1)
    let heads = try await snapshot.heads()
    #expect(try await db.checkout(heads: heads).version() == version)
    #expect(try await db.checkout(hex: Hex(version)).version() == version)
    #expect(try await db.get("a", as: .utf8) == ["later"])
    #expect(try await db.heads().map(\.seq) == [5])
  }

  @Test func `a version that is none is refused`() async throws {
    let db = try await filled()
    let version = try await db.version()
    let other = try await HyperDB.inMemory()
    try await other.put("x", [1])
    for bytes in [
      Array(version.dropLast()), [1, 2, 3], Array(version.dropLast()) + [99],
      Array(version.dropLast()) + [0], try await other.version(),
    ] {
      let error = await #expect(throws: HyperDBError.self) { try await db.checkout(bytes) }
      #expect(error?.code == .invalidVersion)
    }
    let error = await #expect(throws: HyperDBError.self) { try await db.checkout(hex: "xyz") }
    #expect(error?.code == .invalidVersion)
    #expect(try await db.checkout([]).list().collect().isEmpty)
  }

  @Test func `a diff tells added, changed and removed keys`() async throws {
    let db = try await filled()
    let before = try await db.snapshot()
    try await db.put("a", "new", as: .utf8)
    try await db.put("d", "added", as: .utf8)
    try await db.delete("a/b")
    let changes = try await db.diff(before).collect()
    var found: [String: (Bool, Bool)] = [:]
    for change in changes {
      let key = try #require(change.left?.first?.key ?? change.right?.first?.key)
      found[key] = (change.left != nil, change.right != nil)
    }
    #expect(found.count == 3)
    #expect(found["a"] ?? (false, false) == (true, true))
    #expect(found["d"] ?? (false, false) == (true, false))
    #expect(found["a/b"] ?? (false, false) == (false, true))
    #expect(try await db.diff(before, prefix: "a").collect().count == 2)
    #expect(try await db.diff(nil).collect().count == 2)
    #expect(try await db.snapshot().diff(before).collect().count == 3)
    let other = try await HyperDB.inMemory().checkout([])
    await #expect(throws: HyperDBError.self) { try await db.diff(other).collect() }
  }

  @Test func `nodes are mapped and reduced by the database or by the call`() async throws {
    var options = HyperDBOptions()
    options.transform = NodeTransform(map: { $0.with(value: ($0.value ?? []) + [0]) })
    let db = try await HyperDB.inMemory(options: options)
    try await db.put("a", [1])
    #expect(try await db.get("a").map(\.value) == [[1, 0]])
    #expect(try await db.list().collect().map { $0.map(\.value) } == [[[1, 0]]])
    #expect(try await db.history(of: "a").collect().map { $0.map(\.value) } == [[[1, 0]]])
    #expect(try await db.history().collect().map(\.value) == [[1]])
    #expect(try await db.get("a", options: .init(transform: .unchanged)).map(\.value) == [[1]])
    let twice = NodeTransform(map: { $0.with(value: [2]) })
    #expect(try await db.get("a", options: .init(transform: twice)).map(\.value) == [[2]])
    #expect(
      try await db.list(options: .init(transform: twice)).collect().map { $0.map(\.value) }
        == [[[2]]])
    struct Refusal: Error {}
    let throwing = NodeTransform(map: { _ in throw Refusal() })
    await #expect(throws: Refusal.self) {
      try await db.get("a", options: .init(transform: throwing))
    }
  }

  @Test func `JSON is stored as hyperdb stores it`() async throws {
    struct Person: Codable, Equatable, Sendable {
      var name: String
      var url: String
    }
    let db = try await HyperDB.inMemory()
    let ana = Person(name: "ana", url: "dat://a/b")
    try await db.put("ana", ana, as: .json())
    let stored = try #require(try await db.get("ana").first?.value)
    #expect(String(decoding: stored, as: UTF8.self) == #"{"name":"ana","url":"dat://a/b"}"#)
    #expect(try await db.get("ana", as: .json(Person.self)) == [ana])
    try await db.put("none", Optional<Int>.none, as: .json())
    #expect(try await db.get("none").map(\.value) == [nil])
    #expect(try await db.get("none", as: .json(Int?.self)) == [nil])
    try await db.put("zero", 0, as: .json())
    #expect(try await db.get("zero", as: .json(Int.self)) == [0])
    try await db.put("empty", [], as: .binary)
    #expect(try await db.get("empty").map(\.value) == [[]])
    let error = await #expect(throws: HyperDBError.self) {
      try await db.get("ana", as: .json(Int.self))
    }
    #expect(error?.code == .value)
    #expect(error?.seq == 1)
    let unwritten = await #expect(throws: HyperDBError.self) {
      try await db.put("nan", Double.nan, as: .json())
    }
    #expect(unwritten?.code == .value)
    #expect(try await db.put("next", [1]).seq == 5)
  }

  @Test func `keys differ by their bytes`() async throws {
    let db = try await HyperDB.inMemory()
    try await db.put("\u{e9}", [1])
    try await db.put("e\u{301}", [2])
    #expect(try await db.get("\u{e9}").map(\.value) == [[1]])
    #expect(try await db.get("e\u{301}").map(\.value) == [[2]])
    #expect(try await db.get("e").isEmpty)
    #expect(try await db.list().collect().count == 2)
  }

  @Test func `what is too large is refused and leaves nothing behind`() async throws {
    let db = try await HyperDB.inMemory()
    let long = await #expect(throws: HyperDBError.self) {
      try await db.put(String(repeating: "k", count: 1 << 20), [1])
    }
    #expect(long?.code == .keyTooLong)
    let deep = await #expect(throws: HyperDBError.self) {
      try await db.put(String(repeating: "k/", count: 100) + "k", [1])
    }
    #expect(deep?.code == .keyTooLong)
    let large = await #expect(throws: HyperDBError.self) {
      try await db.put("k", [UInt8](repeating: 1, count: 8 << 20))
    }
    #expect(large?.code == .entryTooLarge)
    let most = [UInt8](repeating: 1, count: HyperDBLimits.entryBytes - 1024)
    #expect(try await db.put("k", most).seq == 1)
    #expect(try await db.get("k").map(\.value) == [most])
  }

  @Test func `a database that is closed says so`() async throws {
    let db = try await filled()
    let list = db.list()
    await db.close()
    await db.close()
    let read = await #expect(throws: HyperDBError.self) { try await db.get("a") }
    #expect(read?.code == .closed)
    let write = await #expect(throws: HyperDBError.self) { try await db.put("a", [1]) }
    #expect(write?.code == .closed)
    await #expect(throws: HyperDBError.self) { try await list.collect() }
  }

  @Test func `a folder keeps the database, and reading only changes nothing`() async throws {
    let folder = try TemporaryFolder()
    let db = try await HyperDB.open(folder: folder.path)
    try await db.put("a", [1])
    await db.close()
    let reader = try await HyperDB.open(folder: folder.path, access: .readOnly)
    #expect(reader.key == db.key)
    #expect(try await reader.get("a").map(\.value) == [[1]])
    for write in [
      { _ = try await reader.put("b", [2]) }, { _ = try await reader.delete("a") },
      { try await reader.authorize(db.key) }, { _ = try await reader.batch([.put("b", [2])]) },
    ] as [@Sendable () async throws -> Void] {
      let error = await #expect(throws: HyperDBError.self) { try await write() }
      #expect(error?.code == .readOnly)
    }
    await reader.close()
    let again = try await HyperDB.open(folder: folder.path)
    #expect(try await again.put("b", [2]).seq == 2)
    await again.close()
  }

  private func Hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }
}
