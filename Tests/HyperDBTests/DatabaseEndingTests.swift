import DatTesting
import HypercoreCrypto
import Testing

@testable import HyperDB
@testable import Hypercore

/// Connections that are not live, on virtual time: all of them end by themselves.
@Suite(.timeLimit(.minutes(1))) struct DatabaseEndingTests {
  /// Two replicas and the connection between them.
  private final class Exchange {
    let simulation: Simulation
    private var endings: [(any Error)?] = []

    /// - Parameter seed: a different one each time, since no two connections have the same nonces.
    init(
      _ one: RoomMember, _ other: RoomMember, seed: UInt64 = #line,
      _ change: (inout ReplicationOptions) -> Void = { _ in }
    ) async throws {
      simulation = Simulation(seed: seed)
      var ends: [RoomEnd] = []
      for member in [one, other] {
        let session = try await member.session(live: false, in: simulation, change)
        let onClose = session.hooks.onClose
        session.hooks.onClose = { [unowned self] reason in
          endings.append(reason)
          onClose?(reason)
        }
        ends.append(RoomEnd(session, skew: .zero, damage: 0, seed: 1))
      }
      simulation.connect(ends[0], ends[1])
    }

    /// Runs until nothing more happens.
    func finish() throws {
      try simulation.settle()
      #expect(endings.count == 2 && endings.allSatisfy { $0 == nil }, "\(endings)")
    }
  }

  private func member(
    of key: PublicKey? = nil, on replica: Replica,
    _ change: (inout HyperDBOptions) -> Void = { _ in }
  ) async throws -> RoomMember {
    var options = HyperDBOptions()
    change(&options)
    return try await RoomMember("", key: key, options: options, skew: .zero, on: replica)
  }

  @Test func `a connection on which nobody downloads ends`() async throws {
    try await endsWithoutDownloads(on: Replica())
  }

  private func endsWithoutDownloads(on replica: isolated Replica) async throws {
    let owner = try await member(on: replica)
    let clone = try await member(of: owner.db.key, on: replica)
    try await owner.db.put("a", [1])
    try await owner.db.authorize(clone.db.localKey)
    // The clone does not know its own feed to be one of the database's, and never opens it.
    try await Exchange(owner, clone) { $0.download = false }.finish()
    #expect(await clone.db.feeds[0].length == 0)
    // Once it does, there are two feeds that neither fetches.
    try await Exchange(owner, clone).finish()
    try await clone.db.put("b", [2])
    try await Exchange(owner, clone) { $0.download = false }.finish()
    #expect(try await owner.db.get("b").isEmpty)
    try await Exchange(owner, clone).finish()
    #expect(try await owner.db.get("b").map(\.value) == [[2]])
  }

  @Test func `a connection on which nobody uploads ends`() async throws {
    try await endsWithoutUploads(on: Replica())
  }

  private func endsWithoutUploads(on replica: isolated Replica) async throws {
    let owner = try await member(on: replica)
    let clone = try await member(of: owner.db.key, on: replica)
    try await owner.db.put("a", [1])
    try await Exchange(owner, clone) { $0.upload = false }.finish()
    #expect(await clone.db.feeds[0].length == 0)
    // The same if both ends have blocks that the other lacks.
    try await owner.db.authorize(clone.db.localKey)
    try await Exchange(owner, clone).finish()
    try await owner.db.put("a", [2])
    try await clone.db.put("b", [3])
    try await Exchange(owner, clone) { $0.upload = false }.finish()
    #expect(try await owner.db.get("b").isEmpty)
    try await Exchange(owner, clone).finish()
    #expect(try await owner.db.get("b").map(\.value) == [[3]])
  }

  @Test func `a connection of replicas that know different writers ends`() async throws {
    try await endsWithUnknownWriters(on: Replica())
  }

  private func endsWithUnknownWriters(on replica: isolated Replica) async throws {
    let owner = try await member(on: replica)
    let one = try await member(of: owner.db.key, on: replica)
    let other = try await member(of: owner.db.key, on: replica)
    try await owner.db.put("a", [1])
    try await Exchange(owner, other).finish()
    try await owner.db.authorize(one.db.localKey)
    try await Exchange(owner, one).finish()
    try await one.db.put("b", [2])
    try await Exchange(one, other).finish()
    #expect(try await other.db.get("b").map(\.value) == [[2]])
  }

  @Test func `a sparse replica's connection ends once nothing is asked for in it`() async throws {
    try await endsSparse(on: Replica())
  }

  private func endsSparse(on replica: isolated Replica) async throws {
    let owner = try await member(on: replica)
    for number in 0..<50 { try await owner.db.put("k/\(number)", [UInt8(number)]) }
    let clone = try await member(of: owner.db.key, on: replica) { $0.sparse = true }
    let db = clone.db
    try await Exchange(owner, clone).finish()
    #expect(await db.feeds[0].length == 51)
    #expect(await db.feeds[0].storedLength < 51)

    // A read during the connection is served by it.
    let exchange = try await Exchange(owner, clone)
    let reading = Reading()
    let read = Task { await reading.end(try? await db.get("k/7").map(\.value)) }
    // The simulated time goes on only while the read waits for a block; else the connection would end.
    while await !reading.hasEnded {
      if await db.waitsForBlock { exchange.simulation.run(for: .milliseconds(20)) }
      await Task.yield()
    }
    await read.value
    #expect(await reading.values == [[7]])
    try exchange.finish()
    #expect(await db.feeds[0].storedLength < 51)

    // A follower receives what is here, once each, gaps or not.
    var updates = db.updates().makeAsyncIterator()
    var told: [UInt64] = []
    loop: while let update = await updates.next() {
      switch update {
      case .entries(let nodes): told += nodes.map(\.seq)
      case .caughtUp: break loop
      default: break
      }
    }
    #expect(Set(told).count == told.count)
    // The header is here as well, and is not an entry.
    #expect(UInt64(told.count) + 1 == (await db.feeds[0].storedLength))
    #expect(told.contains(8) && told.contains(50))
    // And later entries.
    try await owner.db.put("k/50", [50])
    try await Exchange(owner, clone).finish()
    guard case .entries(let later)? = await updates.next() else {
      Issue.record("nothing was told")
      return
    }
    #expect(later.map(\.seq) == [51])
  }
}

/// The result of a read, once it has ended.
private actor Reading {
  private(set) var values: [[UInt8]?]?
  private(set) var hasEnded = false

  func end(_ values: [[UInt8]?]?) {
    self.values = values
    hasEnded = true
  }
}

extension HyperDB {
  /// True if a read waits for a block of a peer.
  fileprivate var waitsForBlock: Bool {
    feedSet.logs.values.contains { $0.replicator.waits.hasBlocks }
  }
}
