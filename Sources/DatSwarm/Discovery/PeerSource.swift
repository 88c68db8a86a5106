/// A way of finding peers: the local network, a rendezvous server, the DHT.
///
/// A source is a messenger: what it finds are claims of strangers. A ``Swarm`` decides which of them
/// are worth a try.
public protocol PeerSource: Sendable {
  /// What kind of source this is, which also says what may be believed of it.
  var origin: PeerOrigin { get }

  /// What is found, from the first ``join(_:announcing:)`` on, until ``close()``. Read once, by the
  /// swarm; a source that finds more than is taken drops the oldest.
  var findings: AsyncStream<Finding> { get }

  /// Looks for others who have the topic, now and from time to time. Joining a joined topic again
  /// changes what is announced.
  ///
  /// - Parameter port: the TCP port to announce, so that others find us; nil to look only.
  /// - Parameter topic: what the peers are sought for.
  func join(_ topic: Topic, announcing port: Int?) async

  /// Looks at once: the swarm has lost its last peer of the topic. By default nothing.
  func lookAgain(_ topic: Topic) async

  /// Looks no more, and takes back what was announced where that can be done.
  func leave(_ topic: Topic) async

  /// Leaves all topics and ends ``findings``.
  func close() async

  /// What keeps the source from working, each a sentence, as it begins; read once, by the swarm. A source
  /// goes on trying by itself. By default none.
  var troubles: AsyncStream<String> { get }

  /// What keeps the source from working now. By default nothing.
  var standingTroubles: [String] { get async }
}

extension PeerSource {
  /// None: for sources that nothing can keep from working.
  public var troubles: AsyncStream<String> { AsyncStream { $0.finish() } }
  public var standingTroubles: [String] { [] }
  /// Does nothing: for sources that look often enough by themselves.
  public func lookAgain(_ topic: Topic) async {}
}

/// Where an address was learned.
public enum PeerOrigin: String, Hashable, Sendable, CaseIterable {
  /// Given by the user.
  case given
  /// Multicast on the local network.
  case lan
  /// A rendezvous server of the user's choice.
  case rendezvous
  /// The BitTorrent mainline DHT: anybody.
  case dht
  /// A signal hub, and WebRTC: anybody who knows the discovery key.
  case webrtc
}

/// Addresses that a source found for a topic.
public struct Finding: Hashable, Sendable {
  /// What was sought.
  public var topic: Topic
  /// Where peers may be, in no order.
  public var addresses: [PeerAddress]
  /// The numeric address of who said so, without port; nil where that is nobody in particular.
  public var informant: String?

  /// A finding of these parts, unchecked.
  public init(topic: Topic, addresses: [PeerAddress], informant: String? = nil) {
    self.topic = topic
    self.addresses = addresses
    self.informant = informant
  }
}
