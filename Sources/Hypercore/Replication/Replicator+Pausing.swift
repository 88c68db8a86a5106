internal import HypercoreProtocol

// When a limit of the disk is reached, or the storage has failed, downloading pauses. Peers stay connected,
// and what is here is served.

extension Replicator {
  /// The time after which a pause is checked for whether it is over.
  private static var pauseTime: Duration { .seconds(5) }

  /// Checks the limits, and pauses if one is reached.
  func checkDisk() {
    guard pause == nil, core.wantsBlocks, let reason = meter.pause() else { return }
    startPause(reason, .paused(reason))
  }

  /// Pauses downloading, and notifies those that wait for blocks.
  func startPause(_ reason: DownloadPause, _ error: FeedError) {
    let isNew = pause != reason
    pause = reason
    pauseEnd = peers.first.map { $0.session.now + Self.pauseTime }
    for peer in peers { peer.pauseDownloads() }
    failWaiting(error, keepingOpen: true)
    catchUp.resumeAll()
    if isNew { onEvent?(.paused(reason)) }
    needsUpdate()
  }

  /// Resumes downloading, if there is no reason left to pause.
  func endPause() {
    guard let old = pause else { return }
    pauseEnd = peers.first.map { $0.session.now + Self.pauseTime }
    if let next = meter.pause(margin: 1) {
      // The storage is not tried as long as there is no room.
      if case .storage = old { return }
      pause = next
      return
    }
    if core.failure != nil {
      guard core.mayResume else { return }
      do { try core.resume() } catch { return }
    }
    pause = nil
    pauseEnd = nil
    onEvent?(.resumed)
    needsUpdate()
  }

  /// Tries to resume if a pause has lasted long enough.
  func tickPause(now: Moment) {
    guard pause != nil else { return }
    guard let end = pauseEnd else {
      pauseEnd = now + Self.pauseTime
      return
    }
    if now >= end { endPause() }
  }
}

extension FeedPeer {
  /// Releases the requests, which are made again later.
  func pauseDownloads() {
    dropRequests()
    soughtBytes = []
    stopCountingOnOrder()
  }
}

extension FeedError {
  /// The error of a wait that would be in vain, because downloading is paused.
  static func paused(_ pause: DownloadPause) -> FeedError {
    FeedError(code: .paused, reason: pause.description)
  }
}
