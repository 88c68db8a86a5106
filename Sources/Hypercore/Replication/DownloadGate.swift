internal import HypercoreProtocol

/// The reasons for which nothing is downloaded of a feed: a pause, another kind of feed than expected, the end.
struct DownloadGate {
  /// The time after which a pause is checked for whether it is over.
  private static var pauseTime: Duration { .seconds(5) }

  let meter: DiskMeter
  private(set) var isClosed = false
  /// The reason why nothing is fetched of this feed: it is of another kind than expected.
  private(set) var wrongKind: FeedError?
  /// The reason why downloading is paused.
  private(set) var pause: DownloadPause?
  /// True if there is a ``pause``. Read for every message.
  private(set) var isPaused = false
  /// True if requests may be sent.
  private(set) var isOpen = true
  /// The time at which resuming is tried.
  private(set) var pauseEnd: Moment?

  init(meter: DiskMeter) { self.meter = meter }

  /// The reason why waiting for peers is in vain; nil if there is none.
  var refusal: FeedError? { wrongKind ?? pause.map(FeedError.paused) }

  /// True if the storage failed and downloading waits for it.
  var waitsForStorage: Bool {
    if case .storage = pause { true } else { false }
  }

  /// Starts a pause, or gives the current one another reason.
  ///
  /// - Parameter now: the time; nil if it is not known, as no peer is connected.
  /// - Returns: false if this was the reason already.
  mutating func startPause(_ reason: DownloadPause, now: Moment?) -> Bool {
    let isNew = pause != reason
    pause = reason
    update()
    postpone(now: now)
    return isNew
  }

  /// Tries to resume only after a while.
  mutating func postpone(now: Moment?) { pauseEnd = now.map { $0 + Self.pauseTime } }

  /// Gives the pause another reason, as the former one is gone.
  mutating func replacePause(_ reason: DownloadPause) {
    assert(isPaused)
    pause = reason
  }

  mutating func endPause() {
    pause = nil
    pauseEnd = nil
    update()
  }

  /// Returns whether a pause has lasted long enough to try to resume.
  mutating func isPauseOver(at now: Moment) -> Bool {
    guard isPaused else { return false }
    guard let pauseEnd else {
      postpone(now: now)
      return false
    }
    return now >= pauseEnd
  }

  /// Fetches nothing any more, as the feed is of another kind than expected.
  ///
  /// - Returns: false if that is known.
  mutating func refuse(_ reason: FeedError) -> Bool {
    guard wrongKind == nil else { return false }
    wrongKind = reason
    update()
    return true
  }

  mutating func close() { isClosed = true }

  private mutating func update() {
    isPaused = pause != nil
    isOpen = !isPaused && wrongKind == nil
  }
}
