internal import HypercoreCrypto
internal import HypercoreProtocol

/// An event of a feed; ``FeedEvent`` is the public kind.
package enum ReplicatorEvent {
  case appended
  /// Blocks from elsewhere were stored, and those that brought them.
  case stored([Range<UInt64>], by: [BlockArrival])
  /// Blocks were sent, or are about to be.
  case uploaded(Range<UInt64>, FeedPeer)
  case remoteUpdate(FeedPeer)
  case peerAdded(FeedPeer)
  case peerRemoved(FeedPeer)
  case synced
  case cleared(Range<UInt64>)
  case setAside(Range<UInt64>)
  case forked
  /// A peer has proven the length of a feed that is written here: it can be written now.
  case restored
  /// A write failed.
  case failed(FeedError)
  /// Downloading has paused.
  case paused(DownloadPause)
  /// Downloading has resumed.
  case resumed
}

/// Coordinates a feed and its peers: the waits, the selections, and which peer is asked for which block.
///
/// Plain synchronous code without I/O of its own. The messages of a burst are handed to the peers one by one.
/// Their blocks are verified at once; they are written and announced, and new requests are made, at the end
/// of the burst, in ``flush()``.
package final class Replicator {
  package typealias Instant = ContinuousClock.Instant

  package let core: FeedCore
  /// True if only blocks that are asked for are downloaded.
  package let isSparse: Bool
  /// True if a sparse feed lets a session that is not live end after a while without requests. The reference
  /// never ends such a session.
  package var endsWhenIdle = false
  /// Called for every event.
  package var onEvent: ((ReplicatorEvent) -> Void)?
  /// May refuse a verified block before it is stored: the hook `onwrite`. The peer is nil for a block that the
  /// application put.
  @exclusivity(unchecked) package var onWrite: ((UInt64, [UInt8], FeedPeer?) throws -> Void)?

  /// Checks the first block before anything else is fetched, and returns the reason if the feed is of another
  /// kind than expected; nil if it isn't. The owner sets it while that block is not here; it is removed once
  /// it is.
  @exclusivity(unchecked) package var firstBlockCheck: ((FeedKind) -> FeedError?)?
  /// The reason why nothing is fetched of this feed: it is of another kind than expected.
  package private(set) var wrongKind: FeedError?

  @exclusivity(unchecked) package internal(set) var peers: [FeedPeer] = []
  @exclusivity(unchecked) var selections: [Selection] = []
  var waiting: [UInt64: [Waiter]] = [:]
  /// The blocks that are waited for, in the order in which they were asked for.
  var waitingOrder: [UInt64] = []
  var seeks: [SeekWaiter] = []
  var updates: [UpdateWaiter] = []
  /// True if new peers are assumed to answer in the order of the requests.
  var countsOnOrder = true
  /// The blocks that are requested from some peer.
  @exclusivity(unchecked) var reserved = BlockSet()
  @exclusivity(unchecked) private var updateIsDue = false
  /// True if the limits of the disk have to be checked at the end of the burst.
  @exclusivity(unchecked) private var diskIsDue = false
  @exclusivity(unchecked) private var batchedBytes = 0
  /// The blocks of the core's batch, in the order in which they came, after those that are being reported.
  @exclusivity(unchecked) var arrivals: [BlockArrival] = []
  @exclusivity(unchecked) var reportedArrivals = 0
  private var nextID: UInt64 = 0
  var random: any RandomNumberGenerator
  @exclusivity(unchecked) private(set) var isClosed = false
  private var wasSynced = false
  /// The running mean of the size of received blocks.
  @exclusivity(unchecked) private(set) var averageBlockSize = 0
  @exclusivity(unchecked) package private(set) var statistics = PeerStatistics()
  /// The download by which a feed that is written here recovers what it lost.
  var restoring: UInt64?
  var catchUp = CatchUp()
  let meter: DiskMeter
  /// The reason why downloading is paused.
  @exclusivity(unchecked) package internal(set) var pause: DownloadPause? {
    didSet { isPaused = pause != nil }
  }
  /// True if there is a ``pause``. Read for every message.
  @exclusivity(unchecked) private(set) var isPaused = false
  /// The time at which resuming is tried.
  var pauseEnd: Moment?
  /// Blocks for which a peer's answer contradicted what is here. They are requested with the whole proof, on
  /// a connection on which no node was claimed to be known. If the feed's key has signed both histories, that
  /// reveals it.
  var contradicted: Set<UInt64> = []
  /// The number of peers that were disconnected without blame because their answer contradicted what is here.
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
    peer.publicID = FeedPeerID(number: newID(), id: peer.remoteID)
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

  /// Verifies what a peer sent and adds it to the batch.
  ///
  /// A feed that can't be written any more accepts nothing; the peer is not to blame for that.
  func store(_ data: DataMessage, from peer: FeedPeer) throws {
    guard !core.isStopped, !isPaused else { return }
    let length = core.length
    do {
      core.beginBatch()
      let result = try core.put(
        data.index, value: data.value, nodes: data.nodes, signature: data.signature,
        accept: acceptance(from: peer))
      if let newLength = result.newLength {
        peer.comparison.agreedLength = max(peer.comparison.agreedLength, newLength)
        // The path up from the next block passes all roots that were here.
        if data.index == length { peer.comparison.question = nil }
      }
      if result.outcome == .stored, let value = data.value {
        noteArrival(of: data.index, from: peer)
        averageBlockSize =
          averageBlockSize == 0 ? value.count : (averageBlockSize * 15 + value.count) / 16
        batchedBytes += value.count
        statistics.countDownload(value.count)
        if meter.count(value.count) { diskIsDue = true }
      }
    } catch {
      if error.code == .wrongKind { refuse(error) }
      guard core.stopReason != nil else { throw error }
      peer.narrowFork()
      return
    }
    if data.index == 0, firstBlockCheck != nil, core.has(0) { firstBlockCheck = nil }
    needsUpdate()
    if batchedBytes >= ReplicationLimits.batchBytes { try commit() }
  }

  func acceptance(
    from peer: FeedPeer?
  ) -> ((UInt64, [UInt8]) throws(FeedError) -> Void)? {
    guard onWrite != nil || firstBlockCheck != nil else { return nil }
    return { [onWrite, check = firstBlockCheck] index, value throws(FeedError) in
      if index == 0, let reason = check?(FeedKind(firstBlock: value)) { throw reason }
      guard let onWrite else { return }
      do { try onWrite(index, value, peer) } catch { throw FeedError.refused(index, error) }
    }
  }

  /// Stops downloading a feed of another kind than expected, and ends its connections.
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

  /// Stops downloading, and fails every wait. What is stored is still served.
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

  /// Handles a change that the feed's core reports.
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
      report(stored: ranges)
    case .cleared(let range):
      withdraw(range)
      onEvent?(.cleared(range))
    case .setAside(let range):
      withdraw(range)
      onEvent?(.setAside(range))
    case .stopped:
      arrivals = []
      reportedArrivals = 0
      if let reason = core.stopReason { stop(reason) }
    }
    wasSynced = false
    needsUpdate()
  }

  /// Announces to peers that blocks are no longer here.
  private func withdraw(_ range: Range<UInt64>) {
    for peer in peers where peer.wantsAnnouncements {
      peer.send(.unhave(start: range.lowerBound, length: UInt64(range.count)))
    }
    for selection in selections { selection.lowerCursors(to: range.lowerBound) }
  }

  /// Makes the next ``flush()`` check everything again.
  func needsUpdate() { updateIsDue = true }

  /// Ends a burst: writes what arrived, announces it, resumes waits, sends requests, and ends the sessions
  /// that are done.
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

  /// True if any connected peer has the feed open as well.
  package var isOpenRemotely: Bool {
    peers.contains { $0.session.connection.isOpenRemotely($0.channel) }
  }

  /// True if this side has everything that a connected peer is known to have. A feed without blocks is synced
  /// once a peer has said that it has none.
  package var isSynced: Bool {
    !peers.isEmpty && core.has(0..<core.length)
      && peers.allSatisfy {
        $0.openWants == 0 && $0.requests.activeCount == 0 && $0.remoteLength <= core.length
          && (core.length > 0 || !$0.wantedRegions.isEmpty) && !$0.isComparing
      }
  }

  private func checkSynced() throws {
    guard !wasSynced, !core.isOwned, core.length > 0, core.has(0..<core.length) else { return }
    wasSynced = true
    onEvent?(.synced)
  }

  // MARK: The end

  /// Fails everything that waits and ends all peers.
  package func close() {
    guard !isClosed else { return }
    for peer in peers { peer.close() }
    isClosed = true
    failWaiting(.closed)
  }

  /// Fails everything that waits for peers.
  ///
  /// - Parameter keepingOpen: true if ranges without a completion stay selected.
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
