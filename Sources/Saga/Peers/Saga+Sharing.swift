public import Hypercore
public import HypercoreCrypto

extension Saga: Replicable {
  /// The name under which the room is found in public; it doesn't reveal the key.
  public nonisolated var discoveryKey: DiscoveryKey { key.discoveryKey }

  /// The discovery key of the room.
  public nonisolated var topic: DiscoveryKey { discoveryKey }

  /// Starts replicating with one peer: the same as ``replicate()``.
  public func replicateLive() async throws -> ReplicationStream { try await replicate() }

  /// Follows the user at the other end, as ``connect(_:from:)`` does. A peer that sends no data about its user, such
  /// as a program that only stores the room, replicates as any other.
  public func meet(_ stream: ReplicationStream, at address: String?) async {
    try? await connect(stream, from: address)
  }
}
