public import Hypercore
public import HypercoreCrypto

extension Archive: Replicable {
  /// The discovery key of the archive.
  public nonisolated var topic: DiscoveryKey { discoveryKey }

  /// Starts replicating with one peer, on a connection that stays open.
  public func replicateLive() async throws -> ReplicationStream { try await replicate(.live) }
}
