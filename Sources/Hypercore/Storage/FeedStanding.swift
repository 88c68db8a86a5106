/// The reasons for which a feed can't be used or written: it is closed, a write failed, or it is forked.
struct FeedStanding {
  private(set) var isClosed = false
  /// The first write that failed.
  private(set) var failure: FeedError?
  /// Two histories signed by the feed's key, found now or before; see ``FeedCore/quarantine(_:)``.
  private(set) var forkEvidence: ForkEvidence?
  /// True if there is a ``stopReason``. Read for every message, so it copies none.
  private(set) var isStopped = false
  /// A count of uses, by which an owner detects whether there was one.
  private(set) var uses: UInt64 = 0

  /// The reason why nothing is written before the feed resumes, or ever; nil if there is none.
  var stopReason: FeedError? { forkEvidence.map(FeedError.forked) ?? failure }

  /// Counts a use.
  ///
  /// - Throws: ``FeedError`` if the feed is closed.
  mutating func use() throws(FeedError) {
    uses &+= 1
    if isClosed { throw FeedError(code: .closed, reason: "The feed is closed.") }
  }

  /// Throws the reason why nothing may be written, if ``isStopped``.
  func throwStop() throws(FeedError) {
    if let failure {
      throw FeedError(
        code: failure.code,
        reason: "An earlier write failed, so nothing more is written before the storage works "
          + "again: \(failure.reason)", cause: failure.cause)
    }
    if let forkEvidence { throw .forked(forkEvidence) }
  }

  mutating func fail(_ error: FeedError) {
    failure = error
    update()
  }

  /// Ends a failure, as the state of the storage was read again.
  mutating func resume() {
    failure = nil
    update()
  }

  /// Takes the feed out of use for good, or replaces the evidence by a better one.
  mutating func stop(_ evidence: ForkEvidence) {
    forkEvidence = evidence
    update()
  }

  mutating func close() { isClosed = true }

  private mutating func update() { isStopped = forkEvidence != nil || failure != nil }
}
