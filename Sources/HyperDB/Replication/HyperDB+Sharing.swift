public import Hypercore
public import HypercoreCrypto

extension HyperDB: Replicable {
  /// The discovery key of the database.
  public nonisolated var topic: DiscoveryKey { discoveryKey }

  /// Starts replicating with one peer, on a connection that stays open.
  public func replicateLive() async throws -> ReplicationStream { try await replicate(.live) }
}
