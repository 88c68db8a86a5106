import DatTesting
import HypercoreCrypto
import RandomAccessStorage

@testable import Hypercore

/// A feed that is written on a recording disk, with an independent record of what was acknowledged.
final class CrashHistory {
  /// The state after a call has returned.
  private struct Moment {
    var point: Int
    var length: UInt64
    var treeHash: Digest
  }

  private let disk = SimulatedDisk()
  private let durability: Durability
  private var core: FeedCore
  private var random: SeededRandom
  private let key: PublicKey?
  /// All blocks that were ever appended.
  private var blocks: [[UInt8]] = []
  private var moments: [Moment] = []
  /// The cleared blocks, with the point from which on they may be gone.
  private var clears: [(point: Int, range: Range<UInt64>)] = []

  init(seed: UInt64, _ durability: Durability) throws {
    random = SeededRandom(seed: seed)
    self.durability = durability
    core = try FeedCore.open(in: disk, options: FeedOptions(durability: durability))
    key = core.key
    for _ in 0..<Int.random(in: 4...9, using: &random) { try step() }
    try core.close()
  }

  private func step() throws {
    switch Int.random(in: 0..<10, using: &random) {
    case 0 where core.length > 0:
      let start = UInt64.random(in: 0..<core.length, using: &random)
      let end = min(core.length, start + .random(in: 1...4, using: &random))
      clears.append((disk.crashPoints - 1, start..<end))
      try core.clear(start..<end)
    case 1:
      try core.close()
      core = try FeedCore.open(in: disk, options: FeedOptions(durability: durability))
    default:
      let batch = (0..<(random.chance(0.5) ? 1 : Int.random(in: 2...6, using: &random))).map { _ in
        random.bytes(Int.random(in: 0...(random.chance(0.2) ? 1500 : 90), using: &random))
      }
      blocks += batch
      try core.append(batch)
    }
    moments.append(
      Moment(point: disk.crashPoints - 1, length: core.length, treeHash: core.treeHash))
  }

  /// Crashes at every point, in several ways each, until the tally is full.
  func run(_ tally: inout CrashTally, seed: UInt64) throws {
    tally.beginHistory(points: disk.crashPoints, ways: losses.count)
    var crash = disk.crash()
    repeat {
      guard tally.takesPoint(&random) else { continue }
      for (loss, part) in losses where tally.goesOn {
        let found = try crash.disk(losing: loss, withPartOfNext: part, random: &random)
        let writesOn = tally.states % 3 == 0
        tally.count("SEED=\(seed) point \(crash.point) losing \(loss)\(part ? " in a write" : "")")
        {
          try check(found, at: crash.point, goesOn: writesOn)
        }
      }
    } while tally.goesOn && crash.advance()
  }

  private var losses: [(SimulatedDisk.Loss, Bool)] {
    guard durability != .buffered else { return [(.nothing, false), (.nothing, true)] }
    return [
      (.nothing, true), (.unsynced, false), (.tail, false), (.tail, true), (.anySectors, false),
      (.anySectors, true),
    ]
  }

  private func check(_ found: SimulatedDisk, at point: Int, goesOn: Bool) throws {
    let known = moments.last { $0.point <= point }
    var core = try FeedCore.open(in: found, options: FeedOptions(durability: durability))
    if core.key != key {
      // The crash came before the keys were written, and so before anything else.
      guard known == nil || known?.length == 0 else { throw CrashFault.lost("the key is gone") }
      return
    }
    try check(core, known, at: point)
    guard goesOn else { return }
    try core.append([[1, 2, 3], [UInt8(point & 255)]])
    let length = core.length
    let hash = core.treeHash
    try core.close()
    core = try FeedCore.open(in: found, options: FeedOptions(durability: durability))
    guard core.length == length, core.treeHash == hash,
      try core.block(at: length - 2) == [1, 2, 3]
    else { throw CrashFault.lost("what was appended after the crash is gone") }
    try check(core, known, at: point)
  }

  private func check(_ core: FeedCore, _ known: Moment?, at point: Int) throws {
    let length = known?.length ?? 0
    guard core.isWritable else {
      throw CrashFault.lost("it can't be written any more: \(core.report.findings)")
    }
    guard core.length >= length else {
      throw CrashFault.lost("\(core.length) of \(length) acknowledged blocks are there")
    }
    if length > 0, TreeHash.tree(try core.rootHashes(at: length - 1)) != known?.treeHash {
      throw CrashFault.fork("another history of length \(length) than the one acknowledged")
    }
    for index in 0..<length {
      if let block = try core.block(at: index) {
        guard block == blocks[Int(index)] else { throw CrashFault.lost("block \(index) is wrong") }
      } else if !clears.contains(where: { $0.point <= point && $0.range.contains(index) }) {
        throw CrashFault.lost("block \(index) of \(length) is gone: \(core.report.findings)")
      }
    }
    guard try core.audit().invalid == 0 else { throw CrashFault.lost("a block is damaged") }
  }
}

/// A replica that downloads on a recording disk.
final class DownloadHistory {
  private let disk = SimulatedDisk()
  private let durability: Durability
  private let writer: FeedCore
  private var random: SeededRandom

  init(seed: UInt64, _ durability: Durability) throws {
    var random = SeededRandom(seed: seed)
    self.durability = durability
    writer = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    self.random = random
    var core = try FeedCore.open(in: disk, options: options)
    for _ in 0..<Int.random(in: 4...9, using: &random) {
      if writer.length == 0 || random.chance(0.4) {
        try writer.append(
          (0..<Int.random(in: 1...9, using: &random)).map { _ in
            random.bytes(Int.random(in: 0...(random.chance(0.2) ? 1500 : 90), using: &random))
          })
      }
      switch Int.random(in: 0..<8, using: &random) {
      case 0 where core.length > 0:
        let start = UInt64.random(in: 0..<core.length, using: &random)
        try core.clear(start..<start + .random(in: 1...4, using: &random))
      case 1:
        try core.close()
        core = try FeedCore.open(in: disk, options: options)
      default:
        core.beginBatch()
        for _ in 0..<Int.random(in: 1...6, using: &random) {
          try fetch(
            .random(in: 0..<writer.length, using: &random), from: writer, into: core)
        }
        try core.commitBatch()
      }
    }
    try core.close()
  }

  private var options: FeedOptions {
    FeedOptions(key: keyPair(1).publicKey, durability: durability)
  }

  func run(_ tally: inout CrashTally, seed: UInt64) throws {
    let losses: [SimulatedDisk.Loss] =
      durability == .buffered ? [.nothing] : SimulatedDisk.Loss.allCases
    tally.beginHistory(points: disk.crashPoints, ways: 2 * losses.count)
    var crash = disk.crash()
    repeat {
      guard tally.takesPoint(&random) else { continue }
      for loss in losses {
        for part in [false, true] where tally.goesOn {
          let found = try crash.disk(losing: loss, withPartOfNext: part, random: &random)
          let readsOn = tally.states % 3 == 0
          tally.count(
            "SEED=\(seed) point \(crash.point) losing \(loss)\(part ? " in a write" : "")"
          ) {
            try check(found, goesOn: readsOn)
          }
        }
      }
    } while tally.goesOn && crash.advance()
  }

  /// Checks that what a crash took can be fetched again, and that what is stored is right.
  private func check(_ found: SimulatedDisk, goesOn: Bool) throws {
    let core = try FeedCore.open(in: found, options: options)
    guard core.length <= writer.length else { throw CrashFault.lost("it is too long") }
    if core.length > 0,
      TreeHash.tree(core.roots) != TreeHash.tree(try writer.rootHashes(at: core.length - 1))
    {
      throw CrashFault.fork("another history of length \(core.length)")
    }
    for index in 0..<core.length {
      if let block = try core.block(at: index), try block != writer.block(at: index) {
        throw CrashFault.lost("block \(index) is wrong")
      }
    }
    guard try core.audit().invalid == 0 else { throw CrashFault.lost("a block is damaged") }
    guard goesOn else { return }
    for index in 0..<writer.length where !core.has(index) {
      try fetch(index, from: writer, into: core)
    }
    guard core.treeHash == writer.treeHash, core.has(0..<writer.length) else {
      throw CrashFault.lost("it can't be completed")
    }
  }
}
