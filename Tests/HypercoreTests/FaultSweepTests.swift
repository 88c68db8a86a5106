import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Fails each call of the storage once, for each operation of a feed: the error has to be this
/// project's, and the feed as before or after.
@Suite struct FaultSweepTests {
  enum Operation: String, CaseIterable {
    case create, open, append, batch, download, batchOfDownloads, clear, finalize, audit, sync,
      close
  }

  private let durability = Durability.synced
  private var owner: FeedOptions {
    var options = FeedOptions(keyPair: keyPair(1))
    options.durability = durability
    return options
  }

  /// A storage in the state in which the operation starts.
  private func prepare(_ operation: Operation) throws -> MemoryStorage {
    let storage = MemoryStorage()
    switch operation {
    case .create: break
    case .download, .batchOfDownloads:
      let core = try FeedCore.open(
        in: storage, options: FeedOptions(key: keyPair(1).publicKey, durability: durability))
      try fetch(1, from: source(), into: core)
      try core.close()
    case .finalize:
      let core = try FeedCore.open(
        in: storage, options: FeedOptions(isLive: false, durability: durability))
      try core.append(blocks(4))
      // Closing it now would lose it, so it stays open: see `run`.
      try core.commitBatch()
    default:
      let core = try FeedCore.open(in: storage, options: owner)
      try core.append(blocks(4))
      try core.append(blocks(3))
      try core.close()
    }
    return storage
  }

  private func blocks(_ count: Int) -> [[UInt8]] {
    (0..<count).map { [UInt8](repeating: UInt8($0 + count), count: 30 * $0) }
  }

  private func source() throws -> FeedCore {
    let core = try FeedCore.open(in: MemoryStorage(), options: owner)
    try core.append(blocks(4))
    try core.append(blocks(3))
    return core
  }

  private func options(_ operation: Operation) -> FeedOptions {
    switch operation {
    case .download, .batchOfDownloads:
      FeedOptions(key: keyPair(1).publicKey, durability: durability)
    case .finalize: FeedOptions(isLive: false, durability: durability)
    default: owner
    }
  }

  private func run(_ operation: Operation, _ faulty: FaultyStorage, arm: () -> Void) throws {
    let opens = [Operation.create, .open].contains(operation)
    if opens { arm() }
    let core = try FeedCore.open(in: faulty, options: options(operation))
    if operation == .finalize { try core.append(blocks(4)) }
    if !opens { arm() }
    switch operation {
    case .create, .open: break
    case .append: try core.append([[1, 2, 3]])
    case .batch: try core.append(blocks(9))
    case .download: try fetch(5, from: source(), into: core)
    case .batchOfDownloads:
      core.beginBatch()
      for block in [0, 3, 5, 6] as [UInt64] { try fetch(block, from: source(), into: core) }
      try core.commitBatch()
    case .clear: try core.clear(2..<6)
    case .finalize: try core.finalize()
    case .audit: _ = try core.audit()
    case .sync: try core.sync()
    case .close: try core.close()
    }
    try core.close()
  }

  @Test(arguments: Operation.allCases, [false, true])
  func `whichever call of the storage fails, the feed is as before or after`(
    operation: Operation, tears: Bool
  ) throws {
    // A static feed without its key is forgotten when it is opened: the test starts from nothing.
    func start() throws -> MemoryStorage {
      operation == .finalize ? MemoryStorage() : try prepare(operation)
    }
    let whole = try start()
    let length: UInt64
    do {
      let before = try? FeedCore.open(
        in: MemoryStorage(sharing: whole, access: .readOnly), options: options(operation))
      length = before?.length ?? 0
    }
    var call = 0
    while true {
      let storage = try start()
      let faulty = FaultyStorage(storage)
      var thrown: (any Error)?
      do {
        try run(operation, faulty) { faulty.fail(.init(call: call, tears: tears)) }
      } catch {
        thrown = error
      }
      let wasHit = faulty.callCount > call
      if let thrown { #expect(thrown is FeedError, "\(operation) \(call): \(thrown)") }
      try expectSound(storage, operation, from: length, "call \(call)")
      guard wasHit else {
        #expect(thrown == nil, "\(operation)")
        break
      }
      call += 1
    }
    #expect(call > 0 || operation == .close)
  }

  private func expectSound(
    _ storage: MemoryStorage, _ operation: Operation, from length: UInt64, _ place: String
  ) throws {
    if operation == .finalize {
      // A static feed without its key is forgotten; with the key it is complete.
      guard try storage.storage(named: "key").length() > 0 else { return }
    }
    let core = try FeedCore.open(in: storage, options: options(operation))
    #expect(try core.audit().invalid == 0, "\(operation) \(place)")
    switch operation {
    case .append: #expect([length, length + 1].contains(core.length), "\(place)")
    case .batch: #expect([length, length + 9].contains(core.length), "\(place)")
    default: #expect(core.length >= length, "\(operation) \(place)")
    }
    let original = blocks(4) + blocks(3)
    for index in 0..<min(core.length, 7) {
      if let block = try core.block(at: index) {
        #expect(block == original[Int(index)], "\(operation) \(place)")
      } else {
        #expect([.download, .batchOfDownloads, .clear].contains(operation), "\(place)")
      }
    }
    if core.secretKey != nil { #expect(core.isWritable, "\(operation) \(place)") }
    try core.close()
  }
}
