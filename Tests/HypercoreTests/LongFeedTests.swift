import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Feeds that are signed far beyond the part that is here: everything costs only what is stored.
@Suite struct LongFeedTests {
  /// The last of 2^32 blocks, with a proof that its writer made up: there are no others.
  static func lastBlock(signedBy pair: KeyPair) -> DataMessage {
    let index = FeedLimits.maximumLength - 1
    let value = Array("last".utf8)
    var top = Node(index: 2 * index, hash: TreeHash.leaf(value), size: UInt64(value.count))
    var nodes: [Node] = []
    for depth in 0..<32 as Range<UInt8> {
      let sibling = Node(
        index: FlatTree.sibling(top.index), hash: TreeHash.leaf([depth]), size: 1)
      nodes.append(sibling)
      top = Node(
        index: FlatTree.parent(top.index), hash: TreeHash.parent(sibling, top), size: top.size + 1)
    }
    return DataMessage(
      index: index, value: value, nodes: nodes,
      signature: pair.secretKey.sign(TreeHash.tree([top])))
  }

  private let folder: TemporaryFolder
  private let storage: TrackingStorage

  init() throws {
    folder = try TemporaryFolder()
    storage = TrackingStorage(FolderStorage(path: folder.path))
    let core = try FeedCore.open(in: storage, options: FeedOptions(key: keyPair(1).publicKey))
    let last = Self.lastBlock(signedBy: keyPair(1))
    try core.put(last.index, value: last.value, nodes: last.nodes, signature: last.signature)
    try core.close()
    storage.reset()
  }

  private var reads: Int { storage.calls(.read).count }

  @Test func `opening, walking and listing read no more than is there`() throws {
    let core = try FeedCore.open(in: storage)
    #expect(core.length == 1 << 32 && core.report.isHealthy)
    #expect(
      core.downloaded() == 1 && core.nextStored(from: 0, below: core.length) == core.length - 1)
    #expect(try core.audit() == (1, 0))
    #expect(try core.signature(covering: 5)?.index == core.length - 1)
    #expect(reads < 250, "\(reads)")
  }

  @Test func `doctor is done at once, and tells of the holes`() throws {
    let found = try Feed.examine(storage)
    #expect(found.isHealthy && found.length == 1 << 32 && found.storedBlocks == 1)
    #expect(found.validSignatures == 1 && found.problems.map(\.code) == [.largeHoles])
    #expect(found.fileBytes > 1 << 38 && found.occupiedBytes < 1 << 20)
    #expect(reads < 500, "\(reads)")
  }

  @Test func `a signature that does not verify is looked for as far as there are any`() throws {
    // The whole feed is set aside: no signature vouches for it.
    let offset = SignatureFile.offset(of: (1 << 32) - 1)
    try storage.storage(named: "signatures").write([StorageWrite(offset: offset, bytes: [1])])
    storage.reset()
    let core = try FeedCore.open(in: storage)
    #expect(core.length == 0 && !core.report.isHealthy)
    try core.close()
    let mended = try Feed.examine(storage, repairing: true)
    #expect(mended.isHealthy && !mended.repairs.isEmpty)
    #expect(reads < 1000, "\(reads)")
  }

  @Test(arguments: testSeeds(standard: 8))
  func `the index made anew is the one that grew, however far apart the pages are`(seed: UInt64)
    throws
  {
    var random = SeededRandom(seed: seed)
    let storage = MemoryStorage()
    let file = try FeedFile("bitfield", in: storage)
    let bits = Bitfield(file: file)
    let limit: UInt64 = random.chance(0.5) ? 40 << 13 : 400 << 13
    // The index is as long as the pages.
    bits.setBlock(limit - 1)
    for _ in 0..<Int.random(in: 0...6, using: &random) {
      let start = UInt64.random(in: 0..<limit - 20_000, using: &random)
      bits.setBlocks(start..<start + .random(in: 1...20_000, using: &random), to: true)
    }
    try bits.flush()
    let grown = try bytes(of: "bitfield", in: storage)
    for page in stride(from: 32, to: grown.count, by: 3584) {
      let index = page + BitfieldPage.indexOffset
      if grown[index..<page + 3584].contains(where: { $0 != 0 }) || random.chance(0.05) {
        let garbage: UInt8 = random.chance(0.5) ? 0 : 0x55
        try file.write([UInt8](repeating: garbage, count: 512), at: UInt64(index))
      }
    }
    let again = Bitfield(file: file, pageCount: Int(limit >> 13))
    again.rebuildIndex()
    try again.flush()
    #expect(try bytes(of: "bitfield", in: storage) == grown)
  }
}
