import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

// Keys, headers, and what opening refuses.

extension RecoveryTests {
  @Test func `a lost key is read from the secret key`() throws {
    let (storage, blocks) = try feed(3)
    let before = try snapshot(storage)
    try truncate("key", to: 0, in: storage)
    let core = try FeedCore.open(in: storage)
    #expect(core.report.findings == [.keyRecovered])
    #expect(core.key == keyPair(1).publicKey)
    try expectWhole(core, blocks)
    #expect(try snapshot(storage) == before)
  }

  @Test func `a cut secret key leaves the feed readable`() throws {
    let (storage, blocks) = try feed(3)
    try truncate("secret_key", to: 40, in: storage)
    let core = try FeedCore.open(in: storage)
    #expect(core.report.findings == [.secretKeyCut])
    #expect(!core.isWritable)
    try expectWhole(core, blocks)
  }

  @Test(arguments: ["tree", "signatures", "bitfield"], [0, 3, 4, 5] as [UInt64])
  func `a foreign header is refused and left as it is`(name: String, byte: UInt64) throws {
    let (storage, _) = try feed(3)
    try write([0x99], to: name, at: byte, in: storage)
    let before = try snapshot(storage)
    let error = #expect(throws: FeedError.self) { try FeedCore.open(in: storage) }
    #expect(error?.code == .foreignFile)
    #expect(try snapshot(storage) == before)
  }

  @Test func `a bitfield header of zeros stands for the newer page size`() throws {
    for count in [0, 32] {
      let (storage, blocks) = try feed(30)
      let before = try snapshot(storage)
      if count > 0 {
        try write([UInt8](repeating: 0, count: count), to: "bitfield", at: 0, in: storage)
      } else {
        try write([0, 0], to: "bitfield", at: 5, in: storage)
      }
      let core = try FeedCore.open(in: storage)
      #expect(core.report.isHealthy)
      try expectWhole(core, blocks)
      #expect(try snapshot(storage) == before)
    }
  }

  @Test func `opening refuses what does not fit and changes nothing`() throws {
    let (storage, _) = try feed(3)
    let before = try snapshot(storage)
    func code(_ options: FeedOptions) -> FeedError.Code? {
      #expect(throws: FeedError.self) { try FeedCore.open(in: storage, options: options) }?.code
    }
    #expect(code(FeedOptions(key: keyPair(2).publicKey)) == .anotherFeedStored)
    #expect(code(FeedOptions(secretKey: keyPair(2).secretKey)) == .anotherFeedStored)
    try truncate("secret_key", to: 0, in: storage)
    let mixed = FeedOptions(key: keyPair(1).publicKey, secretKey: keyPair(2).secretKey)
    #expect(code(mixed) == .keyMismatch)
    try truncate("key", to: 0, in: storage)
    #expect(code(FeedOptions(key: keyPair(2).publicKey)) == .anotherFeedStored)
    #expect(code(FeedOptions()) == .keyMissing)
    for name in ["tree", "data", "signatures", "bitfield"] {
      #expect(try bytes(of: name, in: storage) == before[name])
    }
    // With the right key all is well.
    let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    #expect(core.isWritable)
    #expect(try snapshot(storage) == before)
  }

  @Test func `nothing is created where none was asked for`() throws {
    let folder = try TemporaryFolder()
    let storage = FolderStorage(path: folder.path)
    let error = #expect(throws: FeedError.self) {
      try FeedCore.open(in: storage, options: FeedOptions(createIfMissing: false))
    }
    #expect(error?.code == .noFeedStored)
    #expect(try contents(of: folder).isEmpty)
  }

  @Test func `overwriting with the same key leaves nothing of the old feed`() throws {
    let (storage, _) = try feed(20)
    var options = FeedOptions(keyPair: keyPair(1))
    options.overwrite = true
    let core = try FeedCore.open(in: storage, options: options)
    #expect(core.length == 0)
    try core.append([[1], [2]])
    try core.close()
    let again = try FeedCore.open(in: storage)
    #expect(again.report.isHealthy)
    try expectWhole(again, [[1], [2]])
    let fresh = MemoryStorage()
    try FeedCore.open(in: fresh, options: FeedOptions(keyPair: keyPair(1))).append([[1], [2]])
    #expect(try snapshot(storage) == snapshot(fresh))
  }

  @Test func `a static feed that never got its key is forgotten`() throws {
    let storage = MemoryStorage()
    let core = try FeedCore.open(in: storage, options: FeedOptions(isLive: false))
    try core.append([[1], [2]])
    try core.close()
    let again = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    #expect(again.report.findings == [.unfinalizedForgotten(length: 2)])
    #expect(again.length == 0)
    try again.append([[3]])
    try again.close()
    try expectWhole(try FeedCore.open(in: storage), [[3]])
  }

  @Test func `a feed is open once at a time`() throws {
    let folder = try TemporaryFolder()
    let storage = FolderStorage(path: folder.path)
    let core = try FeedCore.open(in: storage)
    let error = #expect(throws: FeedError.self) { try FeedCore.open(in: storage) }
    #expect((error?.cause as? StorageError)?.code == .locked)
    let reader = try FeedCore.open(in: FolderStorage(path: folder.path, access: .readOnly))
    #expect(!reader.isWritable)
    try core.close()
    _ = try FeedCore.open(in: storage)
  }
}
