public import HypercoreCrypto

/// A transport other than TCP that finds peers and connects to them by itself: WebRTC.
///
/// Unlike a ``PeerSource``, which names addresses for the swarm to dial, a transport hands over ready
/// connections. The swarm decides which of them stay.
public protocol PeerTransport: Sendable {
  /// The kind of transport, which also says how far its peers are known.
  var origin: PeerOrigin { get }

  /// Events, from the first ``join(_:)`` on, until ``close()``. Read once, by the swarm. A connection
  /// that is not wanted is closed by ``PeerConnection/close()``.
  var events: AsyncStream<PeerTransportEvent> { get }

  /// Looks for peers of the topic, and connects to them.
  func join(_ key: DiscoveryKey) async

  /// Stops looking. Connections stay open.
  func leave(_ key: DiscoveryKey) async

  /// Leaves all topics, aborts all connections and ends ``events``.
  func close() async

  /// Sentences about all that keeps the transport from working now.
  var standingTroubles: [String] { get async }
}

/// An event of a transport.
@nonexhaustive
public enum PeerTransportEvent: Sendable {
  /// A connection for a topic is ready.
  case arrived(DiscoveryKey, any PeerConnection)
  /// A connection for a topic failed, for a reason in a sentence.
  case failed(PeerAddress, DiscoveryKey, reason: String)
  /// A fault keeps the transport from working, in a sentence; it keeps trying.
  case trouble(String)
}
