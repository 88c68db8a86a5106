public import HypercoreCrypto

/// A way to peers other than TCP, which finds them and connects with them by itself: WebRTC.
///
/// Unlike a ``PeerSource``, which names addresses for the swarm to dial, a transport hands over connections
/// that are ready. The swarm decides which of them stay.
public protocol PeerTransport: Sendable {
  /// The kind of transport, which also says how far its peers are known.
  var origin: PeerOrigin { get }

  /// Events, from the first ``join(_:)`` on, until ``close()``. Read once, by the swarm. A connection
  /// that is not wanted is closed by ``PeerConnection/close()``.
  var events: AsyncStream<PeerTransportEvent> { get }

  /// Looks for peers of the topic, and connects with them.
  func join(_ key: DiscoveryKey) async

  /// Looks no more. Connections go on.
  func leave(_ key: DiscoveryKey) async

  /// Leaves all topics, breaks off what is open and ends ``events``.
  func close() async

  /// Sentences about all that keeps the transport from working now.
  var standingTroubles: [String] { get async }
}

/// An event of a transport.
@nonexhaustive
public enum PeerTransportEvent: Sendable {
  /// A connection about a topic can carry bytes.
  case arrived(DiscoveryKey, any PeerConnection)
  /// A connection about a topic came to nothing, for a reason in a sentence.
  case failed(PeerAddress, DiscoveryKey, reason: String)
  /// Something keeps the transport from working, in a sentence; it goes on trying.
  case trouble(String)
}
