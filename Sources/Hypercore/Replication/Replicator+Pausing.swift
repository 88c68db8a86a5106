internal import HypercoreProtocol

// Where a limit of the disk is reached, or the storage failed, nothing is fetched for the time being. Peers stay
// connected, and what is here is served.

extension Replicator {
  /// How long after a pause began, or went on, it is looked at whether it is over.
  private static var pauseTime: Duration { .seconds(5) }

  /// Looks at the limits, and pauses at one.
  func checkDisk() {
    guard pause == nil, core.wantsBlocks, let reason = meter.pause() else { return }
    startPause(reason, .paused(reason))
  }

  /// Fetches nothing more. Whoever waits for blocks is told so.
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

  /// Fetches on, if there is no reason any more not to.
  func endPause() {
    guard let old = pause else { return }
    pauseEnd = peers.first.map { $0.session.now + Self.pauseTime }
    if let next = meter.pause(margin: 1) {
      // As long as there is no room nothing is tried.
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

  /// Lets time pass in a pause.
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
  /// Leaves what was asked for to later.
  func pauseDownloads() {
    dropRequests()
    soughtBytes = []
    stopCountingOnOrder()
  }
}

extension FeedError {
  /// A wait that is not worth it: nothing is fetched.
  static func paused(_ pause: DownloadPause) -> FeedError {
    FeedError(code: .paused, reason: pause.description)
  }
}
