import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

@Suite struct RecoveryTests {
  func write(
    _ bytes: [UInt8], to name: String, at offset: UInt64, in storage: MemoryStorage
  )
    throws
  {
    try storage.storage(named: name).write([StorageWrite(offset: offset, bytes: bytes)])
  }

  func truncate(_ name: String, to length: UInt64, in storage: MemoryStorage) throws {
    try storage.storage(named: name).truncate(to: length)
  }

  /// A closed feed of blocks that were appended in batches.
  func feed(_ count: Int, batch: Int = 1) throws -> (MemoryStorage, [[UInt8]]) {
    var random = SeededRandom(seed: 11)
    let storage = MemoryStorage()
    let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    var blocks: [[UInt8]] = []
    while blocks.count < count {
      let more = (0..<min(batch, count - blocks.count)).map { _ in
        random.bytes(Int.random(in: 1...30, using: &random))
      }
      try core.append(more)
      blocks += more
    }
    try core.close()
    return (storage, blocks)
  }

  func expectWhole(_ core: FeedCore, _ blocks: [[UInt8]]) throws {
    #expect(core.length == UInt64(blocks.count))
    #expect(try core.blocks(in: 0..<core.length) == blocks)
    #expect(try core.audit() == (core.length, 0))
  }

  @Test(arguments: [1, 7, 30])
  func `a lost bitfield is made again`(batch: Int) throws {
    let (storage, blocks) = try feed(100, batch: batch)
    let before = try snapshot(storage)
    try truncate("bitfield", to: 0, in: storage)
    let reader = try FeedCore.open(in: MemoryStorage(sharing: storage, access: .readOnly))
    try expectWhole(reader, blocks)
    #expect(try bytes(of: "bitfield", in: storage).isEmpty)
    let core = try FeedCore.open(in: storage)
    #expect(core.report.findings == [.rolledForward(from: 0, to: 100)])
    try expectWhole(core, blocks)
    #expect(core.isWritable)
    try core.close()
    #expect(try snapshot(storage) == before)
    #expect(try FeedCore.open(in: storage).report.isHealthy)
  }

  @Test(arguments: [32, 500, 3616, 5116] as [UInt64])
  func `a bitfield that is cut is made whole`(length: UInt64) throws {
    let (storage, blocks) = try feed(9000, batch: 100)
    let before = try snapshot(storage)
    try truncate("bitfield", to: length, in: storage)
    let core = try FeedCore.open(in: storage)
    try expectWhole(core, blocks)
    try core.close()
    #expect(try snapshot(storage) == before)
  }

  @Test func `a lost page among others is made again`() throws {
    let (storage, blocks) = try feed(9000, batch: 100)
    let before = try snapshot(storage)
    try write([UInt8](repeating: 0, count: 3584), to: "bitfield", at: 32, in: storage)
    let core = try FeedCore.open(in: storage)
    try expectWhole(core, blocks)
    try core.close()
    #expect(try snapshot(storage) == before)
  }

  @Test func `what was written without its signature is not part of the feed`() throws {
    let (storage, blocks) = try feed(5)
    let committed = try snapshot(storage)
    let core = try FeedCore.open(in: storage)
    try core.append([[1, 2, 3], [4]])
    try core.append([[5]])
    let appended = try snapshot(storage)
    try core.close()
    // The crash came after data and tree.
    for (name, bytes) in committed where name == "signatures" || name == "bitfield" {
      try truncate(name, to: 0, in: storage)
      try write(bytes, to: name, at: 0, in: storage)
    }
    let reopened = try FeedCore.open(in: storage)
    #expect(reopened.report.findings.count == 1)
    try expectWhole(reopened, blocks)
    #expect(try snapshot(storage) == committed)
    // Written again, it is the same.
    try reopened.append([[1, 2, 3], [4]])
    try reopened.append([[5]])
    #expect(try snapshot(storage) == appended)
  }

  @Test func `a signed append whose bits were not written counts`() throws {
    let (storage, blocks) = try feed(5)
    let bitfield = try bytes(of: "bitfield", in: storage)
    let core = try FeedCore.open(in: storage)
    try core.append([[1, 2, 3], [4]])
    try core.close()
    let whole = try snapshot(storage)
    try write(bitfield, to: "bitfield", at: 0, in: storage)
    let reopened = try FeedCore.open(in: storage)
    #expect(reopened.report.findings == [.rolledForward(from: 5, to: 7)])
    try expectWhole(reopened, blocks + [[1, 2, 3], [4]])
    try reopened.close()
    #expect(try snapshot(storage) == whole)
  }

  @Test func `a lost last signature of what is all there is made again`() throws {
    let (storage, blocks) = try feed(20)
    let whole = try snapshot(storage)
    try truncate("signatures", to: 32 + 64 * 15, in: storage)
    let core = try FeedCore.open(in: storage)
    #expect(core.report.findings == [.signedAgain(length: 20)])
    try expectWhole(core, blocks)
    try core.close()
    let signed = try bytes(of: "signatures", in: storage)
    #expect(signed.suffix(64) == whole["signatures"]?.suffix(64))
  }

  /// Eight blocks appended one by one, whose last signature lies across the border of two sectors and is torn
  /// there. With `bits` the bitfield says that all are here, otherwise that four are.
  private func torn(keeping half: Range<Int>, bits: Bool) throws -> (MemoryStorage, [[UInt8]]) {
    let (storage, blocks) = try feed(8)
    if !bits {
      let (four, _) = try feed(4)
      try write(bytes(of: "bitfield", in: four), to: "bitfield", at: 0, in: storage)
    }
    let lost = half.lowerBound == 0 ? 32..<64 : 0..<32
    try write(
      [UInt8](repeating: 0, count: 32), to: "signatures", at: 480 + UInt64(lost.lowerBound),
      in: storage)
    return (storage, blocks)
  }

  @Test(arguments: [0..<32, 32..<64], [true, false])
  func `a signature torn between two sectors is made whole again`(half: Range<Int>, bits: Bool)
    throws
  {
    let whole = try snapshot(try feed(8).0)
    let (storage, blocks) = try torn(keeping: half, bits: bits)
    let core = try FeedCore.open(in: storage)
    #expect(core.report.findings.contains(.signedAgain(length: 8)))
    #expect(core.isWritable)
    try expectWhole(core, blocks)
    try core.close()
    #expect(try snapshot(storage) == whole)
  }

  @Test(arguments: [1, 31, 32, 63])
  func `a signature whose write was cut short is made whole again`(count: UInt64) throws {
    let whole = try snapshot(try feed(8).0)
    let (storage, blocks) = try feed(8)
    let (four, _) = try feed(4)
    try write(bytes(of: "bitfield", in: four), to: "bitfield", at: 0, in: storage)
    try truncate("signatures", to: 480 + count, in: storage)
    let core = try FeedCore.open(in: storage)
    #expect(core.isWritable)
    try expectWhole(core, blocks)
    try core.close()
    #expect(try snapshot(storage) == whole)
  }

  @Test func `an empty block at the end is not lost where the one before it was cleared`() throws {
    let storage = MemoryStorage()
    var core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    try core.append([[1, 2], [3], []])
    try core.clear(1..<2)
    try core.close()
    for (cleared, stored) in [(1, 2), (0, 1)] as [(UInt64, UInt64)] {
      core = try FeedCore.open(in: storage)
      #expect(core.report.isHealthy && core.isWritable)
      #expect(core.downloaded() == stored && !core.has(cleared))
      #expect(try core.block(at: 2) == [])
      try core.clear(0..<1)
      try core.close()
    }
    // What is really lost is found after it.
    core = try FeedCore.open(in: storage)
    try core.append([[4, 5], []])
    try core.close()
    try truncate("data", to: 3, in: storage)
    core = try FeedCore.open(in: storage)
    #expect(core.report.findings == [.blocksLost([3..<4])])
    #expect(try !core.has(3) && core.block(at: 4) == [])
  }

  @Test func `a torn signature of other roots is never signed over`() throws {
    let (storage, _) = try torn(keeping: 0..<32, bits: true)
    try write([1], to: "signatures", at: 490, in: storage)
    let core = try FeedCore.open(in: storage)
    #expect(!core.report.findings.contains(.signedAgain(length: 8)))
    #expect(core.length < 8)
  }

  @Test func `a torn signature is not made again over a tree that is not whole`() throws {
    let (storage, _) = try torn(keeping: 0..<32, bits: false)
    try write([UInt8](repeating: 0, count: 40), to: "tree", at: 32 + 40 * 10, in: storage)
    let core = try FeedCore.open(in: storage)
    #expect(!core.isWritable)
    #expect(core.report.isDamaged)
  }

  @Test(arguments: [32, 432, 1572] as [UInt64])
  func `a feed whose tree is short waits for its peers before it writes`(treeEnd: UInt64) throws {
    let (storage, blocks) = try feed(20)
    let peer = try FeedCore.open(
      in: MemoryStorage(), options: FeedOptions(key: keyPair(1).publicKey))
    let whole = try FeedCore.open(in: storage)
    for block in 0..<whole.length { try fetch(block, from: whole, into: peer) }
    try whole.close()
    try truncate("tree", to: treeEnd, in: storage)
    for _ in 0..<2 {
      let core = try FeedCore.open(in: storage)
      #expect(core.report.isDamaged)
      #expect(!core.isWritable)
      let error = #expect(throws: FeedError.self) { try core.append([[1]]) }
      #expect(error?.code == .notWritable)
      try core.close()
    }
    let core = try FeedCore.open(in: storage)
    for block in 0..<peer.length { try fetch(block, from: peer, into: core) }
    #expect(core.isWritable)
    try expectWhole(core, blocks)
    try core.append([[9]])
    try core.close()
    #expect(try FeedCore.open(in: storage).report.isHealthy)
  }

  @Test(arguments: [0, 3, 100] as [UInt64])
  func `a feed whose data is short waits for its peers before it writes`(dataEnd: UInt64) throws {
    let (storage, blocks) = try feed(20)
    let peer = try FeedCore.open(
      in: MemoryStorage(), options: FeedOptions(key: keyPair(1).publicKey))
    let whole = try FeedCore.open(in: storage)
    for block in 0..<whole.length { try fetch(block, from: whole, into: peer) }
    try whole.close()
    try truncate("data", to: dataEnd, in: storage)
    for _ in 0..<2 {
      let core = try FeedCore.open(in: storage)
      #expect(core.report.isDamaged)
      #expect(!core.isWritable)
      #expect(core.length == 20)
      #expect(core.downloaded() < 20)
      try core.close()
    }
    let core = try FeedCore.open(in: storage)
    while let block = core.nextMissing(from: 0, below: 20) {
      #expect(!core.isWritable, "block \(block) is still lost")
      try fetch(block, from: peer, into: core)
    }
    #expect(core.isWritable)
    try expectWhole(core, blocks)
  }

  @Test(arguments: testSeeds(standard: 60))
  func `whatever is cut, blocks that are there are right and no index is signed twice`(seed: UInt64)
    throws
  {
    var random = SeededRandom(seed: seed)
    let storage = MemoryStorage()
    let writer = try makeFeed(Int.random(in: 1...60, using: &random), in: storage, random: &random)
    let signed = try snapshot(storage)["signatures"] ?? []
    let blocks = try writer.blocks(in: 0..<writer.length) ?? []
    try writer.close()
    for name in ["tree", "data", "bitfield", "signatures"] where random.chance(0.4) {
      let length = try UInt64(bytes(of: name, in: storage).count)
      try truncate(name, to: UInt64.random(in: 0...length, using: &random), in: storage)
    }
    let core = try FeedCore.open(in: storage)
    #expect(core.length <= UInt64(blocks.count))
    #expect(try core.audit().invalid == 0)
    for index in 0..<core.length {
      guard let block = try core.block(at: index) else { continue }
      #expect(block == blocks[Int(index)])
    }
    if core.isWritable {
      let length = core.length
      try core.append([[0xfe], [0xff]])
      try core.close()
      let now = try bytes(of: "signatures", in: storage)
      // True if that length was signed before and this is still known.
      let slot = 32 + 64 * Int(length + 1)
      let known = UInt64(signed.count) > 32 + 64 * (length + 1)
      if known { #expect(now.count >= slot + 64) }
      let again = try FeedCore.open(in: storage)
      #expect(!again.report.isDamaged, "\(again.report)")
      #expect(again.length == length + 2)
      #expect(try again.audit().invalid == 0)
    }
  }

  @Test(arguments: testSeeds(standard: 30))
  func `a replica steps down to what its signatures vouch for`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let writer = try makeFeed(5, random: &random)
    let storage = MemoryStorage()
    let reader = try FeedCore.open(in: storage, options: FeedOptions(key: keyPair(1).publicKey))
    for _ in 0..<30 {
      try fetch(.random(in: 0..<writer.length, using: &random), from: writer, into: reader)
      if random.chance(0.3) { try writer.append([random.bytes(4), random.bytes(2)]) }
    }
    try reader.close()
    for name in ["tree", "data", "signatures"] where random.chance(0.5) {
      let length = try UInt64(bytes(of: name, in: storage).count)
      try truncate(name, to: UInt64.random(in: 0...length, using: &random), in: storage)
    }
    let core = try FeedCore.open(in: storage)
    if core.length > 0 {
      let signature = try #require(try core.signature(covering: core.length - 1)).signature
      #expect(try core.verify(signature, at: core.length - 1))
    }
    for block in 0..<writer.length where !core.has(block) {
      // A node that is found to be lost is fetched the second time.
      for _ in 0..<30 where !core.has(block) {
        do {
          try fetch(block, from: writer, into: core)
        } catch let error as FeedError where error.code == .damaged {
          continue
        }
      }
    }
    #expect(core.length == writer.length)
    #expect(core.has(0..<writer.length))
    #expect(try core.audit().invalid == 0)
  }
}
