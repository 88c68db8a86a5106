import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@Suite struct FeedWritingTests {
  /// The indexes of the last blocks that were signed.
  private func signedBlocks(of feed: Feed) async throws -> [UInt64] {
    var signed: [UInt64] = []
    var next: UInt64 = 0
    while next < (await feed.length), let found = try await feed.signature(covering: next) {
      #expect(try await feed.verify(found.signature, upTo: found.index))
      signed.append(found.index)
      next = found.index + 1
    }
    return signed
  }

  @Test func `an append says where it is, a batch has one signature`() async throws {
    let feed = try await Feed.inMemory()
    #expect(try await feed.append([1]) == 0)
    #expect(try await feed.append(someBlocks(5)) == 1)
    #expect(try await feed.append([[UInt8]]()) == 6)
    #expect(try await feed.append([2]) == 6)
    #expect(try await signedBlocks(of: feed) == [0, 5, 6])
  }

  @Test func `bytes of any collection are appended`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append(Data([1, 2]))
    try await feed.append([1, 2, 3, 4][2...])
    try await feed.append("hello".utf8)
    #expect(try await feed.get(0..<3) == [[1, 2], [3, 4], Array("hello".utf8)])
  }

  // MARK: Clearing

  @Test func `bytes are cleared as whole blocks`() async throws {
    let feed = try await Feed.inMemory()
    // Bytes 0..<3, none, 3..<5, 5..<9, 9..<10.
    try await feed.append([[1, 2, 3], [], [4, 5], [6, 7, 8, 9], [10]])
    #expect(try await feed.clear(bytes: 1..<3) == 1..<2)
    #expect(try await feed.clear(bytes: 1..<1).isEmpty)
    #expect(try await feed.clear(bytes: 6..<9).isEmpty)
    #expect(try await feed.clear(bytes: 10..<99).isEmpty)
    #expect(await feed.downloaded() == 4)
    #expect(try await feed.clear(bytes: 2..<9) == 1..<4)
    #expect(await feed.has(0..<1))
    #expect(await feed.downloaded(in: 1..<4) == 0)
    #expect(await feed.has(4..<5))
    #expect(try await feed.clear(bytes: 0..<UInt64.max) == 0..<5)
    #expect(await feed.downloaded() == 0)
    #expect(await feed.byteLength == 10)
    try await feed.close()
    await expectFailure(.closed) { try await feed.clear(bytes: 0..<1) }
  }

  @Test func `bytes of a sparse feed are cleared as far as blocks are here`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append((0..<20).map { [UInt8](repeating: UInt8($0), count: 10) })
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key), sparse: true))
    for index in [3, 4, 11] as [UInt64] {
      try await copy.put(
        index, [UInt8](repeating: UInt8(index), count: 10), proof: try await feed.proof(of: index))
    }
    for bytes in [0..<35, 45..<110, 120..<200] as [Range<UInt64>] {
      try await copy.clear(bytes: bytes)
      #expect(await copy.downloaded() == 3, "\(bytes)")
    }
    try await copy.clear(bytes: 31..<119)
    #expect(await copy.has(3..<4))
    #expect(await copy.has(11..<12))
    #expect(await copy.downloaded() == 2)
    try await copy.clear(bytes: 1..<200)
    #expect(await copy.downloaded() == 0)
  }

  @Test(arguments: RecordedFeed.written.filter { $0.secretKey != nil && $0.blockBytes != nil })
  func `a feed written here has the bytes that Node wrote`(recorded: RecordedFeed) async throws {
    let pair = KeyPair(
      publicKey: recorded.publicKey,
      secretKey: try #require(recorded.secretKey.flatMap { SecretKey(hex: $0) }))
    // The batches are those that were signed.
    let blocks = try #require(recorded.blockBytes).compactMap { $0 }
    guard blocks.count == Int(recorded.length) else { return }
    let copy = try TemporaryFolder(copyOf: recorded.folder)
    let recordedFiles = try contents(of: copy)
    let node = try await Feed.open(folder: copy.path, access: .readOnly)
    let ends = try await signedBlocks(of: node)
    try await node.close()

    let folder = try TemporaryFolder()
    let feed = try await Feed.open(folder: folder.path, options: .init(keyPair: pair, isNew: true))
    var start = 0
    for end in ends {
      try await feed.append(Array(blocks[start...Int(end)]))
      start = Int(end) + 1
    }
    try await feed.close()
    let files = try contents(of: folder)
    for name in ["key", "secret_key", "tree", "data", "signatures"] {
      #expect(files[name] ?? [] == recordedFiles[name] ?? [], "\(name)")
    }
  }

  @Test func `concurrent appends all succeed, each with a place of its own`() async throws {
    let feed = try await Feed.inMemory()
    let places = try await withThrowingTaskGroup(of: (Int, UInt64).self) { group in
      for number in 0..<500 {
        group.addTask { (number, try await feed.append("\(number)", as: .utf8)) }
      }
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
    #expect(await feed.length == 500)
    #expect(Set(places.values) == Set(0..<500))
    for (number, place) in places {
      #expect(try await feed.get(place, as: .utf8) == "\(number)")
    }
    // All joined blocks are signed.
    #expect(try await signedBlocks(of: feed).last == 499)
  }

  @Test func `appends that come while one is written keep their order and are signed once`()
    async throws
  {
    let storage = GatedStorage()
    let feed = try await Feed.open(storage: storage)
    let caller = Caller(feed)
    storage.holdNextWrite()
    let first = Task { try await feed.append("first", as: .utf8) }
    await storage.arrived()
    let calls = (0..<5).map { number in Task { try await caller.append("\(number)") } }
    let order = await caller.called(5)
    storage.release()
    #expect(try await first.value == 0)
    for (number, call) in calls.enumerated() {
      #expect(try await call.value == UInt64(1 + order.firstIndex(of: "\(number)")!))
    }
    #expect(try await feed.get(0..<6, as: .utf8) == ["first"] + order)
    #expect(try await signedBlocks(of: feed) == [0, 5])
    // Appended one after another, they have a signature each.
    for number in 6...8 { try await feed.append("\(number)", as: .utf8) }
    #expect(try await signedBlocks(of: feed) == [0, 5, 6, 7, 8])
  }

  @Test func `appends that wait while one is brought to the disk share the next syncs`()
    async throws
  {
    let gate = GatedStorage()
    let disk = TrackingStorage(gate)
    var options = Feed.Options()
    options.durability = .synced
    let feed = try await Feed.open(storage: disk, options: options)
    let caller = Caller(feed)
    gate.holdNextWrite()
    let first = Task { try await feed.append("first", as: .utf8) }
    await gate.arrived()
    let calls = (0..<64).map { number in Task { try await caller.append("\(number)") } }
    _ = await caller.called(64)
    disk.reset()
    gate.release()
    #expect(try await first.value == 0)
    for call in calls { _ = try await call.value }
    #expect(await feed.length == 65)
    // Once for the first, once for the other 64.
    for name in ["data", "tree", "signatures"] { #expect(disk.calls(.sync, name).count == 2) }
  }

  /// A caller of appends, so that their order is known.
  private actor Caller {
    let feed: Feed
    var order: [String] = []

    init(_ feed: Feed) { self.feed = feed }

    func append(_ value: String) async throws -> UInt64 {
      // The call follows without a suspension in which another could come.
      order.append(value)
      return try await feed.append(value, as: .utf8)
    }

    /// Returns the order of the calls, once there were this many.
    func called(_ count: Int) async -> [String] {
      while order.count < count { await Task.yield() }
      return order
    }
  }

  @Test func `flush returns when what was appended is stored`() async throws {
    let disk = TrackingStorage(MemoryStorage())
    var options = Feed.Options()
    options.durability = .grouped(blocks: 100)
    let feed = try await Feed.open(storage: disk, options: options)
    // The keys are on the disk from the start: blocks are worth nothing without them.
    #expect(!disk.calls(.sync, "key").isEmpty && !disk.calls(.sync, "secret_key").isEmpty)
    disk.reset()
    try await feed.append(someBlocks(10))
    #expect(disk.calls(.sync).isEmpty)
    try await feed.flush()
    for name in ["data", "tree", "signatures", "bitfield"] {
      #expect(!disk.calls(.sync, name).isEmpty, "\(name)")
    }
  }

  @Test(arguments: [Durability.buffered, .grouped(blocks: 100)])
  func `an append of nothing brings what waits to the disk, once, and only where that is wanted`(
    durability: Durability
  ) async throws {
    let disk = TrackingStorage(MemoryStorage())
    var options = Feed.Options()
    options.durability = durability
    let feed = try await Feed.open(storage: disk, options: options)
    try await feed.append(someBlocks(10))
    disk.reset()
    try await feed.append([[UInt8]]())
    #expect(disk.calls(.sync).isEmpty == (durability == .buffered))
    disk.reset()
    try await feed.append([[UInt8]]())
    #expect(disk.calls(.sync).isEmpty)
  }

  @Test
  func `with synced, data and tree are on the disk before the signature, and it before the end`()
    async throws
  {
    let disk = TrackingStorage(MemoryStorage())
    var options = Feed.Options()
    options.durability = .synced
    let feed = try await Feed.open(storage: disk, options: options)
    disk.reset()
    try await feed.append(someBlocks(3))
    let calls = disk.calls.filter { [.write, .sync].contains($0.kind) }
      .map { "\($0.kind) \($0.name)" }
    let order = [
      "write data", "sync data", "write signatures", "sync signatures", "write bitfield",
    ]
    #expect(calls.filter(order.contains) == order)
    let treeSync = try #require(calls.firstIndex(of: "sync tree"))
    #expect(treeSync < (try #require(calls.firstIndex(of: "write signatures"))))
  }

  @Test func `a sequence of blocks is written, gathered into batches`() async throws {
    let feed = try await Feed.inMemory()
    let blocks = someBlocks(1000)
    let source = AsyncStream<[UInt8]> { continuation in
      for block in blocks { continuation.yield(block) }
      continuation.finish()
    }
    #expect(try await feed.write(source) == 1000)
    #expect(try await feed.get(0..<1000) == blocks)
    #expect(try await signedBlocks(of: feed).count < 1000)
  }

  @Test func `a block of a slow sequence is written without waiting for the next`() async throws {
    let feed = try await Feed.inMemory()
    let (source, continuation) = AsyncStream.makeStream(of: String.self)
    let writing = Task { try await feed.write(source, as: .utf8) }
    continuation.yield("first")
    #expect(try await feed.get(0, as: .utf8) == "first")
    continuation.yield("second")
    continuation.finish()
    #expect(try await writing.value == 2)
    #expect(try await feed.get(1, as: .utf8) == "second")
  }

  @Test func `when a sequence fails, what came before is written`() async throws {
    struct Broken: Error {}
    let feed = try await Feed.inMemory()
    let source = AsyncThrowingStream<[UInt8], any Error> { continuation in
      for block in someBlocks(10) { continuation.yield(block) }
      continuation.finish(throwing: Broken())
    }
    await #expect(throws: Broken.self) { try await feed.write(source) }
    #expect(await feed.length == 10)
  }

  @Test func `an append that can't be stored throws, and the feed says why from then on`()
    async throws
  {
    let storage = FaultyStorage(MemoryStorage())
    let feed = try await Feed.open(storage: storage)
    try await feed.append([1])
    storage.fail(.init(call: 0, kinds: [.write], forEver: true))
    await expectFailure(.storage) { try await feed.append([2]) }
    #expect(await feed.isWritable == false)
    #expect(await feed.length == 1)
    await expectFailure(.storage, "full") { try await feed.append([3]) }
    #expect(try await feed.get(0) == [1])
    // There is room again.
    storage.fail(nil)
    #expect(try await feed.append([4]) == 1)
    #expect(try await feed.get(0..<2) == [[1], [4]])
  }
}
