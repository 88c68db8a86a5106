public import HypercoreCrypto

/// What happens in a swarm, for people and logs.
@nonexhaustive
public enum SwarmEvent: Sendable {
  /// Connections are taken here.
  case listening(PeerAddress)
  /// An address was found that was not known.
  case found(PeerAddress, DiscoveryKey, PeerOrigin)
  /// An address, or a connection from it, is not wanted.
  case refused(PeerAddress, DiscoveryKey?, Refusal)
  /// A try begins.
  case connecting(PeerAddress, DiscoveryKey)
  /// The peer has completed its handshake.
  case connected(SwarmPeer)
  /// A connection that had completed its handshake is over, for a reason in words where there is one.
  case disconnected(SwarmPeer, reason: String?)
  /// A try, or a connection before its handshake, failed.
  case failed(PeerAddress, DiscoveryKey, reason: String)
  /// The address will be tried again.
  case waiting(PeerAddress, DiscoveryKey, until: ContinuousClock.Instant)
  /// The address failed too often, and counts as unknown.
  case forgotten(PeerAddress, DiscoveryKey)
  /// The connection was closed because another one leads to the same peer, as that has shown on both.
  case duplicate(SwarmPeer)

  /// Something keeps a source of peers from working, in a sentence; it goes on trying.
  case trouble(PeerOrigin, String)
  /// A connection that somebody opened was closed for one of another address, which has fewer: all places
  /// were taken.
  case evicted(PeerAddress)

  /// Why an address or a connection is not wanted.
  public enum Refusal: String, Hashable, Sendable, CaseIterable {
    /// Ourselves.
    case own
    /// No address that can be dialled: multicast, broadcast, reserved, port 0, or a name.
    case unusable
    /// Loopback, named by somebody beyond this machine.
    case loopback
    /// A private address, named by the DHT.
    case local
    /// Denied or banned, or not among those allowed.
    case denied
    /// Its host broke too many connections.
    case offended
    /// There are as many addresses of the topic as are kept.
    case full
    /// Whoever named it has named too many.
    case talkative
    /// Connected while there were as many connections as are taken, from all or from its host.
    case crowded
    /// Connected and did not say in time which feed it is about.
    case silent
    /// Connected and did not speak the protocol.
    case malformed
    /// Connected for a topic that is not joined here.
    case unknownTopic
  }
}

/// One connection of a swarm.
public struct SwarmPeer: Hashable, Sendable {
  /// Distinguishes the swarm's connections, first to last.
  public let number: Int
  /// The other end's address: where it listens if we dialled, else a port of its choice.
  public let address: PeerAddress
  /// What the connection is about.
  public let discoveryKey: DiscoveryKey
  /// Whether the other side opened it.
  public let isInbound: Bool
}
