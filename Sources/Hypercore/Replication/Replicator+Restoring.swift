// A feed that is written here downloads nothing, unless it has lost something, or its folder was copied and
// there may be more of it elsewhere.

internal import HypercoreProtocol

extension Replicator {
  /// The longest time for which an append waits for peers that might know more of a copied feed.
  static var catchUpTime: Duration { .seconds(5) }

  func startRestoring() {
    guard core.isOwned, core.wantsBlocks, core.stopReason == nil else { return }
    catchUp.start = core.isRestoring ? 0 : core.length
    // A copy may lack blocks that were cleared; damage may be anywhere.
    restoring = download(DownloadRange(start: core.damage == nil ? core.length : 0))
  }

  /// Ends the download once everything that peers have is here.
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

  /// True if the connected peers were asked for more of the feed, and all of it has arrived.
  private var isCaughtUp: Bool {
    let asked = peers.filter(\.isDownloading)
    return !asked.isEmpty && core.has(min(catchUp.start, core.length)..<core.length)
      && asked.allSatisfy {
        $0.openWants == 0 && !$0.wantedRegions.isEmpty && $0.remoteLength <= core.length
          && $0.requests.activeCount == 0
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
    if catchUp.deadline == nil { catchUp.deadline = peer.session.now + Self.catchUpTime }
    catchUp.waiters.append(body)
  }
}

/// The state of waiting for peers of a copied feed.
struct CatchUp {
  /// The length of the feed when it was opened.
  var start: UInt64 = 0
  var deadline: Moment?
  var waiters: [() -> Void] = []
  /// True if the time is over: no call waits again.
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
