/// A way of finding peers: the local network, a rendezvous server, the DHT.
///
/// A source only relays: its findings are claims of strangers. A ``Swarm`` decides which of them are worth
/// a try.
public protocol PeerSource: Sendable {
  /// The kind of source, which determines how far it is trusted.
  var origin: PeerOrigin { get }

  /// The findings from the first ``join(_:announcing:)`` until ``close()``. The swarm alone reads them. If it
  /// falls behind, the source drops the oldest.
  var findings: AsyncStream<Finding> { get }

  /// Looks for other peers of the topic, now and from time to time. Joining a topic again changes what is
  /// announced.
  ///
  /// - Parameter port: the TCP port to announce, so that others find this peer; nil to look only.
  /// - Parameter topic: the topic of the peers.
  func join(_ topic: Topic, announcing port: Int?) async

  /// Looks at once, since the swarm has lost its last peer of the topic. By default does nothing.
  func lookAgain(_ topic: Topic) async

  /// Stops looking, and withdraws what was announced if possible.
  func leave(_ topic: Topic) async

  /// Leaves all topics and ends ``findings``.
  func close() async

  /// The faults that keep the source from working, each a sentence, as they begin; read once, by the swarm. The
  /// source keeps trying by itself. By default none.
  var troubles: AsyncStream<String> { get }

  /// The faults that keep the source from working now. By default none.
  var standingTroubles: [String] { get async }
}

extension PeerSource {
  /// None: for sources that nothing can keep from working.
  public var troubles: AsyncStream<String> { AsyncStream { $0.finish() } }
  public var standingTroubles: [String] { [] }
  /// Does nothing: for sources that look often enough by themselves.
  public func lookAgain(_ topic: Topic) async {}
}

/// The kind of source of an address.
public enum PeerOrigin: String, Hashable, Sendable, CaseIterable {
  /// Given by the user.
  case given
  /// Multicast on the local network.
  case lan
  /// A rendezvous server of the user's choice.
  case rendezvous
  /// The BitTorrent mainline DHT: anybody can write to it.
  case dht
  /// A signal hub, and WebRTC: anybody who knows the discovery key can use them.
  case webrtc
}

/// Addresses that a source found for a topic.
public struct Finding: Hashable, Sendable {
  /// The topic of the search.
  public var topic: Topic
  /// The addresses of possible peers, in no order.
  public var addresses: [PeerAddress]
  /// The numeric address of the informant, without port; nil if there is no particular one.
  public var informant: String?

  /// Makes a finding of these parts, unchecked.
  public init(topic: Topic, addresses: [PeerAddress], informant: String? = nil) {
    self.topic = topic
    self.addresses = addresses
    self.informant = informant
  }
}
