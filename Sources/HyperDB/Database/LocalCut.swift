/// The search for the cut that a put builds on: by writer the longest stored prefix whose newest entry knows only
/// blocks that are stored here.
///
/// A put's clock is exactly these lengths, its heads are the newest entries below them, and its trie
/// points to nothing beyond them. So an entry claims to know what it was built from, no more, and
/// nothing that a peer merely announced gets into it. Since the clocks of a correct writer only
/// grow, its newest entry below a length speaks for those before; an entry that can't be read is
/// taken as knowing nothing. From one cut to the next only what was stored in between is looked
/// at.
///
/// ```
/// feed 0   ######|            all of it is stored, and what it knows
/// feed 1   ####..|##          a block is missing: the cut ends before it
/// feed 2   ###|###            the newest entries know of what is missing of feed 1
/// ```
struct LocalCut {
  private let core: DatabaseCore
  /// By feed, the blocks that entries may know.
  private let stored: [Int]

  init(_ core: DatabaseCore) {
    self.core = core
    stored = core.feeds.writers.map { $0.log.isStopped ? Int.max : $0.prefix }
  }

  /// Returns what is stored of the feeds without a gap, as far as the newest entry of each knows only what is
  /// stored, and all that those entries know.
  ///
  /// The entries that a correct entry knows know nothing more than it does. So the second part adds only entries that
  /// claim blocks that don't exist, and that a correct writer has built on before it could see that. If such a
  /// claim counted, it would cut off that writer, whose later entries all know the entry that makes it.
  func lengths() throws -> [Int] {
    let cut = core.snapshots.cut
    var lengths = core.feeds.writers.map { $0.prefix }
    for feed in lengths.indices where feed != core.local {
      lengths[feed] = try prefix(of: feed, floor: feed < cut.count ? cut[feed] : 0)
    }
    var known = lengths
    for (feed, length) in lengths.enumerated() where length > 1 {
      guard let head = try core.head(of: feed, below: length),
        feed == core.local || isInside(head)
      else { continue }
      for other in 0..<min(head.clockCount, known.count) {
        let value = Int(clamping: head.clock(of: other))
        known[other] = max(known[other], min(value, core.feeds[other].prefix))
      }
    }
    return known
  }

  /// Steps for each feed: 32 values of a clock that are compared, or 32 bytes that are read.
  private var stepLimit: Int {
    max(HyperDBLimits.mergeSteps / 4 / max(core.feeds.writers.count, 1), 300)
  }

  /// Returns the longest prefix of a feed whose newest entry's clock lies inside what is stored.
  ///
  /// Since a correct writer's clocks only grow, the search is binary: a feed of a million entries
  /// that claim to know the future costs twenty looks. After ``stepLimit`` it ends with what it has found.
  private func prefix(of feed: Int, floor: Int) throws -> Int {
    let length = core.feeds[feed].prefix
    guard length > floor, try !isInside(feed, length, floor: floor) else { return length }
    var spent = 0
    var (inside, outside) = (floor, length)
    var stride = 1
    while outside - inside > 1, spent <= stepLimit {
      let before = core.loadedBytes
      defer {
        spent += 1 + stored.count >> 5
        spent += (core.loadedBytes &- before) >> HyperDBLimits.mergeStepShift
        core.snapshots.countLook()
      }
      let middle = max(outside - stride, inside + (outside - inside) / 2)
      if try isInside(feed, middle, floor: floor) {
        inside = middle
      } else {
        outside = middle
      }
      stride *= 2
    }
    return inside
  }

  /// Returns whether everything that the newest entry below a length knows lies inside what is stored.
  private func isInside(_ feed: Int, _ length: Int, floor: Int) throws -> Bool {
    guard length > floor, let head = try core.head(of: feed, below: length), head.seq >= floor
    else { return true }
    return isInside(head)
  }

  private func isInside(_ head: EntryNode) -> Bool {
    (0..<head.clockCount).allSatisfy { feed in
      head.clock(of: feed) <= UInt64(feed < stored.count ? stored[feed] : 0) || feed == head.feed
    }
  }
}
