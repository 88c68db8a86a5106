/// The last snapshot of each view, and the lengths of the local cut.
///
/// From one cut to the next only what was stored in between is looked at: the lengths of the last are kept even
/// when its snapshot is not valid any more.
struct SnapshotCache {
  /// The snapshot of the local cut; nil if it has to be made anew.
  private(set) var local: Snapshot?
  /// The snapshot of every verified block, which is valid while no feed has grown.
  var latest: Snapshot?
  /// By feed, the length of the last local cut.
  private(set) var cut: [Int] = []
  /// The number of entries that were looked at so far to find local cuts.
  private(set) var cutLooks = 0

  /// Keeps a new local cut.
  mutating func setLocal(_ snapshot: Snapshot) {
    cut = snapshot.lengths
    local = snapshot
  }

  /// Extends the local cut by entries that were written on top of a snapshot of it.
  ///
  /// - Parameter isOnlyHead: true if the last entry knew the whole cut, so that it is the only head.
  mutating func extend(_ snapshot: Snapshot, by last: EntryNode, isOnlyHead: Bool) {
    cut = snapshot.lengths
    cut[last.feed] = last.seq + 1
    local = isOnlyHead ? Snapshot(heads: [last], lengths: cut, isBounded: true) : nil
  }

  /// Counts a look at an entry.
  mutating func countLook() { cutLooks &+= 1 }

  /// Invalidates the lengths of the cut, since clocks are read by other numbers of feeds.
  mutating func invalidateCut() { cut = [] }

  /// Invalidates both snapshots.
  mutating func invalidate() {
    local = nil
    latest = nil
  }
}
