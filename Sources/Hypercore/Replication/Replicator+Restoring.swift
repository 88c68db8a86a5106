// A feed that is written here fetches nothing, unless it has lost something, or its folder was copied and
// there may be more of it elsewhere.

internal import HypercoreProtocol

extension Replicator {
  /// How long an append waits for peers that might know more of a copied feed.
  static var catchUpTime: Duration { .seconds(5) }

  func startRestoring() {
    guard core.isOwned, core.wantsBlocks, core.stopReason == nil else { return }
    catchUp.start = core.isRestoring ? 0 : core.length
    // A copy may lack what it had cleared; damage may be anywhere.
    restoring = download(DownloadRange(start: core.damage == nil ? core.length : 0))
  }

  /// Ends fetching once all is here that peers have.
  func checkRestored() {
    if core.settleRestoring() { onEvent?(.restored) }
    if core.isCopy, isCaughtUp {
      core.confirmFolder()
      catchUp.resumeAll()
    }
    guard let id = restoring, !core.wantsBlocks else { return }
    restoring = nil
    selections.removeAll { $0.id == id }
  }

  /// Whether the connected peers have been asked for more of the feed, and all there is came.
  private var isCaughtUp: Bool {
    let asked = peers.filter(\.isDownloading)
    return !asked.isEmpty && core.has(min(catchUp.start, core.length)..<core.length)
      && asked.allSatisfy {
        $0.openWants == 0 && !$0.wantedRegions.isEmpty && $0.remoteLength <= core.length
          && $0.requests.activeCount == 0
      }
  }

  /// Returns at once, unless the feed's folder was copied and peers are connected: then when they were
  /// asked for more of it, once, and at most 5 seconds later. What they only claim to have blocks
  /// nothing beyond that.
  ///
  /// To be called before something is appended, on the replica's executor.
  package func waitUntilCaughtUp() async {
    await withCheckedContinuation { continuation in
      whenCaughtUp { continuation.resume() }
    }
  }

  /// Calls `body` when ``waitUntilCaughtUp()`` would return.
  func whenCaughtUp(_ body: @escaping () -> Void) {
    guard core.isCopy, !catchUp.isOver, let peer = peers.first else { return body() }
    if catchUp.deadline == nil { catchUp.deadline = peer.session.now + Self.catchUpTime }
    catchUp.waiters.append(body)
  }
}

/// Waiting for peers of a copied feed.
struct CatchUp {
  /// How long the feed was when it was opened.
  var start: UInt64 = 0
  var deadline: Moment?
  var waiters: [() -> Void] = []
  /// Whether the time is over: nobody waits again.
  private(set) var isOver = false

  mutating func tick(now: Moment) {
    guard let deadline, now >= deadline else { return }
    isOver = true
    resumeAll()
  }

  mutating func resumeAll() {
    deadline = nil
    let waiters = waiters
    self.waiters = []
    for waiter in waiters { waiter() }
  }
}
