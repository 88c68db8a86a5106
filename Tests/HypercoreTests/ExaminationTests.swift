import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

/// The problems that `dat doctor` finds in a feed's files, and the repairs.
@Suite struct ExaminationTests {
  private func feed(_ count: Int = 20) throws -> MemoryStorage {
    let storage = MemoryStorage()
    let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    for block in someBlocks(count) { try core.append([block]) }
    try core.close()
    return storage
  }

  private func write(
    _ bytes: [UInt8], to name: String, at offset: UInt64, in storage: MemoryStorage
  )
    throws
  {
    try storage.storage(named: name).write([StorageWrite(offset: offset, bytes: bytes)])
  }

  private func codes(_ examination: FeedExamination) -> [FeedExamination.Problem.Code] {
    examination.problems.map(\.code)
  }

  /// Examines, repairs and examines again, and checks that examining alone changed nothing.
  private func mend(_ storage: MemoryStorage) throws -> (
    found: FeedExamination, after: FeedExamination
  ) {
    let before = try snapshot(storage)
    let found = try Feed.examine(storage)
    #expect(try snapshot(storage) == before)
    let after = try Feed.examine(storage, repairing: true)
    return (found, after)
  }

  @Test func `a sound feed is healthy`() throws {
    let storage = try feed()
    let (found, after) = try mend(storage)
    #expect(found.isHealthy && found.problems.isEmpty)
    #expect(found.validSignatures == 20 && found.storedBlocks == 20 && found.isOwned)
    #expect(after.repairs.isEmpty && after.isHealthy)
  }

  @Test(arguments: RecordedFeed.all.map(\.name))
  func `the recorded feeds are healthy, and looking changes no byte`(name: String) throws {
    let folder = try TemporaryFolder(copyOf: "feeds/\(name)")
    let examination = try Feed.examine(FolderStorage(path: folder.path, access: .readOnly))
    #expect(examination.isHealthy, "\(examination.problems)")
  }

  @Test func `a block that is not what was verified is found and forgotten`() throws {
    let storage = try feed()
    try write([0, 0, 0], to: "data", at: 10, in: storage)
    let (found, after) = try mend(storage)
    #expect(codes(found) == [.damagedBlocks])
    #expect(after.isHealthy && !after.repairs.isEmpty)
    #expect(codes(after) == [.ownBlocksMissing])
    #expect(try FeedCore.open(in: storage).isWritable)
  }

  @Test(arguments: [1, 5, 7, 23] as [UInt64])
  func `a node that is not the hash of those below is made again`(index: UInt64) throws {
    let storage = try feed()
    let whole = try snapshot(storage)
    try write([9, 9, 9], to: "tree", at: 32 + 40 * index, in: storage)
    let (found, after) = try mend(storage)
    #expect(codes(found) == [.damagedNodes])
    #expect(after.isHealthy && after.problems.isEmpty)
    #expect(try snapshot(storage) == whole)
  }

  @Test func `a leaf that is damaged is made again from its block`() throws {
    let storage = try feed()
    let whole = try snapshot(storage)
    try write([9, 9, 9], to: "tree", at: 32 + 40 * 6, in: storage)
    let (found, after) = try mend(storage)
    #expect(Set(codes(found)) == [.damagedNodes, .damagedBlocks])
    #expect(after.isHealthy && after.problems.isEmpty)
    #expect(try snapshot(storage) == whole)
  }

  @Test func `what a crash left is told, and mended when asked`() throws {
    let storage = try feed()
    let bitfield = try storage.storage(named: "bitfield")
    try bitfield.truncate(to: 32)
    let (found, after) = try mend(storage)
    #expect(codes(found).contains(.unfinished) && !found.isHealthy)
    #expect(after.isHealthy && after.problems.isEmpty && !after.repairs.isEmpty)
  }

  @Test func `a signature of something else is told, and never made again`() throws {
    let storage = try feed()
    try write([7], to: "signatures", at: 32 + 64 * 3, in: storage)
    let (found, after) = try mend(storage)
    #expect(codes(found) == [.badSignatures] && codes(after) == [.badSignatures])
  }

  @Test func `foreign files, wrong keys and nothing at all are told apart`() throws {
    let storage = try feed()
    try write([1, 2, 3, 4], to: "tree", at: 0, in: storage)
    #expect(try codes(Feed.examine(storage)) == [.unopenable])
    let other = try feed()
    try write(keyPair(2).publicKey.bytes, to: "key", at: 0, in: other)
    #expect(try codes(Feed.examine(other)) == [.unopenable])
    #expect(throws: FeedError.self) { try Feed.examine(MemoryStorage()) }
  }

  @Test func `a feed in use says by whom, and is not repaired meanwhile`() throws {
    let folder = try TemporaryFolder()
    let storage = FolderStorage(path: folder.path)
    let core = try FeedCore.open(in: storage)
    try core.append([[1]])
    #expect(try codes(Feed.examine(storage)) == [.inUse])
    #expect(throws: FeedError.self) { try Feed.examine(storage, repairing: true) }
    try core.close()
    #expect(try codes(Feed.examine(storage)) == [])
  }
}
