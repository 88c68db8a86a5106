import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

@Suite struct CrashTests {
  /// Appends batches to a feed on a recording disk; returns the acknowledged length of the feed at
  /// each crash point.
  private func write(
    _ batches: [[[UInt8]]], to disk: SimulatedDisk, _ durability: Durability
  ) throws -> [(point: Int, length: UInt64)] {
    var options = FeedOptions(keyPair: keyPair(1))
    options.durability = durability
    let core = try FeedCore.open(in: disk, options: options)
    var acknowledged: [(point: Int, length: UInt64)] = []
    for batch in batches {
      try core.append(batch)
      acknowledged.append((disk.crashPoints - 1, core.length))
    }
    return acknowledged
  }

  @Test(arguments: testSeeds(standard: 4), [Durability.buffered, .synced])
  func `what was acknowledged survives what its durability promises`(
    seed: UInt64, durability: Durability
  ) throws {
    var random = SeededRandom(seed: seed)
    let batches = (0..<6).map { _ in
      (0..<Int.random(in: 1...4, using: &random)).map { _ in
        random.bytes(Int.random(in: 0...900, using: &random))
      }
    }
    let blocks = batches.flatMap { $0 }
    let disk = SimulatedDisk()
    let acknowledged = try write(batches, to: disk, durability)
    for point in 0..<disk.crashPoints {
      for loss in SimulatedDisk.Loss.allCases where durability == .synced || loss == .nothing {
        let found = try disk.crashed(at: point, losing: loss, random: &random)
        let known = acknowledged.last { $0.point <= point }?.length ?? 0
        let core = try FeedCore.open(in: found, options: FeedOptions(keyPair: keyPair(1)))
        #expect(core.length >= known, "\(loss) at \(point)")
        #expect(core.downloaded(0..<known) == known, "\(loss) at \(point)")
        #expect(try core.audit().invalid == 0)
        for index in 0..<core.length {
          if let block = try core.block(at: index) { #expect(block == blocks[Int(index)]) }
        }
        guard core.isWritable else { continue }
        try core.append([[1, 2, 3]])
        let length = core.length
        try core.close()
        let again = try FeedCore.open(in: found)
        // The first append leaves what was never signed to the one after it.
        let left = again.report.findings.filter {
          if case .unsignedBytesRemoved = $0 { false } else { true }
        }
        #expect(left.isEmpty, "\(left), \(loss) at \(point)")
        #expect(again.length == length)
      }
    }
  }

  @Test func `an append costs four writes and no read, a get one read`() throws {
    let tracking = TrackingStorage()
    let core = try FeedCore.open(in: tracking, options: FeedOptions(keyPair: keyPair(1)))
    try core.append((0..<300).map { _ in [UInt8](repeating: 5, count: 100) })
    tracking.reset()
    try core.append([[1]])
    try core.append([[2], [3, 3]])
    #expect(tracking.calls(.write).count == 8)
    #expect(tracking.calls.count == 8)
    tracking.reset()
    for block in [UInt64(0), 200, 301] { _ = try core.block(at: block) }
    #expect(tracking.calls.count == 3)
    tracking.reset()
    _ = try core.blocks(in: 10..<250)
    #expect(tracking.calls.count == 1)
  }

  @Test func `opening a long feed reads little`() throws {
    let storage = MemoryStorage()
    let core = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    for _ in 0..<100 { try core.append((0..<1000).map { _ in [7] }) }
    try core.close()
    let tracking = TrackingStorage(storage)
    let again = try FeedCore.open(in: tracking)
    #expect(again.length == 100_000)
    #expect(tracking.calls(.write).isEmpty)
    let bytes = tracking.calls(.read).flatMap(\.ranges).reduce(0) { $0 + $1.count }
    #expect(bytes < 64 * 1024)
  }

  @Test func `appends that are synced bring data and tree to the disk before the signature`() throws
  {
    let tracking = TrackingStorage()
    var options = FeedOptions(keyPair: keyPair(1))
    options.durability = .synced
    let core = try FeedCore.open(in: tracking, options: options)
    tracking.reset()
    try core.append([[1], [2]])
    let order = tracking.calls.map { "\($0.kind) \($0.name)" }
    #expect(
      order == [
        "write data", "write tree", "sync data", "sync tree", "write signatures",
        "sync signatures", "write bitfield",
      ])
    core.durability = .grouped(blocks: 3)
    tracking.reset()
    try core.append([[1], [2]])
    #expect(tracking.calls(.sync).isEmpty)
    try core.append([[3]])
    #expect(tracking.calls(.sync).count == 3)
    try core.append([[3]])
    tracking.reset()
    try core.append([])
    #expect(!tracking.calls(.sync).isEmpty)
  }

  @Test(arguments: 0..<8)
  func `after a write that failed an append takes up again what the files hold`(call: Int) throws {
    let storage = MemoryStorage()
    let faulty = FaultyStorage(storage)
    let core = try FeedCore.open(in: faulty, options: FeedOptions(keyPair: keyPair(1)))
    try core.append([[1], [2]])
    faulty.fail(FaultyStorage.Plan(call: call, kinds: [.write], tears: true))
    let error = #expect(throws: FeedError.self) {
      try core.append([[3], [4, 4]])
      try core.append([[5]])
    }
    #expect(error?.code == .storage)
    #expect(!core.isWritable)
    faulty.fail(FaultyStorage.Plan(call: 0, kinds: [.write], forEver: true))
    #expect(throws: FeedError.self) { try core.append([[6]]) }
    faulty.fail(nil)
    let next = Int(try core.append([[6]]))
    #expect(core.isWritable && next >= 2)
    let expected: [[UInt8]] = [[1], [2], [3], [4, 4], [5]][..<next] + [[6]]
    #expect(try core.blocks(in: 0..<core.length) == expected)
    try core.close()
    let again = try FeedCore.open(in: storage)
    #expect(again.report.isHealthy)
    #expect(try again.audit().invalid == 0)
    #expect(try again.blocks(in: 0..<again.length) == expected)
  }
}
