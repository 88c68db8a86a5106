internal import HypercoreCrypto
internal import HypercoreProtocol

/// What happened to a feed; see ``FeedEvent`` for the public kind.
package enum ReplicatorEvent {
  case appended
  case stored([Range<UInt64>])
  /// Blocks were sent, or are about to be.
  case uploaded(Range<UInt64>, FeedPeer)
  case remoteUpdate(FeedPeer)
  case peerAdded(FeedPeer)
  case peerRemoved(FeedPeer)
  case synced
  case cleared(Range<UInt64>)
  case forked
  /// A peer has proven how long the feed is that is written here: it can be written now.
  case restored
  /// A write failed: nothing more is downloaded before the feed is opened anew.
  case failed(FeedError)
}

/// Brings a feed and its peers together: what is waited for, what is selected, who is asked for what.
///
/// Plain synchronous code without I/O of its own. A burst of messages is handed to the peers one by
/// one; what it brought is verified at once and written, announced and followed by new requests at its
/// end, in ``flush()``.
package final class Replicator {
  package typealias Instant = ContinuousClock.Instant

  package let core: FeedCore
  /// Whether only blocks that are asked for are downloaded.
  package let isSparse: Bool
  /// Whether a sparse feed lets a session that is not live end once nothing was asked for in it for a
  /// while. The reference never ends such a session.
  package var endsWhenIdle = false
  /// Called for everything that happens.
  package var onEvent: ((ReplicatorEvent) -> Void)?
  /// May refuse a block before it is stored: hyperdb's hook `onwrite`. It is verified then.
  @exclusivity(unchecked) package var onWrite: ((UInt64, [UInt8], FeedPeer) throws -> Void)?

  @exclusivity(unchecked) package internal(set) var peers: [FeedPeer] = []
  @exclusivity(unchecked) var selections: [Selection] = []
  var waiting: [UInt64: [Waiter]] = [:]
  /// Waited-for blocks in the order they were asked for.
  var waitingOrder: [UInt64] = []
  var seeks: [SeekWaiter] = []
  var updates: [UpdateWaiter] = []
  /// Whether to count on a new peer to answer in the order in which it is asked.
  var countsOnOrder = true
  /// Blocks that were asked of some peer.
  @exclusivity(unchecked) var reserved = BlockSet()
  @exclusivity(unchecked) private var updateIsDue = false
  @exclusivity(unchecked) private var batchedBytes = 0
  private var nextID: UInt64 = 0
  var random: any RandomNumberGenerator
  @exclusivity(unchecked) private(set) var isClosed = false
  private var wasSynced = false
  /// The running mean of the size of received blocks.
  @exclusivity(unchecked) private(set) var averageBlockSize = 0
  @exclusivity(unchecked) package private(set) var statistics = PeerStatistics()
  /// What is fetched of a feed that is written here, to get back what it lost.
  var restoring: UInt64?
  var catchUp = CatchUp()
  /// Blocks of which a peer's answer contradicted what is here. They are asked for with the whole proof,
  /// on a connection to which nothing was claimed to be known: where the feed's key has signed both, that
  /// shows it.
  var contradicted: Set<UInt64> = []
  /// How many peers were let go without blame because their answer contradicted what is here.
  var doubts = 0
  /// The proof of a fork of somebody else's feed, from a peer.
  var heardEvidence: ForkEvidence?

  package init(
    core: FeedCore, isSparse: Bool = false,
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.core = core
    self.isSparse = isSparse
    self.random = random
    if !isSparse, !core.isOwned {
      selections.append(Selection(id: newID(), range: DownloadRange()))
    }
    startRestoring()
    core.onChange = { [unowned self] change in self.coreChanged(change) }
  }

  func newID() -> UInt64 {
    nextID += 1
    return nextID
  }

  var isSeeking: Bool { !seeks.isEmpty }

  // MARK: Peers

  func add(_ peer: FeedPeer) {
    peer.number = newID()
    peers.append(peer)
    if core.stopReason != nil { peer.isDownloading = false }
    wasSynced = false
    if let forkEvidence { peer.sendEvidence(forkEvidence) }
    onEvent?(.peerAdded(peer))
    needsUpdate()
  }

  func remove(_ peer: FeedPeer) {
    guard let place = peers.firstIndex(where: { $0 === peer }) else { return }
    peers.remove(at: place)
    for selection in selections { selection.forget(peer) }
    onEvent?(.peerRemoved(peer))
    if peers.isEmpty { catchUp.resumeAll() }
    needsUpdate()
  }

  func remoteUpdated(_ peer: FeedPeer) { onEvent?(.remoteUpdate(peer)) }

  func uploaded(_ ranges: [Range<UInt64>], size: UInt64, to peer: FeedPeer) {
    for range in ranges {
      statistics.uploadedBlocks += UInt64(range.count)
      onEvent?(.uploaded(range, peer))
    }
    statistics.uploadedBytes += size
  }

  // MARK: Changes of the feed

  /// Verifies what a peer sent and takes it into the batch.
  ///
  /// A feed that can't be written any more takes nothing, which no peer is to blame for.
  func store(_ data: DataMessage, from peer: FeedPeer) throws {
    guard core.stopReason == nil else { return }
    let length = core.length
    do {
      core.beginBatch()
      let result = try core.put(
        data.index, value: data.value, nodes: data.nodes, signature: data.signature,
        accept: acceptance(from: peer))
      if let newLength = result.newLength {
        peer.comparison.agreedLength = max(peer.comparison.agreedLength, newLength)
        // The way up from the next block passes all roots that were here.
        if data.index == length { peer.comparison.question = nil }
      }
      if result.outcome == .stored, let value = data.value {
        averageBlockSize =
          averageBlockSize == 0 ? value.count : (averageBlockSize * 15 + value.count) / 16
        batchedBytes += value.count
        statistics.countDownload(value.count)
      }
    } catch {
      guard core.stopReason != nil else { throw error }
      peer.narrowFork()
      return
    }
    needsUpdate()
    if batchedBytes >= ReplicationLimits.batchBytes { try commit() }
  }

  private func acceptance(
    from peer: FeedPeer
  ) -> ((UInt64, [UInt8]) throws(FeedError) -> Void)? {
    guard let onWrite else { return nil }
    return { index, value throws(FeedError) in
      do { try onWrite(index, value, peer) } catch {
        throw FeedError(
          code: .refused,
          reason: "Block \(index) was not stored: the write hook refused it: \(error)",
          cause: error)
      }
    }
  }

  private func commit() throws {
    batchedBytes = 0
    do {
      try core.commitBatch()
    } catch {
      guard core.stopReason != nil else { throw error }
    }
  }

  /// Fetches nothing more, and says so to whoever waits. What is stored is still served.
  private func stop(_ reason: FeedError) {
    for peer in peers { peer.dropDownloads() }
    failWaiting(reason)
    catchUp.resumeAll()
    passOnEvidence()
    onEvent?(reason.code == .forked ? .forked : .failed(reason))
  }

  /// What the feed's core tells as it happens.
  private func coreChanged(_ change: FeedChange) {
    switch change {
    case .appended(let range):
      for peer in peers { peer.announce(range) }
      onEvent?(.appended)
    case .grew: onEvent?(.appended)
    case .stored(let ranges):
      for peer in peers {
        for range in ranges { peer.announce(range) }
      }
      onEvent?(.stored(ranges))
    case .cleared(let range):
      for peer in peers where peer.wantsAnnouncements {
        peer.send(.unhave(start: range.lowerBound, length: UInt64(range.count)))
      }
      for selection in selections { selection.lowerCursors(to: range.lowerBound) }
      onEvent?(.cleared(range))
    case .stopped: if let reason = core.stopReason { stop(reason) }
    }
    wasSynced = false
    needsUpdate()
  }

  /// Asks for ``flush()`` to look at everything again.
  func needsUpdate() { updateIsDue = true }

  /// Ends a burst: writes what arrived, announces it, wakes who waited, asks for more, and sees who is
  /// done.
  package func flush() throws {
    while updateIsDue, !isClosed {
      updateIsDue = false
      try commit()
      try resumeWaiters()
      for peer in peers { peer.flushAnnouncements() }
      for peer in peers { peer.compareIfDue() }
      try schedule()
      try finishSelections()
      checkRestored()
      for peer in peers { try peer.updateEnd() }
      try checkSynced()
    }
  }

  /// Whether everything is here that a connected peer is known to have. A feed without blocks is
  /// when a peer has said that it has none.
  package var isSynced: Bool {
    !peers.isEmpty && core.has(0..<core.length)
      && peers.allSatisfy {
        $0.openWants == 0 && $0.requests.activeCount == 0 && $0.remoteLength <= core.length
          && (core.length > 0 || !$0.wantedRegions.isEmpty)
      }
  }

  private func checkSynced() throws {
    guard !wasSynced, !core.isOwned, core.length > 0, core.has(0..<core.length) else { return }
    wasSynced = true
    onEvent?(.synced)
  }

  // MARK: Time

  package var deadline: Instant? {
    var next: Instant?
    for peer in peers { next = min(next, peer.deadline) }
    return next
  }

  package func tick(now: Instant) throws {
    let now = Moment(now)
    for peer in peers { peer.tick(now: now) }
    try flush()
  }

  /// Fails everything that waits and ends all peers.
  package func close() {
    guard !isClosed else { return }
    for peer in peers { peer.close() }
    isClosed = true
    failWaiting(.closed)
  }

  /// Fails everything that waits for peers.
  private func failWaiting(_ error: FeedError) {
    let all = waiting.values.flatMap { $0 }
    waiting = [:]
    waitingOrder = []
    for waiter in all { waiter.completion(.failure(error)) }
    let (seeks, updates, selections) = (seeks, updates, selections)
    (self.seeks, self.updates, self.selections) = ([], [], [])
    for seek in seeks { seek.completion(.failure(error)) }
    for update in updates { update.completion(.failure(error)) }
    for selection in selections { selection.finish(.failure(error)) }
  }
}
