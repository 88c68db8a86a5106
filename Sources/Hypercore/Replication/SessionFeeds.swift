internal import HypercoreCrypto
internal import HypercoreProtocol

/// The feeds of one connection, and their peers, by channel.
struct SessionFeeds {
  /// A feed that was opened here.
  struct Opened {
    let replicator: Replicator
    let channel: ChannelID
    let download: Bool
    let upload: Bool
  }

  /// The number of feeds that must end before the connection does; 0 if it doesn't end by itself.
  var expected: Int
  /// The feeds in the order in which they were opened here.
  private(set) var opened: [Opened] = []
  /// The peers by the number of their channel.
  private(set) var peers: [FeedPeer?] = []
  /// The feeds that the burst was about.
  private var touched: [Replicator] = []

  init(expected: Int) { self.expected = expected }

  // MARK: Opening

  /// - Returns: false if the channel was opened before.
  mutating func open(_ feed: Opened) -> Bool {
    guard !opened.contains(where: { $0.channel == feed.channel }) else { return false }
    opened.append(feed)
    return true
  }

  /// The discovery key of the feed of a channel that was opened here.
  func discoveryKey(of channel: ChannelID) -> DiscoveryKey? {
    opened.first { $0.channel == channel }?.replicator.core.discoveryKey
  }

  // MARK: Peers

  mutating func add(_ peer: FeedPeer) {
    while peers.count <= peer.channel.number { peers.append(nil) }
    peers[peer.channel.number] = peer
  }

  /// The peer of a channel, once it is active.
  func peer(on channel: ChannelID) -> FeedPeer? {
    channel.number < peers.count ? peers[channel.number] : nil
  }

  mutating func remove(_ peer: FeedPeer) {
    if peer.channel.number < peers.count { peers[peer.channel.number] = nil }
  }

  /// Counts a feed that has ended.
  ///
  /// - Returns: true if it was the last that was expected.
  mutating func ended() -> Bool {
    guard expected > 0 else { return false }
    expected -= 1
    return expected == 0
  }

  /// The number of the remote's requests that wait to be answered, on all its feeds.
  var queuedRequestCount: Int { peers.reduce(0) { $0 + ($1?.upload.requests.count ?? 0) } }

  // MARK: The burst

  /// Makes the end of the burst look at a feed.
  mutating func touch(_ replicator: Replicator) {
    // Successive messages are often about one feed.
    if touched.last === replicator { return }
    if !touched.contains(where: { $0 === replicator }) { touched.append(replicator) }
  }

  /// Removes the next feed to look at.
  mutating func popTouched() -> Replicator? { touched.popLast() }
}
