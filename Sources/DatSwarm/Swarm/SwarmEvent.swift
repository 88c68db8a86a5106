public import HypercoreCrypto

/// An event of a swarm, for users and logs.
@nonexhaustive
public enum SwarmEvent: Sendable {
  /// Connections are accepted at this address.
  case listening(PeerAddress)
  /// A new address was found.
  case found(PeerAddress, DiscoveryKey, PeerOrigin)
  /// An address, or a connection from it, was refused.
  case refused(PeerAddress, DiscoveryKey?, Refusal)
  /// An attempt begins.
  case connecting(PeerAddress, DiscoveryKey)
  /// The peer has completed its handshake.
  case connected(SwarmPeer)
  /// A connection that had completed its handshake has ended, for a reason in words if there is one.
  case disconnected(SwarmPeer, reason: String?)
  /// An attempt, or a connection before its handshake, failed.
  case failed(PeerAddress, DiscoveryKey, reason: String)
  /// The address will be tried again.
  case waiting(PeerAddress, DiscoveryKey, until: ContinuousClock.Instant)
  /// The address failed too often, and is treated as unknown from now on.
  case forgotten(PeerAddress, DiscoveryKey)
  /// The connection was closed because another one leads to the same peer, as it has proven on both.
  case duplicate(SwarmPeer)

  /// A fault keeps a source of peers from working, in a sentence; the source keeps trying.
  case trouble(PeerOrigin, String)
  /// An inbound connection was closed in favour of one from another address, which has fewer: all places
  /// were taken.
  case evicted(PeerAddress)

  /// The reason for refusing an address or a connection.
  public enum Refusal: String, Hashable, Sendable, CaseIterable {
    /// It is this swarm itself.
    case own
    /// No address that can be dialled: multicast, broadcast, reserved, port 0, or a name.
    case unusable
    /// A loopback address, named by another machine.
    case loopback
    /// A private address, named by the DHT.
    case local
    /// It is denied or banned, or not among the allowed.
    case denied
    /// Its host has offended too often.
    case offended
    /// The topic has as many addresses as are kept.
    case full
    /// The informant has named too many.
    case talkative
    /// There were already as many connections as are accepted, from all hosts or from this one.
    case crowded
    /// It connected and did not name its feed in time.
    case silent
    /// It connected and did not speak the protocol.
    case malformed
    /// It connected for a topic that is not joined here.
    case unknownTopic
  }
}

/// One connection of a swarm.
public struct SwarmPeer: Hashable, Sendable {
  /// A number that identifies the connection in the swarm; a later one has a larger number.
  public let number: Int
  /// The other end's address: where it listens if this side dialled, otherwise a port of its choice.
  public let address: PeerAddress
  /// The topic of the connection.
  public let discoveryKey: DiscoveryKey
  /// True if the other side opened it.
  public let isInbound: Bool
}
