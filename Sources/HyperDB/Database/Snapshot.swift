/// The database as seen from some heads. A snapshot stays what it is while the database goes
/// on.
package struct Snapshot {
  /// The newest entries, which no other head knew.
  package let heads: [EntryNode]
  /// Entries that some heads claim to know but don't lead to. Reads start from them as well.
  package let beside: [EntryNode]
  /// By feed, the number of its blocks that are part of the snapshot.
  package let lengths: [Int]
  /// True if pointers to blocks past those lengths are ignored, instead of waited for.
  let isBounded: Bool

  init(
    heads: [EntryNode], beside: [EntryNode] = [], lengths: [Int], isBounded: Bool
  ) {
    self.heads = heads
    self.beside = beside
    self.lengths = lengths
    self.isBounded = isBounded
  }

  /// Returns the entries that reads start from.
  func roots(raw: Bool) -> [EntryNode] { raw || beside.isEmpty ? heads : heads + beside }

  /// The snapshot of an empty database.
  package static var empty: Snapshot { Snapshot(heads: [], lengths: [], isBounded: true) }
}

/// The blocks that a read takes into account.
package enum ReadView: Sendable {
  /// Every verified block. A read waits for one that isn't stored here.
  case latest
  /// The local cut: no read ever waits.
  case local
}

extension DatabaseCore {
  /// Returns the snapshot of a view.
  ///
  /// Source: hyperdb `index.js`, `heads`.
  package func snapshot(_ view: ReadView = .latest) throws -> Snapshot {
    switch view {
    case .latest: try latest()
    case .local: try localCut()
    }
  }

  private func latest() throws -> Snapshot {
    if let known = snapshots.latest, known.lengths.count == feeds.writers.count {
      var isCurrent = true
      for writer in feeds.writers where writer.log.length != known.lengths[writer.id] {
        isCurrent = false
        break
      }
      if isCurrent { return known }
    }
    while true {
      let count = feeds.writers.count
      let lengths = feeds.writers.map { $0.log.length }
      let (heads, beside) = try roots(of: newest(below: lengths), within: lengths)
      // Reading the entries may have opened feeds.
      if feeds.writers.count != count { continue }
      let snapshot = Snapshot(heads: heads, beside: beside, lengths: lengths, isBounded: false)
      snapshots.latest = snapshot
      return snapshot
    }
  }

  /// Returns the snapshot of the local cut; see ``LocalCut``.
  private func localCut() throws -> Snapshot {
    var hasChanged = snapshots.local == nil || snapshots.cut.count != feeds.writers.count
    for writer in feeds.writers where writer.extendPrefix() { hasChanged = true }
    if !hasChanged, let known = snapshots.local { return known }
    while true {
      let count = feeds.writers.count
      let lengths = try LocalCut(self).lengths()
      let (heads, beside) = try roots(of: newest(below: lengths), within: lengths)
      if feeds.writers.count != count {
        for writer in feeds.writers { _ = writer.extendPrefix() }
        continue
      }
      let snapshot = Snapshot(heads: heads, beside: beside, lengths: lengths, isBounded: true)
      snapshots.setLocal(snapshot)
      return snapshot
    }
  }

  /// Returns the newest entry of a feed below a length that can be read.
  func head(of feed: Int, below length: Int) throws -> EntryNode? {
    try feeds[feed].head(below: length, node(at:))
  }

  /// Returns the newest entry of each feed below some lengths.
  func newest(below lengths: [Int]) throws -> [EntryNode] {
    var newest: [EntryNode] = []
    for (feed, length) in lengths.enumerated() where length > 1 {
      if let head = try head(of: feed, below: length) { newest.append(head) }
    }
    return newest
  }

  /// Returns those of them that no other knew.
  package func heads(below lengths: [Int]) throws -> [EntryNode] {
    try newest(below: lengths).withoutCovered()
  }
}
