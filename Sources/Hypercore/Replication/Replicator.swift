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
  /// Called for every event.
  package var onEvent: ((ReplicatorEvent) -> Void)?
  @exclusivity(unchecked) package internal(set) var peers: [FeedPeer] = []
  @exclusivity(unchecked) package private(set) var statistics = PeerStatistics()
  private var lastID: UInt64 = 0

  /// The application's say in which blocks are stored.
  @exclusivity(unchecked) private var check = BlockCheck()
  /// The blocks to download, and those of them that are requested.
  @exclusivity(unchecked) var plan: RequestPlan
  /// The calls that wait for peers.
  @exclusivity(unchecked) var waits = Waits()
  /// The work that is left for the end of the burst.
  @exclusivity(unchecked) private var burst = Burst()
  /// The reasons for which nothing is downloaded.
  @exclusivity(unchecked) var gate: DownloadGate
  /// The signs that there may be another history.
  @exclusivity(unchecked) var doubts = ForkDoubts()
  /// The restoring of a feed that is written here.
  var catchUp = CatchUp()

  package init(
    core: FeedCore, isSparse: Bool = false, disk: DiskLimits = DiskLimits(),
    random: any RandomNumberGenerator = SystemRandomNumberGenerator()
  ) {
    self.core = core
    plan = RequestPlan(isSparse: isSparse, random: random)
    gate = DownloadGate(meter: DiskMeter(core, disk))
    if !isSparse, !core.isOwned {
      plan.add(Selection(id: newID(), range: DownloadRange()))
    }
    startRestoring()
    core.onChange = { [unowned self] change in self.coreChanged(change) }
  }

  func newID() -> UInt64 {
    lastID += 1
    return lastID
  }

  // MARK: Options

  /// May refuse a verified block before it is stored: the hook `onwrite`. The peer is nil for a block that the
  /// application put.
  package var onWrite: ((UInt64, [UInt8], FeedPeer?) throws -> Void)? {
    get { check.onWrite }
    set { check.onWrite = newValue }
  }

  /// Checks the first block before anything else is fetched, and returns the reason if the feed is of another
  /// kind than expected; nil if it isn't. The owner sets it while that block is not here; it is removed once
  /// it is.
  package var firstBlockCheck: ((FeedKind) -> FeedError?)? {
    get { check.firstBlock }
    set { check.firstBlock = newValue }
  }

  /// True if nothing else is requested before the first block is here.
  var needsFirstBlock: Bool { check.firstBlock != nil }

  /// True if only blocks that are asked for are downloaded.
  package var isSparse: Bool { plan.isSparse }

  /// True if a sparse feed lets a session that is not live end after a while without requests. The reference
  /// never ends such a session.
  package var endsWhenIdle: Bool {
    get { plan.endsWhenIdle }
    set { plan.endsWhenIdle = newValue }
  }

  /// The reason why downloading is paused.
  package var pause: DownloadPause? { gate.pause }

  // MARK: Peers

  func add(_ peer: FeedPeer) {
    peer.publicID = FeedPeerID(number: newID(), id: peer.remoteID)
    peers.append(peer)
    if core.forkEvidence != nil { peer.ending.stop() }
    if gate.isPaused { endPause() } else if peers.count == 1 { checkDisk() }
    burst.forgetSynced()
    if let forkEvidence { peer.sendEvidence(forkEvidence) }
    onEvent?(.peerAdded(peer))
    needsUpdate()
  }

  func remove(_ peer: FeedPeer) {
    guard let place = peers.firstIndex(where: { $0 === peer }) else { return }
    peers.remove(at: place)
    for selection in plan.selections { selection.forget(peer) }
    onEvent?(.peerRemoved(peer))
    if peers.isEmpty { resumeCaughtUp() }
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
    guard !core.isStopped, !gate.isPaused else { return }
    let length = core.length
    do {
      core.beginBatch()
      let result = try core.put(
        data.index, value: data.value, nodes: data.nodes, signature: data.signature,
        accept: check.from(peer))
      if let newLength = result.newLength {
        peer.comparison.agree(on: newLength)
        // The path up from the next block passes all roots that were here.
        if data.index == length { peer.comparison.dropQuestion() }
      }
      if result.outcome == .stored, let value = data.value {
        burst.arrived(data.index, from: peer)
        burst.count(value.count)
        plan.count(value.count)
        statistics.countDownload(value.count)
        if gate.meter.count(value.count) { burst.needsDisk() }
      }
    } catch {
      if error.code == .wrongKind { refuse(error) }
      guard core.stopReason != nil else { throw error }
      peer.narrowFork()
      return
    }
    if data.index == 0, needsFirstBlock, core.has(0) { check.firstBlock = nil }
    needsUpdate()
    if burst.isFull { try commit() }
  }

  /// Verifies a block or hash that the application has from elsewhere, and stores it.
  func put(_ index: UInt64, _ block: [UInt8]?, _ proof: Proof) throws {
    core.beginBatch()
    do {
      let result = try core.put(
        index, value: block, nodes: proof.nodes, signature: proof.signature,
        accept: check.from(nil))
      if result.outcome == .stored {
        if index == 0 { check.firstBlock = nil }
        burst.arrived(index, from: nil)
      }
    } catch {
      if core.failure == nil { try core.commitBatch() }
      throw error
    }
    try core.commitBatch()
    try flush()
  }

  /// Stops downloading a feed of another kind than expected, and ends its connections.
  private func refuse(_ reason: FeedError) {
    guard gate.refuse(reason) else { return }
    failWaiting(reason)
    onEvent?(.failed(reason))
    for peer in peers { peer.session.close(reason) }
  }

  private func commit() throws {
    burst.written()
    do {
      try core.commitBatch()
    } catch {
      guard core.stopReason != nil else { throw error }
    }
    if burst.takeDisk() { checkDisk() }
  }

  /// Stops downloading, and fails every wait. What is stored is still served.
  private func stop(_ reason: FeedError) {
    if reason.code == .forked {
      for peer in peers { peer.dropDownloads() }
      failWaiting(reason)
      resumeCaughtUp()
      passOnEvidence()
      onEvent?(.forked)
    } else {
      onEvent?(.failed(reason))
      startPause(.storage(reason: reason.reason), reason)
    }
  }

  /// Handles a change that the feed's core reports.
  private func coreChanged(_ change: FeedChange) {
    if gate.isPaused, gate.waitsForStorage, core.failure == nil { endPause() }
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
      burst.dropArrivals()
      if let reason = core.stopReason { stop(reason) }
    }
    burst.forgetSynced()
    needsUpdate()
  }

  /// Reports that blocks were stored. More may come before this returns.
  private func report(stored ranges: [Range<UInt64>]) {
    let start = burst.beginReport()
    onEvent?(.stored(ranges, by: burst.arrivals(from: start)))
    burst.endReport(start)
  }

  /// Announces to peers that blocks are no longer here.
  private func withdraw(_ range: Range<UInt64>) {
    for peer in peers where peer.upload.isSubscribed {
      peer.send(.unhave(start: range.lowerBound, length: UInt64(range.count)))
    }
    for selection in plan.selections { selection.lowerCursors(to: range.lowerBound) }
  }

  /// Makes the next ``flush()`` check everything again.
  func needsUpdate() { burst.needsUpdate() }

  /// Ends a burst: writes what arrived, announces it, resumes waits, sends requests, and ends the sessions
  /// that are done.
  package func flush() throws {
    while !isClosed, burst.takeUpdate() {
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
        !$0.remote.isAsked && $0.download.requests.activeCount == 0
          && $0.remote.length <= core.length
          && (core.length > 0 || $0.remote.askedCount > 0) && !$0.isComparing
      }
  }

  private func checkSynced() throws {
    guard burst.canSaySynced, !core.isOwned, core.length > 0, core.has(0..<core.length) else {
      return
    }
    burst.saySynced()
    onEvent?(.synced)
  }

  // MARK: The end

  var isClosed: Bool { gate.isClosed }

  /// Fails everything that waits and ends all peers.
  package func close() {
    guard !isClosed else { return }
    for peer in peers { peer.close() }
    gate.close()
    failWaiting(.closed)
  }

  /// Fails everything that waits for peers.
  ///
  /// - Parameter keepingOpen: true if ranges without a completion stay selected.
  func failWaiting(_ error: FeedError, keepingOpen: Bool = false) {
    for waiter in waits.removeAllWaiters() { waiter.completion(.failure(error)) }
    let (seeks, updates) = waits.removeSeeksAndUpdates()
    let selections = plan.removeAll(keepingOpen: keepingOpen)
    for seek in seeks { seek.completion(.failure(error)) }
    for update in updates { update.completion(.failure(error)) }
    for selection in selections { selection.finish(.failure(error)) }
  }
}
