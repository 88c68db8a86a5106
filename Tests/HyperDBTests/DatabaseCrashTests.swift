import DatTesting
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import HyperDB
@testable import Hypercore

/// Crashes at every write and every sync of a database that is written and authorizes, as
/// `CrashCampaignTests` does for a single feed. `CRASH_STATES=n` looks at more states.
@Suite(.timeLimit(.minutes(60))) struct DatabaseCrashTests {
  @Test func `synced, no crash loses a value or a writer that was acknowledged`() async throws {
    try await run(CrashTally("put and authorize, synced", share: 0.3, standard: 10_500), .synced)
  }

  @Test func `buffered, the death of the process loses neither`() async throws {
    try await run(
      CrashTally("put and authorize, buffered", share: 0.25, standard: 2_200, onlyProcess: true),
      .buffered)
  }

  private func run(_ empty: CrashTally, _ durability: Durability) async throws {
    var tally = empty
    var seed: UInt64 = 0
    while tally.goesOn {
      try await DatabaseHistory(seed: seed, durability).run(&tally, seed: seed)
      seed += 1
    }
    print(tally)
    for failure in tally.failures { Issue.record("\(failure)") }
    #expect(tally.states >= tally.quota && tally.quota >= 1)
  }
}

/// A database that is written on a recording disk, and an outside record of what was acknowledged.
private final class DatabaseHistory {
  /// The state after a call has returned.
  private struct Moment {
    var point: Int
    var values: [String: [UInt8]]
    var writers: Set<PublicKey>
    var tree: FeedTree?
  }

  private let disk = SimulatedDisk()
  private var options = HyperDBOptions()
  private var random: SeededRandom
  private var moments: [Moment] = []

  init(seed: UInt64, _ durability: Durability) async throws {
    random = SeededRandom(seed: seed)
    options.durability = durability
    options.keyPair = KeyPair(seed: random.bytes(32))
    options.isNew = true
    let db = try await HyperDB.open(disk, options: options)
    var now = Moment(point: disk.crashPoints - 1, values: [:], writers: [])
    moments.append(now)
    for _ in 0..<Int.random(in: 3...7, using: &random) {
      switch Int.random(in: 0..<6, using: &random) {
      case 0:
        let key = KeyPair(seed: random.bytes(32))!.publicKey
        try await db.authorize(key)
        now.writers.insert(key)
      case 1:
        let changes = (0..<Int.random(in: 2...5, using: &random)).map { _ in someChange() }
        try await db.batch(changes.map { .put($0.key, $0.value) })
        for change in changes { now.values[change.key] = change.value }
      case 2 where !now.values.isEmpty:
        let key = now.values.keys.sorted().randomElement(using: &random)!
        try await db.delete(key)
        now.values[key] = nil
      default:
        let change = someChange()
        try await db.put(change.key, change.value)
        now.values[change.key] = change.value
      }
      now.point = disk.crashPoints - 1
      now.tree = try await db.localTree()
      moments.append(now)
    }
    await db.close()
  }

  private func someChange() -> (key: String, value: [UInt8]) {
    (
      "k\(Int.random(in: 0..<6, using: &random))/\(Int.random(in: 0..<3, using: &random))",
      random.bytes(Int.random(in: 0...(random.chance(0.2) ? 1200 : 40), using: &random))
    )
  }

  func run(_ tally: inout CrashTally, seed: UInt64) async throws {
    let losses: [SimulatedDisk.Loss] =
      options.durability == .buffered ? [.nothing] : [.unsynced, .tail, .anySectors]
    tally.beginHistory(points: disk.crashPoints, ways: 2 * losses.count)
    var crash = disk.crash()
    repeat {
      guard tally.takesPoint(&random) else { continue }
      for loss in losses {
        for part in [false, true] where tally.goesOn {
          let found = try crash.disk(losing: loss, withPartOfNext: part, random: &random)
          let goesOn = tally.states % 3 == 0
          await tally.count(
            "SEED=\(seed) point \(crash.point) losing \(loss)\(part ? " in a write" : "")"
          ) {
            try await check(found, at: crash.point, goesOn: goesOn)
          }
        }
      }
    } while tally.goesOn && crash.advance()
  }

  private func check(_ found: SimulatedDisk, at point: Int, goesOn: Bool) async throws {
    let place = moments.lastIndex { $0.point <= point } ?? 0
    // The acknowledged state, or that with the call in progress.
    let allowed = moments[place...min(place + 1, moments.count - 1)]
    var db = try await HyperDB.open(found, options: options)
    try await check(db, allowed)
    guard goesOn else { return await db.close() }
    try await db.put("after", [7])
    await db.close()
    db = try await HyperDB.open(found, options: options)
    guard try await db.get("after").map(\.value) == [[7]] else {
      throw CrashFault.lost("what was put after the crash is gone")
    }
    try await check(db, allowed)
    await db.close()
  }

  private func check(_ db: HyperDB, _ allowed: ArraySlice<Moment>) async throws {
    var values: [String: [UInt8]] = [:]
    for node in try await db.list().collect().flatMap({ $0 }) where node.key != "after" {
      values[node.key] = node.value
    }
    guard allowed.contains(where: { $0.values == values }) else {
      throw CrashFault.lost("it has \(values.keys.sorted()), or other values of them")
    }
    var writers: Set<PublicKey> = []
    for key in Set(allowed.flatMap(\.writers)) where await db.isAuthorized(key) {
      writers.insert(key)
    }
    guard allowed.contains(where: { $0.writers == writers }) else {
      throw CrashFault.lost("\(writers.count) writers are authorized")
    }
    guard await db.issues.isEmpty else {
      throw CrashFault.lost("entries can't be read: \(await db.issues)")
    }
    if let tree = allowed.first?.tree, try await db.localTree(at: tree.length) != tree {
      throw CrashFault.fork("another history of length \(tree.length)")
    }
  }
}

private struct FeedTree: Hashable, Sendable {
  var length: UInt64
  var hash: Digest
}

extension HyperDB {
  /// Returns the tree of the local feed, as it is or was at a length.
  fileprivate func localTree(at length: UInt64? = nil) throws -> FeedTree? {
    guard let log = feedSet.logs[localKey] else { return nil }
    let length = length ?? log.core.length
    guard length > 0, length <= log.core.length else { return nil }
    return FeedTree(
      length: length, hash: TreeHash.tree(try log.core.rootHashes(at: length - 1)))
  }
}
