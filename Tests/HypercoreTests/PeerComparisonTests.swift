import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

@testable import Hypercore

/// The question with which each connection begins.
@Suite struct PeerComparisonTests {
  @Test func `a question is given up once its answer is late, and not before`() throws {
    let now = Moment(.now)
    var comparison = PeerComparison()
    let early = comparison.expire(at: now)
    #expect(!early && comparison.failures == 0)
    comparison.ask(3, now: now)
    let deadline = try #require(comparison.deadline)
    #expect(deadline == now + ReplicationLimits.requestTimeout)
    let waits = comparison.expire(at: deadline - .milliseconds(1))
    #expect(!waits && comparison.question != nil && comparison.failures == 0)
    let isLate = comparison.expire(at: deadline)
    #expect(isLate && comparison.question == nil && comparison.failures == 1)
    let again = comparison.expire(at: deadline + .seconds(60))
    #expect(!again && comparison.failures == 1)
  }

  @Test func `a writer is synced once its peer has said what it has`() throws {
    let simulation = Simulation(seed: 1)
    let writer = try SimulatedReplica("writer", FeedOptions(keyPair: keyPair(1)), seed: 1)
    let reader = try SimulatedReplica(
      "reader", FeedOptions(key: keyPair(1).publicKey), seed: 2)
    try SimulatedReplica.connect(writer, reader, live: true, in: simulation)
    simulation.run(for: .seconds(1))
    #expect(reader.core.length == 0)
    try writer.core.append(someBlocks(10))
    #expect(!writer.replicator.isSynced)
    try writer.replicator.flush()
    simulation.run(for: .seconds(1))
    #expect(reader.replicator.isSynced && reader.core.has(0..<10))
    #expect(writer.replicator.isSynced)
    #expect(writer.replicator.peers.allSatisfy { !$0.isComparing })
  }
}
