import DatTesting
import HypercoreCrypto
import Testing

@testable import Hypercore

@Suite struct FeedReplicationTests {
  /// Without timeouts: the load of the machine must not matter here.
  private func untimed(live: Bool = false) -> ReplicationOptions {
    var options = ReplicationOptions()
    options.live = live
    options.timeout = nil
    return options
  }

  @Test func `a reader gets every block of a feed and both ends end`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append((0..<100).map { Array("block \($0)".utf8) })
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    await join(try await feed.replicate(untimed()), try await copy.replicate(untimed()))
    #expect(await copy.length == 100)
    #expect(try await copy.get(0..<100) == feed.get(0..<100))
  }

  @Test(arguments: [1, 7, 64]) func `bytes may arrive in pieces of any size`(size: Int) async throws
  {
    let feed = try await Feed.inMemory()
    try await feed.append((0..<20).map { Array("block \($0)".utf8) })
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    await join(
      try await feed.replicate(untimed()), try await copy.replicate(untimed()), piece: size)
    #expect(try await copy.get(0..<20) == feed.get(0..<20))
  }

  @Test func `an update of a sparse feed proves the length, and fetches no block`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append((0..<100).map { Array("block \($0)".utf8) })
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key), sparse: true))
    let (one, other) = (
      try await feed.replicate(untimed(live: true)), try await copy.replicate(untimed(live: true))
    )
    let joined = Task { await join(one, other) }
    #expect(try await copy.update() == 100)
    #expect(await copy.downloaded() == 0)
    #expect(try await copy.get(57) == feed.get(57))
    #expect(try await copy.head() == feed.head())
    #expect(await copy.downloaded() == 2)
    for stream in [one, other] { await stream.close() }
    await joined.value
  }

  @Test func `a feed that is opened on a running connection is exchanged too, and opened once`()
    throws
  {
    let simulation = Simulation(seed: 1)
    let writers = try (1...2 as ClosedRange<UInt8>).map { number in
      let writer = try SimulatedReplica(
        "writer", FeedOptions(keyPair: keyPair(number)), seed: UInt64(number))
      try writer.core.append(someBlocks(10))
      return writer
    }
    let readers = try (1...2 as ClosedRange<UInt8>).map { number in
      try SimulatedReplica(
        "reader", FeedOptions(key: keyPair(number).publicKey), seed: UInt64(number) + 2)
    }
    let connection = try SimulatedReplica.connect(
      writers[0], readers[0], live: true, in: simulation)
    simulation.run(for: .seconds(1))
    #expect(readers[0].core.has(0..<10))
    for _ in 0..<2 {
      try connection.sessions[0].open(writers[1].replicator, download: false)
      try connection.sessions[1].open(readers[1].replicator, download: true)
      simulation.run(for: .seconds(1))
      #expect(readers[1].core.has(0..<10))
    }
    for replica in writers + readers { #expect(replica.replicator.peers.count == 1) }
    #expect(connection.hasEnded == [false, false])
  }

  @Test func `a live reader gets what is appended later`() async throws {
    let feed = try await Feed.inMemory()
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    let (one, other) = (
      try await feed.replicate(untimed(live: true)), try await copy.replicate(untimed(live: true))
    )
    let joined = Task { await join(one, other) }
    try await feed.append("late", as: .utf8)
    #expect(try await copy.get(0, as: .utf8) == "late")
    try await feed.append("later", as: .utf8)
    #expect(try await copy.get(1, as: .utf8) == "later")
    await one.close()
    await other.close()
    await joined.value
  }
}
