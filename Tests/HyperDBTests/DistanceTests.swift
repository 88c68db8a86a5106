import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import Testing

/// What distance costs: the round trips until a newcomer has everything, on virtual time.
@Suite struct DistanceTests {
  /// A line with this many milliseconds for a round trip, which loses packets of 1,448 bytes.
  private static func line(_ roundTrip: Int, loss: Double) -> Simulation.Conditions {
    var conditions = Simulation.Conditions()
    conditions.delay = roundTrip * 500...roundTrip * 500
    conditions.cutting = .pieces(1448)
    conditions.window = 4 << 20
    conditions.loss = loss
    return conditions
  }

  /// The round trips until `isDone`.
  private func roundTrips(
    _ simulation: Simulation, _ roundTrip: Int, until isDone: () async throws -> Bool
  ) async throws -> Double {
    let start = simulation.now
    while try await !isDone() {
      try #require(
        simulation.step(until: start + .seconds(600)), "nothing is left to do, and it is not done")
    }
    return (simulation.now - start) / .milliseconds(roundTrip)
  }

  /// The first requests are 64, and each answer allows one more: they double with each round trip.
  @Test(arguments: [
    (roundTrip: 20, loss: 0, most: 10.0), (roundTrip: 300, loss: 0, most: 10),
    (roundTrip: 100, loss: 0.01, most: 20),
  ])
  func `a feed of 10,000 blocks takes few round trips`(
    roundTrip: Int, loss: Double, most: Double
  ) async throws {
    let simulation = Simulation(seed: 1)
    let pair = try #require(KeyPair(seed: simulation.random.bytes(32)))
    let writer = try SimulatedReplica("writer", FeedOptions(keyPair: pair), seed: 2)
    try writer.core.append((0..<10_000).map { [UInt8](repeating: UInt8($0 & 255), count: 100) })
    let reader = try SimulatedReplica("reader", FeedOptions(key: pair.publicKey), seed: 3)
    try SimulatedReplica.connect(
      writer, reader, live: true, in: simulation, Self.line(roundTrip, loss: loss))
    let trips = try await roundTrips(simulation, roundTrip) { reader.stores == 10_000 }
    #expect(trips <= most)
  }

  /// The source feed, its list of writers, their feeds, and those that do not fit into the first requests.
  @Test(arguments: [
    (roundTrip: 20, loss: 0, most: 6.0), (roundTrip: 300, loss: 0, most: 6),
    (roundTrip: 100, loss: 0.01, most: 8),
  ])
  func `a database of twenty writers takes few round trips`(
    roundTrip: Int, loss: Double, most: Double
  ) async throws {
    #expect(try await join(roundTrip, loss, on: Replica()) <= most)
  }

  private func member(
    _ name: String, key: PublicKey?, seed: UInt64, on replica: Replica
  ) async throws -> RoomMember {
    var options = HyperDBOptions()
    options.update = false
    options.isNew = true
    var random = SeededRandom(seed: seed)
    let pair = KeyPair(seed: random.bytes(32))
    if key == nil { options.keyPair = pair } else { options.localKeyPair = pair }
    options.makeRandom = { SeededRandom(seed: seed) }
    return try await RoomMember(name, key: key, options: options, skew: .zero, on: replica)
  }

  private func join(
    _ roundTrip: Int, _ loss: Double, on replica: isolated Replica
  ) async throws -> Double {
    let simulation = Simulation(seed: 1)
    let owner = try await member("owner", key: nil, seed: 10, on: replica)
    for number in 0..<20 {
      let writer = try await member(
        "writer \(number)", key: owner.db.key, seed: 11 + UInt64(number), on: replica)
      try await owner.db.authorize(writer.db.localKey)
      let link = simulation.connect(
        try await owner.session(live: true, in: simulation),
        try await writer.session(live: true, in: simulation))
      simulation.run(for: .seconds(2))
      for message in 0..<50 { try await writer.db.put("messages/\(number)/\(message)", [1, 2, 3]) }
      simulation.run(for: .seconds(2))
      simulation.cut(link)
      try simulation.settle()
    }
    let newcomer = try await member("newcomer", key: owner.db.key, seed: 99, on: replica)
    simulation.connect(
      try await owner.session(live: true, in: simulation),
      try await newcomer.session(live: true, in: simulation), Self.line(roundTrip, loss: loss))
    return try await roundTrips(simulation, roundTrip) {
      let feeds = await newcomer.db.feeds
      return feeds.reduce(0) { $0 + $1.length } >= 1000 + 20
    }
  }
}
