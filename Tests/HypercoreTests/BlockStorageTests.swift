import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Feeds whose blocks are kept in a storage of the caller, as an archive's content is kept in the user's
/// files.
@Suite struct BlockStorageTests {
  /// A storage that records its calls.
  private let place = TrackingStorage()
  private let blocks = someBlocks(20)
  private let storage = MemoryStorage()

  private func options() throws -> FeedOptions {
    var options = FeedOptions(keyPair: keyPair(1))
    options.data = try place.storage(named: "files")
    return options
  }

  /// A feed of the blocks, whose bytes were stored before they were appended.
  private func recorded() throws -> FeedCore {
    try place.storage(named: "files").write([
      StorageWrite(offset: 0, bytes: Array(blocks.joined()))
    ])
    let core = try FeedCore.open(in: storage, options: options())
    try core.append(leaves: BlockLeaf.leaves(of: Array(blocks[..<12])))
    for block in blocks[12...] { try core.append(leaves: [BlockLeaf(block)]) }
    return core
  }

  private var writes: Int {
    place.calls.count {
      $0.name == "files" && [.write, .delete, .truncate].contains($0.kind)
    }
  }

  /// Changes the bytes of a block in the files.
  private func overwrite(block index: Int) throws {
    let offset = blocks[..<index].reduce(0) { $0 + $1.count }
    try place.storage(named: "files").write([StorageWrite(offset: UInt64(offset), bytes: [0])])
  }

  @Test func `blocks that are in place already are appended without a write of their bytes`() throws
  {
    let core = try recorded()
    #expect(writes == 1)
    #expect(try core.blocks(in: 0..<20) == blocks)
    #expect(try core.block(at: 7) == blocks[7])
    let plain = MemoryStorage()
    let usual = try FeedCore.open(in: plain, options: FeedOptions(keyPair: keyPair(1)))
    try usual.append(Array(blocks[..<12]))
    for block in blocks[12...] { try usual.append([block]) }
    var files = try snapshot(plain)
    #expect(files["data"] == Array(blocks.joined()))
    files["data"] = []
    var ours = try snapshot(storage)
    ours["data"] = ours["data"] ?? []
    #expect(ours == files)
  }

  @Test func `a feed that keeps its blocks itself takes no hashes in their place`() throws {
    let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    let error = #expect(throws: FeedError.self) { try core.append(leaves: [BlockLeaf([1])]) }
    #expect(error?.code == .notWritable && core.length == 0)
  }

  /// A file that loses what is written to it first.
  private final class ForgetfulFile: RandomAccessStorage {
    private let file: any RandomAccessStorage
    private(set) var hasForgotten = false

    init() throws { file = try MemoryStorage().storage(named: "files") }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError)
      -> Int
    { try file.read(at: offset, into: buffer) }

    func write(_ pieces: [StorageWrite]) throws(StorageError) {
      defer { hasForgotten = true }
      if hasForgotten { try file.write(pieces) }
    }

    func length() throws(StorageError) -> UInt64 { try file.length() }
    func delete(at offset: UInt64, count: UInt64) throws(StorageError) {}
    func truncate(to length: UInt64) throws(StorageError) {}
    func sync() throws(StorageError) {}
    func close() {}
  }

  @Test func `a block that is lost as soon as it is stored is waited for until it comes again`()
    throws
  {
    let simulation = Simulation(seed: 1)
    let writer = try SimulatedReplica("writer", FeedOptions(keyPair: keyPair(1)), seed: 1)
    try writer.core.append(blocks)
    let file = try ForgetfulFile()
    var options = FeedOptions(key: keyPair(1).publicKey)
    options.data = file
    let reader = try SimulatedReplica("reader", options, isSparse: true, seed: 2)
    try SimulatedReplica.connect(writer, reader, live: true, in: simulation)
    var found: [UInt8]?
    _ = reader.replicator.get(7) { found = try? $0.get() }
    simulation.run(for: .seconds(20))
    #expect(file.hasForgotten)
    #expect(found == blocks[7])
    #expect(writer.uploads == 2)
  }

  @Test func `opening asks nothing of the files, whatever is left of them, and changes no byte`()
    throws
  {
    try recorded().close()
    let before = try snapshot(storage)
    for length in [0, 5, 4000] as [UInt64] {
      try place.storage(named: "files").truncate(to: length)
      let calls = place.calls.count
      let core = try FeedCore.open(in: storage, options: options())
      #expect(core.report.isHealthy && core.isWritable)
      #expect(core.length == 20 && core.downloaded() == 20)
      #expect(!place.calls[calls...].contains { $0.name == "files" })
      try core.close()
      #expect(try snapshot(storage) == before)
    }
  }

  @Test func `a block that was changed counts as missing while the feed is open, and no longer`()
    throws
  {
    try recorded().close()
    let before = try snapshot(storage)
    try overwrite(block: 4)
    let core = try FeedCore.open(in: storage, options: options())
    var changes: [FeedChange] = []
    core.onChange = { changes.append($0) }
    #expect(try core.block(at: 3) == blocks[3])
    #expect(try core.block(at: 4) == nil)
    #expect(changes == [.setAside(4..<5)] && !core.has(4))
    #expect(try core.blocks(in: 3..<6) == nil)
    #expect(try core.blocks(in: 5..<9) == Array(blocks[5..<9]))
    try core.append(leaves: [BlockLeaf([1])])
    try core.close()
    #expect(try FeedCore.open(in: storage, options: options()).has(4))
    #expect(try bytes(of: "bitfield", in: storage).count == before["bitfield"]?.count)
  }

  @Test func `a run of blocks ends before the first that was changed or is cut off`() throws {
    let core = try recorded()
    try overwrite(block: 6)
    let run = try #require(try core.run(from: 2, count: 10, bytes: 1 << 20))
    #expect(run.ends.count == 4 && run.withBlock(5) { Array($0) } == blocks[5])
    #expect(core.has(6))
    #expect(try core.run(from: 6, count: 3, bytes: 1 << 20) == nil)
    #expect(!core.has(6))
    let end = UInt64(blocks[..<18].reduce(0) { $0 + $1.count } + 1)
    try place.storage(named: "files").truncate(to: end)
    #expect(try core.run(from: 16, count: 9, bytes: 1 << 20)?.ends.count == 2)
    #expect(try core.run(from: 18, count: 1, bytes: 1 << 20) == nil)
  }

  @Test func `a file that was put back counts again`() throws {
    let core = try recorded()
    let whole = try bytes(of: "files", in: place)
    try overwrite(block: 0)
    #expect(try core.audit() == (19, 1))
    #expect(try core.auditRanges().invalid == [0..<1])
    try place.storage(named: "files").write([StorageWrite(offset: 0, bytes: whole)])
    #expect(!core.has(0))
    core.countAgain(0..<20)
    #expect(try core.block(at: 0) == blocks[0])
    #expect(try core.auditRanges().invalid.isEmpty)
  }

  @Test func `clearing keeps the bytes where that is asked for`() throws {
    let core = try recorded()
    let whole = try bytes(of: "files", in: place)
    #expect(try core.clear(3..<20, keepingBytes: true))
    #expect(try bytes(of: "files", in: place) == whole && writes == 1)
    #expect(core.downloaded() == 3)
    try core.close()
    let again = try FeedCore.open(in: storage, options: options())
    #expect(again.downloaded() == 3 && again.length == 20 && again.report.isHealthy)
    #expect(try again.clear(0..<3))
    #expect(writes == 2)
  }

  @Test func `an append that was cut off after its signature counts, its blocks as recorded`()
    throws
  {
    let core = try recorded()
    let bitfield = try bytes(of: "bitfield", in: storage)
    try core.append(leaves: BlockLeaf.leaves(of: [[1, 2], [3]]))
    try core.close()
    let field = try storage.storage(named: "bitfield")
    try field.truncate(to: 0)
    try field.write([StorageWrite(offset: 0, bytes: bitfield)])
    let calls = place.calls.count
    let again = try FeedCore.open(in: storage, options: options())
    #expect(again.length == 22 && again.isWritable && again.downloaded() == 20)
    #expect(!place.calls[calls...].contains { $0.name == "files" })
  }

  @Test func `an append that was cut off before its signature leaves the files as they are`() throws
  {
    let core = try recorded()
    let signatures = try bytes(of: "signatures", in: storage)
    let bitfield = try bytes(of: "bitfield", in: storage)
    try core.append(leaves: BlockLeaf.leaves(of: [[1, 2], [3]]))
    try core.close()
    for (name, bytes) in [("signatures", signatures), ("bitfield", bitfield)] {
      let file = try storage.storage(named: name)
      try file.truncate(to: 0)
      try file.write([StorageWrite(offset: 0, bytes: bytes)])
    }
    let again = try FeedCore.open(in: storage, options: options())
    #expect(again.length == 20 && again.isWritable && writes == 1)
  }

  @Test func `a reader stores blocks in the files, and serves no other`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append(blocks)
    let files = MemoryStorage()
    var options = Feed.Options(key: try #require(feed.key))
    options.blockStorage = files
    options.prefix = "content."
    let copy = try await Feed.open(storage: storage, options: options)
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(try bytes(of: "content.data", in: files) == Array(blocks.joined()))
    #expect(try !storage.exists("content.data"))
    try files.storage(named: "content.data").write([StorageWrite(offset: 0, bytes: [0])])
    let other = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    await join(try await copy.replicate(), try await other.replicate())
    #expect(await other.downloaded() == 19)
    #expect(await !other.has(0))
    #expect(await !copy.has(0))
    // The original still has it.
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(try await copy.get(0) == blocks[0])
    try await copy.close()
  }

  @Test func `key pairs of contents are derived apart for databases and archives`() throws {
    let secret = keyPair(1).secretKey
    #expect(KeyPair.contentFeed(of: secret) == .contentFeed(of: secret, context: .hyperdb))
    let archive = KeyPair.contentFeed(of: secret, context: .hyperdrive)
    #expect(archive.isValid && archive != .contentFeed(of: secret))
  }
}
