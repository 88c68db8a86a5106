import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Opening a feed destroys nothing: what is recorded and missing stays recorded.
@Suite struct OpeningTests {
  private let storage = MemoryStorage()
  private let blocks = someBlocks(20)

  /// A feed of the blocks, written here.
  private func own() throws {
    let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    for block in blocks { try core.append([block]) }
    try core.close()
  }

  private func writer() throws -> FeedCore {
    let core = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    for block in blocks { try core.append([block]) }
    return core
  }

  /// A replica of the blocks.
  private func replica() throws {
    let writer = try writer()
    let core = try FeedCore.open(in: storage, options: FeedOptions(key: keyPair(1).publicKey))
    for block in 0..<20 as Range<UInt64> { try fetch(block, from: writer, into: core) }
    try core.close()
  }

  private func truncate(_ name: String, to length: UInt64) throws {
    try storage.storage(named: name).truncate(to: length)
  }

  private func expectRepaired(
    _ codes: [FeedExamination.Problem.Code], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let before = try snapshot(storage)
    let found = try Feed.examine(storage)
    #expect(!found.isHealthy, sourceLocation: sourceLocation)
    #expect(try snapshot(storage) == before, sourceLocation: sourceLocation)
    let mended = try Feed.examine(storage, repairing: true)
    #expect(
      mended.isHealthy && !mended.repairs.isEmpty, "\(mended)", sourceLocation: sourceLocation)
    #expect(mended.problems.map(\.code) == codes, sourceLocation: sourceLocation)
    let again = try Feed.examine(storage, repairing: true)
    #expect(again.repairs.isEmpty, "\(again.repairs)", sourceLocation: sourceLocation)
    #expect(again.problems == mended.problems, sourceLocation: sourceLocation)
  }

  @Test(arguments: [true, false])
  func `a feed whose data is gone keeps the record of it, and says so`(isOwned: Bool) throws {
    try isOwned ? own() : replica()
    try truncate("data", to: 0)
    let before = try snapshot(storage)
    for _ in 0..<2 {
      let core = try FeedCore.open(in: storage)
      #expect(core.report.findings == [.blocksLost([0..<20])])
      #expect(core.downloaded() == 0 && core.length == 20 && !core.isWritable)
      #expect(try core.auditRanges().invalid == [0..<20])
      try core.sync()
      try core.close()
      #expect(try snapshot(storage) == before)
    }
    // The data is restored.
    try storage.storage(named: "data").write([
      StorageWrite(offset: 0, bytes: Array(blocks.joined()))
    ])
    #expect(try FeedCore.open(in: storage).report.isHealthy)
    #expect(try FeedCore.open(in: storage).downloaded() == 20)
    try truncate("data", to: 0)
    try expectRepaired(isOwned ? [.ownBlocksMissing] : [])
  }

  @Test(arguments: ["tree", "signatures"])
  func `a replica keeps the record of what its lost files vouched for`(name: String) throws {
    try replica()
    let file = try bytes(of: name, in: storage)
    try truncate(name, to: 32)
    let before = try snapshot(storage)
    for _ in 0..<2 {
      let core = try FeedCore.open(in: storage)
      #expect(core.length == 0 && core.downloaded() == 0 && !core.report.isHealthy)
      try core.close()
      #expect(try snapshot(storage) == before)
    }
    try storage.storage(named: name).write([StorageWrite(offset: 0, bytes: file)])
    let core = try FeedCore.open(in: storage)
    #expect(core.report.isHealthy && core.downloaded() == 20)
    try core.close()
    try truncate(name, to: 32)
    try expectRepaired([])
  }

  @Test func `data that grows over what is missing takes the record of it along first`() throws {
    try replica()
    try truncate("data", to: 30)
    let core = try FeedCore.open(in: storage)
    let missing = try #require(core.nextMissing(from: 0, below: 20))
    let writer = try writer()
    try fetch(missing + 5, from: writer, into: core)
    #expect(core.has(missing + 5))
    try core.close()
    let again = try FeedCore.open(in: storage)
    #expect(!again.has(missing) && again.has(missing + 5) && !again.has(missing + 4))
    #expect(try again.audit().invalid == 0)
    #expect(again.blocksAside == [missing + 6..<20])
    for block in missing..<20 where !again.has(block) {
      try fetch(block, from: writer, into: again)
    }
    try again.close()
    #expect(try FeedCore.open(in: storage).report.isHealthy)
    #expect(try Feed.examine(storage).isHealthy)
  }

  @Test func `nothing is cut while something is signed beyond`() throws {
    try own()
    // The bitfield was lost, and a leaf: no signature fits what is there any more.
    try truncate("bitfield", to: 32)
    try storage.storage(named: "tree").write([
      StorageWrite(offset: 32, bytes: [UInt8](repeating: 7, count: 32))
    ])
    let before = try snapshot(storage)
    let core = try FeedCore.open(in: storage)
    #expect(!core.isWritable && core.report.isDamaged)
    try core.close()
    #expect(try snapshot(storage) == before)
  }

  @Test func `signatures of a feed that was overwritten are disregarded, and removed when asked`()
    throws
  {
    try own()
    let signatures = try bytes(of: "signatures", in: storage)
    let tree = try bytes(of: "tree", in: storage)
    var options = FeedOptions(keyPair: keyPair(2))
    options.overwrite = true
    let core = try FeedCore.open(in: storage, options: options)
    for block in blocks[..<3] { try core.append([block]) }
    try core.close()
    for (name, old, offset) in [("signatures", signatures, 32 + 64 * 3), ("tree", tree, 32 + 200)] {
      try storage.storage(named: name).write([
        StorageWrite(offset: UInt64(offset), bytes: Array(old[offset...]))
      ])
    }
    let before = try snapshot(storage)
    let again = try FeedCore.open(in: storage)
    #expect(again.report.findings == [.staleSignatures(17)])
    #expect(again.length == 3 && again.isWritable)
    try again.close()
    #expect(try snapshot(storage) == before)
    try expectRepaired([])
    let mended = try FeedCore.open(in: storage)
    #expect(mended.length == 3 && mended.isWritable && mended.report.isHealthy)
  }

  @Test func `what was found is told in sentences`() throws {
    let all: [RepairReport.Finding] = [
      .keyRecovered, .secretKeyCut, .unfinalizedForgotten(length: 1),
      .rolledForward(from: 0, to: 1),
      .rolledForward(from: 4, to: 9), .steppedDown(from: 2, to: 1), .unsignedBytesRemoved(4),
      .staleSignatures(1), .blocksLost([44..<45]), .blocksLost([0..<1, 4..<889]),
      .signedAgain(length: 3), .signedLengthLost(4), .folderCopied, .forked,
      .forkEvidenceUnreadable,
    ]
    for finding in all {
      let words = "\(finding)"
      #expect(
        words.hasSuffix(".") && words.first?.isUppercase == true || words.first?.isNumber == true)
      #expect(!words.contains("1 blocks") && !words.contains("Range"), "\(words)")
    }
    #expect("\(all[8])".hasPrefix("1 block (44) is recorded as stored"))
    #expect("\(all[9])".hasPrefix("886 blocks (0, 4 to 888) are recorded as stored"))
  }
}
