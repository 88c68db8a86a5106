// A feed that is written here downloads nothing, unless it has lost something, or its folder was copied and
// there may be more of it elsewhere.

internal import HypercoreProtocol

extension Replicator {
  func startRestoring() {
    guard core.isOwned, core.wantsBlocks, core.stopReason == nil else { return }
    // A copy may lack blocks that were cleared; damage may be anywhere.
    let range = DownloadRange(start: core.damage == nil ? core.length : 0)
    catchUp.begin(from: core.isRestoring ? 0 : core.length, download: download(range))
  }

  /// Ends the download once everything that peers have is here.
  func checkRestored() {
    if core.recovery.endRestoring(length: core.length) { onEvent?(.restored) }
    if core.isCopy, isCaughtUp {
      core.confirmFolder()
      resumeCaughtUp()
    }
    guard let id = catchUp.download, !core.wantsBlocks else { return }
    catchUp.end()
    _ = plan.remove(id)
  }

  /// True if the connected peers were asked for more of the feed, and all of it has arrived.
  private var isCaughtUp: Bool {
    let asked = peers.filter(\.isDownloading)
    return !asked.isEmpty && core.has(min(catchUp.start, core.length)..<core.length)
      && asked.allSatisfy {
        !$0.remote.isAsked && $0.remote.askedCount > 0 && $0.remote.length <= core.length
          && $0.download.requests.activeCount == 0
      }
  }

  /// Waits until connected peers were asked once for more of a copied feed, at most 5 seconds. Returns at
  /// once if the folder was not copied or no peer is connected. Blocks that a peer only claims to have delay
  /// nothing beyond that.
  ///
  /// Called before something is appended, on the replica's executor.
  package func waitUntilCaughtUp() async {
    await withCheckedContinuation { continuation in
      whenCaughtUp { continuation.resume() }
    }
  }

  /// Calls `body` when ``waitUntilCaughtUp()`` would return.
  func whenCaughtUp(_ body: @escaping () -> Void) {
    guard core.isCopy, !catchUp.isOver, let peer = peers.first else { return body() }
    catchUp.wait(now: peer.session.now, body)
  }

  /// Resumes the calls that wait until this side has caught up, whether it has or not.
  func resumeCaughtUp() {
    for waiter in catchUp.removeWaiters() { waiter() }
  }

  func tickCatchUp(now: Moment) {
    for waiter in catchUp.expire(at: now) { waiter() }
  }
}
