/// The findings of opening a feed, and what they require before it is written again.
struct FeedRecovery {
  /// The findings of opening the feed.
  var report = RepairReport()
  /// The losses that have to be restored before the feed may be written; see ``RepairReport``.
  private(set) var damage: Damage?
  /// True if the folder was copied or restored since the feed was written there, and no peer has been asked
  /// since whether there is more of the feed.
  private(set) var isCopy = false
  /// True if the key pair is here without any block, so there may be more of the feed elsewhere: it is not
  /// written before a peer has proven how long it is.
  private(set) var isRestoring = false
  /// True if the file `marker` says that blocks are missing.
  private var isMarkedRestoring = false
  /// True if the folder has yet to be marked as the one in which the feed is written.
  private var needsMarker = false

  // MARK: Losses

  /// Requires a length that was signed, and is not here any more.
  mutating func require(_ length: UInt64) { damage = Damage(length: length, lost: []) }

  /// Reports blocks that should be here and are not.
  ///
  /// - Parameter isOwned: true if the feed can't be written before it has them again.
  mutating func addLost(_ lost: [Range<UInt64>], length: UInt64, isOwned: Bool) {
    guard !lost.isEmpty else { return }
    var all = lost
    for case .blocksLost(let others) in report.findings { all += others }
    report.findings.removeAll { if case .blocksLost = $0 { true } else { false } }
    report.findings.append(.blocksLost(all.sorted { $0.lowerBound < $1.lowerBound }))
    guard isOwned else { return }
    damage = Damage(
      length: max(damage?.length ?? 0, length), lost: (damage?.lost ?? []) + lost)
  }

  /// Lets the feed be written again, if peers have restored what was lost.
  ///
  /// - Parameter has: returns whether all blocks of a range are here.
  mutating func checkRestored(length: UInt64, has: (Range<UInt64>) -> Bool) {
    guard let damage, length >= damage.length, damage.lost.allSatisfy(has) else { return }
    self.damage = nil
  }

  /// Requires nothing any more: the files are read again.
  mutating func restart() { damage = nil }

  // MARK: Copies

  /// Records that the folder is a copy, and no peer was asked for more of the feed.
  mutating func foundCopy() { isCopy = true }

  /// Records that a peer has proven that there is more of the feed: the folder was restored without leaving a
  /// trace.
  mutating func foundMore() {
    isCopy = true
    needsMarker = true
  }

  /// Records that the file `marker` says nothing of this folder yet.
  mutating func foundNoMarker() { needsMarker = true }

  /// Records that there is no more of the feed elsewhere.
  ///
  /// - Returns: false if that was known.
  mutating func confirm() -> Bool {
    guard isCopy else { return false }
    isCopy = false
    needsMarker = true
    return true
  }

  /// Records that the folder is marked as the one in which the feed is written.
  ///
  /// - Returns: nil if it was; otherwise whether the file says that blocks are missing.
  mutating func takeMarking() -> Bool? {
    guard needsMarker else { return nil }
    defer { (needsMarker, isMarkedRestoring) = (false, false) }
    return isMarkedRestoring
  }

  // MARK: Keys without blocks

  /// Records that there is a key pair and nothing else.
  mutating func foundKeysAlone() {
    isRestoring = true
    report.findings.append(.blocksMissing)
  }

  /// Records that the file `marker` says so.
  mutating func markedRestoring() { isMarkedRestoring = true }

  /// Records that peers have brought some of the feed, and were not asked whether that is all.
  mutating func foundBeginning() {
    isCopy = true
    isMarkedRestoring = true
  }

  /// Ends restoring once a peer has proven how long the feed is. What connected peers have of it is fetched
  /// before the next append, as for a copy.
  ///
  /// - Returns: true if the feed was restoring.
  mutating func endRestoring(length: UInt64) -> Bool {
    guard isRestoring, length > 0 else { return false }
    isRestoring = false
    isCopy = true
    return true
  }
}
