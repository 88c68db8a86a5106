internal import HypercoreProtocol

// When a limit of the disk is reached, or the storage has failed, downloading pauses. Peers stay connected,
// and what is here is served.

extension Replicator {
  /// Checks the limits, and pauses if one is reached.
  func checkDisk() {
    guard !gate.isPaused, core.wantsBlocks, let reason = gate.meter.pause() else { return }
    startPause(reason, .paused(reason))
  }

  /// Pauses downloading, and notifies those that wait for blocks.
  func startPause(_ reason: DownloadPause, _ error: FeedError) {
    let isNew = gate.startPause(reason, now: now)
    for peer in peers { peer.pauseDownloads() }
    failWaiting(error, keepingOpen: true)
    resumeCaughtUp()
    if isNew { onEvent?(.paused(reason)) }
    needsUpdate()
  }

  /// Resumes downloading, if there is no reason left to pause.
  func endPause() {
    guard gate.isPaused else { return }
    gate.postpone(now: now)
    if let next = gate.meter.pause(margin: 1) {
      // The storage is not tried as long as there is no room.
      if !gate.waitsForStorage { gate.replacePause(next) }
      return
    }
    if core.failure != nil {
      guard core.mayResume else { return }
      do { try core.resume() } catch { return }
    }
    gate.endPause()
    onEvent?(.resumed)
    needsUpdate()
  }

  /// Tries to resume if a pause has lasted long enough.
  func tickPause(now: Moment) {
    if gate.isPauseOver(at: now) { endPause() }
  }

  /// The time, as a peer's session knows it; nil if none is connected.
  private var now: Moment? { peers.first?.session.now }
}

extension FeedPeer {
  /// Releases the requests, which are made again later.
  func pauseDownloads() {
    dropRequests()
    download.removePromises()
  }
}

extension FeedError {
  /// The error of a wait that would be in vain, because downloading is paused.
  static func paused(_ pause: DownloadPause) -> FeedError {
    FeedError(code: .paused, reason: pause.description)
  }
}
