package import HypercoreCrypto
package import HypercoreProtocol

/// One connection and the feeds that are replicated over it. It decodes bytes into messages for the feeds'
/// peers, and gathers the peers' messages.
///
/// Synchronous, without I/O or a clock. Its owner passes in bytes and instants and takes the output; the
/// hooks notify it of all else.
///
/// Properties that are used for every message are `@exclusivity(unchecked)`, here and in the classes below:
/// nothing calls out while it changes such a property, and checking each access took an eighth of the time.
package final class ReplicationSession {
  package typealias Instant = ContinuousClock.Instant

  package let connection: Connection
  /// The account of the memory that the remote makes this side keep for all its feeds.
  let memory = PeerMemory()
  /// The nonces of the replica's earlier connections.
  private let nonces: NonceMemory?
  /// The key pair that this side proves to hold; nil for none.
  package var identity: KeyPair?
  /// The functions by which it notifies its owner.
  @exclusivity(unchecked) package var hooks = SessionHooks()
  @exclusivity(unchecked) private var feeds: SessionFeeds
  /// The instant of the current call.
  @exclusivity(unchecked) private(set) var now: Moment
  /// The time at which the last message arrived.
  @exclusivity(unchecked) private(set) var lastReceived: Moment

  private enum Phase {
    case open
    /// Nothing follows that is not queued yet.
    case ending
    case closed
  }

  @exclusivity(unchecked) private var phase = Phase.open
  @exclusivity(unchecked) private var outputWasSignalled = false
  private var isProcessing = false

  /// - Parameter nonces: the nonces of the replica's earlier connections.
  package init(
    connection: Connection, expectedFeeds: Int, now: Instant, nonces: NonceMemory? = nil
  ) {
    self.connection = connection
    self.nonces = nonces
    feeds = SessionFeeds(expected: expectedFeeds)
    self.now = Moment(now)
    lastReceived = self.now
  }

  /// The number of the remote's requests that wait to be answered, on all its feeds.
  var queuedRequestCount: Int { feeds.queuedRequestCount }

  package var isLive: Bool { connection.options.live }

  /// True if nothing is sent after what is queued.
  package var hasEnded: Bool { phase != .open }

  private var isClosed: Bool { phase == .closed }

  // MARK: Feeds

  /// The number of feeds that must end before the connection does; 0 if it doesn't end by itself.
  package var expectedFeeds: Int {
    get { feeds.expected }
    set { feeds.expected = newValue }
  }

  /// The number of feeds that can still be opened: a channel is never reused for another one.
  package var freeChannels: Int { max(connection.maximumChannels - feeds.opened.count, 0) }

  /// Opens a feed on this connection. The first feed of an encrypted connection must be the same on both
  /// sides.
  package func open(_ replicator: Replicator, download: Bool, upload: Bool = true) throws {
    guard let key = replicator.core.key else { throw FeedError.notFinalized }
    let channel = try connection.open(key)
    let feed = SessionFeeds.Opened(
      replicator: replicator, channel: channel, download: download, upload: upload)
    guard feeds.open(feed) else { return }
    if connection.remoteHandshake != nil { activate(feed) }
    hasOutput()
  }

  /// The peer of the feed with this discovery key, once it is active.
  package func peer(of discoveryKey: DiscoveryKey) -> FeedPeer? {
    connection.channel(of: discoveryKey).flatMap { feeds.peer(on: $0) }
  }

  /// The discovery key of the feed of a channel that was opened here.
  func discoveryKey(of channel: ChannelID) -> DiscoveryKey? {
    feeds.discoveryKey(of: channel)
  }

  /// The channel of the feed that was opened here first.
  var firstChannel: ChannelID? { feeds.opened.first?.channel }

  private func activate(_ feed: SessionFeeds.Opened) {
    let peer = FeedPeer(
      replicator: feed.replicator, session: self, channel: feed.channel, download: feed.download,
      upload: feed.upload)
    feeds.add(peer)
    feed.replicator.add(peer)
    feeds.touch(feed.replicator)
  }

  // MARK: Input

  /// Receives bytes from the remote and does everything that follows from them.
  package func receive(_ bytes: [UInt8], now: Instant) {
    guard !isClosed else { return }
    self.now = Moment(now)
    perform {
      try connection.receive(bytes, now: now)
      try process()
    }
  }

  /// Receives the end of the remote's output.
  package func finishInput(now: Instant) {
    guard !isClosed else { return }
    self.now = Moment(now)
    perform {
      connection.finishInput()
      try process()
    }
  }

  /// Does what is due at `now`.
  package func tick(now: Instant) {
    guard !isClosed else { return }
    self.now = Moment(now)
    perform {
      if try connection.tick(now: now) { hooks.onQuiet?() }
      for peer in feeds.peers { peer?.tick(now: self.now) }
      for peer in feeds.peers { if let peer { feeds.touch(peer.replicator) } }
      try process()
    }
    if connection.outputCount > 0 { hasOutput() }
  }

  /// The time at which ``tick(now:)`` has something to do.
  package var deadline: Instant? {
    var next = connection.deadline
    for peer in feeds.peers { next = min(next, peer?.deadline) }
    return next
  }

  /// The time at which to call ``tick(now:)`` if nobody looks at ``deadline`` until then.
  ///
  /// What happens in between sets deadlines that are at least a timeout away, so a look at that distance is never
  /// late, and an idle connection wakes only to send its keep-alive. What is due is rounded down to whole
  /// seconds of the process, or as much as keep-alives may be early, so that idle connections wake together. A
  /// session that ends by itself may find at any time that it has been idle for long enough, so it looks more
  /// often.
  package func nextTick(now: Instant) -> Instant {
    let options = connection.options
    let shortest = [options.timeout ?? .zero, options.handshakeTimeout]
      .filter { $0 > .zero }.reduce(ReplicationLimits.requestTimeout) { min($0, $1) }
    let latest = now + (isLive ? shortest : shortest / 5)
    guard let deadline, deadline <= latest else { return latest }
    let shared = Moment(deadline).rounded(downTo: options.keepAliveLead).instant
    if shared > now { return shared }
    // One that has passed and still stands waits for another connection.
    return deadline > now ? deadline : now + shortest / 20
  }

  /// Runs code that may end the connection because of a peer's fault.
  package func perform(_ body: () throws -> Void) {
    do {
      try body()
    } catch {
      close(error)
    }
  }

  /// Handles every message that has arrived, then ends the burst for every feed concerned. Opening a feed in
  /// between may release messages that had waited for it.
  package func process() throws {
    guard !isProcessing else { return }
    isProcessing = true
    defer { isProcessing = false }
    while !isClosed {
      if let event = try connection.nextEvent() {
        try handle(event)
      } else if let replicator = feeds.popTouched() {
        try replicator.flush()
      } else {
        return
      }
    }
  }

  private func handle(_ event: Connection.Event) throws {
    switch event {
    case .feed(let discoveryKey): try hooks.onFeed?(discoveryKey)
    case .handshake(let handshake):
      if handshake.id == connection.options.id { throw ProtocolError.connectedToItself }
      // Only a peer with the key gets here, so strangers can't push nonces out of the memory.
      if let nonce = connection.remoteNonce, nonces?.insert(nonce) == false {
        throw ProtocolError.replayed
      }
      for feed in feeds.opened { activate(feed) }
      hooks.onHandshake?(handshake)
    case .message(let channel, let message):
      lastReceived = now
      guard let peer = feeds.peer(on: channel) else { return }
      feeds.touch(peer.replicator)
      try peer.receive(message)
    case .extension(let channel, ForkEvidence.extensionName, let payload):
      guard let peer = feeds.peer(on: channel) else { return }
      feeds.touch(peer.replicator)
      try peer.receiveEvidence(payload)
    case .extension(let channel, let name, let payload): hooks.onExtension?(channel, name, payload)
    case .end: end()
    }
  }

  // MARK: Output

  /// Notifies the owner that there is something to send.
  func hasOutput() {
    guard !outputWasSignalled else { return }
    outputWasSignalled = true
    hooks.onOutput?()
  }

  /// Returns the next bytes to send. Answers are made now, up to ``ReplicationLimits/outputBytes``.
  ///
  /// - Returns: nil if there will never be more; empty if there is nothing now.
  package func takeOutput(now: Instant) -> [UInt8]? {
    self.now = Moment(now)
    outputWasSignalled = false
    if !isClosed {
      perform {
        var answered = false
        for peer in feeds.peers {
          guard let peer, !peer.isClosed, peer.upload.hasQueue else { continue }
          try peer.answer(upTo: ReplicationLimits.outputBytes)
          feeds.touch(peer.replicator)
          peer.replicator.needsUpdate()
          answered = true
        }
        if answered { try process() }
      }
    }
    let output = connection.takeOutput()
    if output.isEmpty, hasEnded { return nil }
    outputWasSignalled = false
    if hasEnded
      || feeds.peers.contains(where: { $0?.upload.hasQueue == true && $0?.isClosed == false })
    {
      // More can be taken.
      hasOutput()
    }
    return output
  }

  // MARK: Ends

  /// Handles the end of a feed on this connection.
  func peerClosed(_ peer: FeedPeer) {
    feeds.remove(peer)
    guard phase == .open, feeds.ended() else { return }
    do {
      if try hooks.onFinish?() ?? true { end() }
    } catch {
      close(error)
    }
  }

  /// Ends in order: what is queued is still sent, then the transport is ended.
  package func end() {
    guard phase == .open else { return }
    phase = .ending
    for peer in feeds.peers { peer?.close() }
    hasOutput()
    report(nil)
  }

  /// Ends at once.
  package func close(_ error: (any Error)? = nil) {
    guard !isClosed else { return }
    phase = .closed
    let replicators = feeds.peers.compactMap { $0?.replicator }
    for peer in feeds.peers { peer?.close() }
    connection.close()
    hasOutput()
    // What arrived before is verified and stays; the other peers take over the requests of this one.
    for replicator in replicators {
      do { try replicator.flush() } catch { continue }
    }
    report(error)
  }

  private func report(_ error: (any Error)?) {
    let report = hooks.onClose
    hooks.onClose = nil
    report?(error)
  }
}
