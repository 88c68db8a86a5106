import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// The reference's known defects: its own answer in raw mode, the right one otherwise.
struct QuirkTests {
  /// Databases of one room that exchange all blocks on request.
  private struct Pair {
    let left: DatabaseCore
    let right: DatabaseCore

    /// - Parameter isAuthorized: true if the owner lists the other from the start.
    init(hash: PathHash = .standard, isAuthorized: Bool = true) throws {
      let source = MemoryLog(key: try Self.key(1), isWritable: true)
      let other = MemoryLog(key: try Self.key(2), isWritable: true)
      var options = DatabaseCore.Options()
      options.hash = hash
      left = try DatabaseCore(source: source, local: nil, options: options) {
        MemoryLog(key: $0, isWritable: false)
      }
      right = try DatabaseCore(
        source: MemoryLog(key: source.key, isWritable: false), local: other, options: options
      ) { MemoryLog(key: $0, isWritable: false) }
      if isAuthorized {
        try left.authorize(other.key.bytes)
        try sync()
      }
    }

    static func key(_ number: UInt8) throws -> PublicKey {
      try #require(PublicKey(bytes: Array(repeating: number, count: 32)))
    }

    func sync() throws {
      for (from, to) in [(left, right), (right, left), (left, right)] {
        _ = try from.snapshot(.local)
        for key in to.candidates {
          guard let own = from.number(of: key), let source = from.log(of: own) as? MemoryLog
          else { continue }
          try to.admit(
            MemoryLog(key: key, isWritable: false, blocks: Array(source.blocks.prefix(1))))
        }
        for key in from.feedKeys {
          guard let number = to.number(of: key), let own = from.number(of: key),
            let source = from.log(of: own) as? MemoryLog,
            let target = to.log(of: number) as? MemoryLog
          else { continue }
          target.blocks += source.blocks.dropFirst(target.blocks.count)
        }
        _ = try to.snapshot(.local)
      }
    }
  }

  private func keys(
    _ core: DatabaseCore, _ prefix: String = "", _ options: ListOptions = ListOptions(),
    in snapshot: Snapshot? = nil
  ) throws -> [String] {
    try core.groups(prefix, options, in: snapshot ?? core.snapshot())
      .map { String(decoding: $0[0].key, as: UTF8.self) }
  }

  /// A hash that is equal for all keys, so that all of one depth collide.
  private static let flat = PathHash { _ in 0 }

  @Test func `an authorization is never listed, nor a key after itself`() throws {
    let pair = try Pair()
    #expect(try keys(pair.left, "", ListOptions(raw: true)) == [""])
    #expect(try keys(pair.left) == [])
    let alone = try Pair(isAuthorized: false).left
    try alone.put(Array("foo".utf8), [1])
    #expect(try keys(alone, "foo", ListOptions(after: true, raw: true)) == ["foo"])
    #expect(try keys(alone, "foo", ListOptions(after: true)) == [])
    #expect(try keys(alone, "foo") == ["foo"])
  }

  @Test func `a diff of a folder's own key names that key alone`() throws {
    let core = try Pair(isAuthorized: false).left
    try core.put(Array("a/b".utf8), [1])
    let before = try core.snapshot()
    try core.put(Array("a".utf8), [2])
    let after = try core.snapshot()
    #expect(try core.differences(before, after, ListOptions(raw: true)).count == 3)
    for options in [ListOptions(), ListOptions(reverse: true)] {
      let differences = try core.differences(before, after, options)
      #expect(differences.count == 1)
      #expect(differences.first?.left == nil)
      #expect(differences.first?.right?.map(\.key) == [Array("a".utf8)])
    }
  }

  @Test func `a folder of two writers is listed once`() throws {
    let pair = try Pair()
    try pair.left.put(Array("p/left".utf8), [1])
    try pair.right.put(Array("p/right".utf8), [2])
    try pair.right.put(Array("q".utf8), [3])
    try pair.sync()
    let raw = try keys(pair.left, "", ListOptions(recursive: false, raw: true))
    #expect(raw.sorted() == ["p/left", "p/right", "q"])
    let own = try keys(pair.left, "", ListOptions(recursive: false))
    #expect(own.sorted() == ["p/left", "q"])
  }

  @Test func `a key's history has another feed's first entry`() throws {
    let pair = try Pair(isAuthorized: false)
    try pair.right.put(Array("k".utf8), [1])
    try pair.left.authorize(Pair.key(2).bytes)
    try pair.sync()
    try pair.left.put(Array("k".utf8), [2])
    let snapshot = try pair.left.snapshot()
    let raw = try pair.left.keyGroups("k", raw: true, in: snapshot)
    #expect(raw.flatMap { $0.map(\.value) } == [[2]])
    let own = try pair.left.keyGroups("k", in: snapshot)
    #expect(own.flatMap { $0.map(\.value) } == [[2], [1]])
  }

  @Test func `a key with an entry under any head is not absent`() throws {
    let pair = try Pair()
    try pair.right.put(Array("k".utf8), [1])
    try pair.left.put(Array("z".utf8), [2])
    try pair.sync()
    let (written, existing) = try pair.left.putIfAbsent(Array("/k".utf8), [3])
    #expect(written == nil)
    #expect(existing.map(\.value) == [[1]])
    try pair.left.delete(Array("k".utf8))
    #expect(try pair.left.putIfAbsent(Array("k".utf8), [3]).written == nil)
    #expect(try pair.left.putIfAbsent(Array("new".utf8), [3]).written != nil)
  }

  @Test func `colliding keys are listed with their deletes, and in reverse`() throws {
    let core = try Pair(hash: Self.flat, isAuthorized: false).left
    for key in ["a", "b", "c"] { try core.put(Array(key.utf8), [1]) }
    try core.delete(Array("b".utf8))
    let deletes = ListOptions(deletes: true)
    #expect(try keys(core, "", ListOptions(deletes: true, raw: true)) == ["a", "c"])
    #expect(try keys(core, "", deletes) == ["a", "b", "c"])
    #expect(try keys(core, "") == ["a", "c"])
    #expect(try keys(core, "", ListOptions(reverse: true, raw: true)) == ["a", "c"])
    #expect(try keys(core, "", ListOptions(reverse: true)) == ["c", "a"])
  }

  @Test func `two writers' chains of colliding keys lose none`() throws {
    let pair = try Pair(hash: Self.flat)
    try pair.left.put(Array("x".utf8), [1])
    try pair.sync()
    try pair.left.put(Array("y".utf8), [2])
    try pair.right.put(Array("z".utf8), [3])
    try pair.sync()
    #expect(try pair.left.get(Array("x".utf8), in: pair.left.snapshot()).map(\.value) == [[1]])
    #expect(try keys(pair.left) == ["x", "y", "z"])
    #expect(
      try pair.left.get(Array("x".utf8), GetOptions(raw: true), in: pair.left.snapshot()).isEmpty)
  }

  @Test func `a batch that can't be written changes nothing`() throws {
    let core = try Pair(isAuthorized: false).left
    try core.put(Array("a".utf8), [1])
    let length = core.log(of: 0).length
    #expect(throws: HyperDBError.self) {
      try core.write([
        .put(Array("b".utf8), [2]),
        .put(Array(repeating: UInt8(ascii: "k"), count: HyperDBLimits.keyBytes + 1), [3]),
      ])
    }
    #expect(core.log(of: 0).length == length)
    #expect(try core.write([]).isEmpty)
    let node = try core.put(Array("b".utf8), [2])
    #expect(node.clock == [UInt64(length) + 1])
  }

  @Test func `authorizing reaches through writers and is written once by each`() throws {
    let pair = try Pair()
    let third = try Pair.key(3)
    #expect(!pair.left.isAuthorized(third))
    #expect(try pair.right.authorize(third.bytes) != nil)
    #expect(try pair.right.authorize(third.bytes) == nil)
    try pair.sync()
    #expect(pair.left.isAuthorized(third))
    // As long as nothing of the feed is there, it doesn't matter who else has named it.
    #expect(try pair.left.authorize(third.bytes) != nil)
    #expect(try pair.left.authorize(third.bytes) == nil)
    let header = MemoryLog(key: third, isWritable: false, blocks: [EntryMessageCodec.header])
    #expect(try pair.right.admit(header))
    #expect(try pair.right.authorize(third.bytes) == nil)
  }
}
