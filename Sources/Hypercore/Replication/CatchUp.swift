internal import HypercoreProtocol

/// The download by which a feed that is written here gets back what it lost, or what a copied folder lacks, and the
/// calls that wait for it.
struct CatchUp {
  /// The longest time for which an append waits for peers that might know more of a copied feed.
  private static var patience: Duration { .seconds(5) }

  /// The length of the feed when the download began.
  private(set) var start: UInt64 = 0
  /// The number of the download; nil if there is none.
  private(set) var download: UInt64?
  /// The time at which the calls wait no longer.
  private(set) var deadline: Moment?
  private var waiters: [() -> Void] = []
  /// True if the time is over: no call waits again.
  private(set) var isOver = false

  mutating func begin(from start: UInt64, download: UInt64) {
    self.start = start
    self.download = download
  }

  mutating func end() { download = nil }

  mutating func wait(now: Moment, _ body: @escaping () -> Void) {
    if deadline == nil { deadline = now + Self.patience }
    waiters.append(body)
  }

  /// - Returns: the calls to resume, as their time is over.
  mutating func expire(at now: Moment) -> [() -> Void] {
    guard let deadline, now >= deadline else { return [] }
    isOver = true
    return removeWaiters()
  }

  /// - Returns: the calls to resume.
  mutating func removeWaiters() -> [() -> Void] {
    deadline = nil
    defer { waiters = [] }
    return waiters
  }
}
