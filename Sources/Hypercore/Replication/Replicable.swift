public import HypercoreCrypto

/// What peers share under one discovery key: a feed, a database, an archive or a room.
///
/// A swarm needs no more to know of it: `try await swarm.join(saga)`. A data structure of your own, on top of feeds,
/// conforms in order to be joined the same way.
public protocol Replicable: Sendable {
  /// The discovery key of its first feed, under which its peers find each other.
  ///
  /// It throws if there is no key yet, as of a static feed that is not finalized.
  var topic: DiscoveryKey { get async throws }

  /// Starts replicating with one peer, on a connection that stays open.
  ///
  /// - Returns: the connection, which a transport drives.
  func replicateLive() async throws -> ReplicationStream

  /// Follows a connection whose peer has completed its handshake. Called once for each connection that stays, and
  /// cancelled when that ends. It does nothing unless a type has its own.
  ///
  /// - Parameters:
  ///   - stream: the result of ``replicateLive()``.
  ///   - address: the numeric address of the other end, without port; nil if there is none.
  func meet(_ stream: ReplicationStream, at address: String?) async
}

extension Replicable {
  /// Does nothing.
  public func meet(_ stream: ReplicationStream, at address: String?) async {}
}

extension Feed: Replicable {
  /// The feed's discovery key.
  ///
  /// It throws ``FeedError`` with `keyMissing` for a static feed that is not finalized.
  public var topic: DiscoveryKey {
    get throws {
      guard let key = currentKey else { throw FeedError.notFinalized }
      return key.discoveryKey
    }
  }

  /// Starts replicating with one peer, on a connection that stays open.
  public func replicateLive() async throws -> ReplicationStream { try await replicate(.live) }
}
