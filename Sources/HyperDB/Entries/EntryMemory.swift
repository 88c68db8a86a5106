/// The memory for decoded entries and for the index of their paths, within one limit: the index takes at most half
/// of it, and the entries have the rest.
struct EntryMemory {
  /// The decoded entries.
  let entries: EntryCache
  /// The index that finds entries by their paths; nil if blocks are fetched on demand, since only a walk knows
  /// which.
  let index: PathIndex?
  /// The head that the last read without the index started from.
  private var unindexedHead: FeedSequence?
  private let limit: Int

  /// - Parameter limit: the most bytes of both.
  init(limit: Int, isIndexed: Bool) {
    self.limit = limit
    entries = EntryCache(limit: limit)
    index = isIndexed ? PathIndex(bytes: limit / 2) : nil
  }

  /// Limits the entries to what the index leaves.
  func share() { entries.limit = limit - (index?.byteCount ?? 0) }

  /// Evicts everything.
  func removeAll() {
    entries.removeAll()
    index?.reset(to: nil)
  }

  /// Returns the index for a read in a snapshot, if that is the local cut and has one head. It is built at the
  /// second read of a cut: for a single read it isn't worth it.
  mutating func index(
    for snapshot: Snapshot, in cut: @autoclosure () -> Snapshot?
  ) -> PathIndex? {
    guard let index, snapshot.isBounded, snapshot.beside.isEmpty, snapshot.heads.count == 1
    else { return nil }
    let head = snapshot.heads[0].location
    if index.head == head { return index }
    guard let cut = cut(), cut.heads.count == 1, cut.heads[0] === snapshot.heads[0] else {
      return nil
    }
    if unindexedHead != head {
      unindexedHead = head
      return nil
    }
    index.reset(to: head)
    return index
  }
}
