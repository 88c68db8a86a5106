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
  case setAside(Range<UInt64>)
  case forked
  /// A write failed.
  case failed(FeedError)
  /// Nothing more is fetched for the time being.
  case paused(DownloadPause)
  /// Fetching goes on.
  case resumed
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

  /// Looks at the first block before anything else is fetched, and says why the feed is not what is meant; nil
  /// where it is. Set by the owner while that block is not here; gone once it is.
  @exclusivity(unchecked) package var firstBlockCheck: ((FeedKind) -> FeedError?)?
  /// Why nothing is fetched of this feed: it is not what is meant.
  package private(set) var wrongKind: FeedError?

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
  /// Whether to look at the limits of the disk at the end of the burst.
  @exclusivity(unchecked) private var diskIsDue = false
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
  let meter: DiskMeter
  /// Why nothing is fetched for the time being.
  @exclusivity(unchecked) package internal(set) var pause: DownloadPause? {
    didSet { isPaused = pause != nil }
  }
  /// Tells whether there is a ``pause``: asked for every message.
  @exclusivity(unchecked) private(set) var isPaused = false
  /// When it is tried again.
  var pauseEnd: Moment?
  /// Blocks of which a peer's answer contradicted what is here. They are asked for with the whole proof,
  /// on a connection to which nothing was claimed to be known: where the feed's key has signed both, that
  /// shows it.
  var contradicted: Set<UInt64> = []
  /// How many peers were let go without blame because their answer contradicted what is here.
  var doubts = 0
  /// The proof of a fork of somebody else's feed, from a peer.
  var heardEvidence: ForkEvidence?

  package init(
    core: FeedCore, isSparse: Bool = false, disk: DiskLimits = DiskLimits(),
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.core = core
    self.isSparse = isSparse
    self.random = random
    meter = DiskMeter(core, disk)
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
    if core.forkEvidence != nil { peer.isDownloading = false }
    if pause != nil { endPause() } else if peers.count == 1 { checkDisk() }
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
    guard !core.isStopped, !isPaused else { return }
    do {
      core.beginBatch()
      let result = try core.put(
        data.index, value: data.value, nodes: data.nodes, signature: data.signature,
        accept: acceptance(from: peer))
      if let length = result.newLength {
        peer.comparison.agreedLength = max(peer.comparison.agreedLength, length)
      }
      if result.outcome == .stored, let value = data.value {
        averageBlockSize =
          averageBlockSize == 0 ? value.count : (averageBlockSize * 15 + value.count) / 16
        batchedBytes += value.count
        statistics.countDownload(value.count)
        if meter.count(value.count) { diskIsDue = true }
      }
    } catch {
      if error.code == .wrongKind { refuse(error) }
      guard core.stopReason != nil else { throw error }
      return
    }
    if data.index == 0, firstBlockCheck != nil, core.has(0) { firstBlockCheck = nil }
    needsUpdate()
    if batchedBytes >= ReplicationLimits.batchBytes { try commit() }
  }

  private func acceptance(
    from peer: FeedPeer
  ) -> ((UInt64, [UInt8]) throws(FeedError) -> Void)? {
    guard onWrite != nil || firstBlockCheck != nil else { return nil }
    return { [onWrite, check = firstBlockCheck] index, value throws(FeedError) in
      if index == 0, let reason = check?(FeedKind(firstBlock: value)) { throw reason }
      guard let onWrite else { return }
      do { try onWrite(index, value, peer) } catch {
        throw FeedError(
          code: .refused,
          reason: "Block \(index) was not stored: the write hook refused it: \(error)",
          cause: error)
      }
    }
  }

  /// Fetches nothing of a feed that is not what is meant, and ends its connections.
  private func refuse(_ reason: FeedError) {
    guard wrongKind == nil else { return }
    wrongKind = reason
    failWaiting(reason)
    onEvent?(.failed(reason))
    for peer in peers { peer.session.close(reason) }
  }

  private func commit() throws {
    batchedBytes = 0
    do {
      try core.commitBatch()
    } catch {
      guard core.stopReason != nil else { throw error }
    }
    if diskIsDue {
      diskIsDue = false
      checkDisk()
    }
  }

  /// Fetches nothing more, and says so to whoever waits. What is stored is still served.
  private func stop(_ reason: FeedError) {
    if reason.code == .forked {
      for peer in peers { peer.dropDownloads() }
      failWaiting(reason)
      catchUp.resumeAll()
      passOnEvidence()
      onEvent?(.forked)
    } else {
      onEvent?(.failed(reason))
      startPause(.storage(reason: reason.reason), reason)
    }
  }

  /// What the feed's core tells as it happens.
  private func coreChanged(_ change: FeedChange) {
    if isPaused, case .storage = pause, core.failure == nil { endPause() }
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
      withdraw(range)
      onEvent?(.cleared(range))
    case .setAside(let range):
      withdraw(range)
      onEvent?(.setAside(range))
    case .stopped: if let reason = core.stopReason { stop(reason) }
    }
    wasSynced = false
    needsUpdate()
  }

  /// Says that blocks are no longer here.
  private func withdraw(_ range: Range<UInt64>) {
    for peer in peers where peer.wantsAnnouncements {
      peer.send(.unhave(start: range.lowerBound, length: UInt64(range.count)))
    }
    for selection in selections { selection.lowerCursors(to: range.lowerBound) }
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

  /// Whether any connected peer has the feed open as well.
  package var isOpenRemotely: Bool {
    peers.contains { $0.session.connection.isOpenRemotely($0.channel) }
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
  ///
  /// - Parameter keepingOpen: whether ranges that nobody waits for stay selected.
  func failWaiting(_ error: FeedError, keepingOpen: Bool = false) {
    let all = waiting.values.flatMap { $0 }
    waiting = [:]
    waitingOrder = []
    for waiter in all { waiter.completion(.failure(error)) }
    let (seeks, updates) = (seeks, updates)
    let (kept, selections) =
      keepingOpen
      ? (selections.filter { $0.completion == nil }, selections.filter { $0.completion != nil })
      : ([], selections)
    (self.seeks, self.updates, self.selections) = ([], [], kept)
    for seek in seeks { seek.completion(.failure(error)) }
    for update in updates { update.completion(.failure(error)) }
    for selection in selections { selection.finish(.failure(error)) }
  }
}
