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
    if let known = latestSnapshot, known.lengths.count == writers.count {
      var isCurrent = true
      for writer in writers where writer.log.length != known.lengths[writer.id] {
        isCurrent = false
        break
      }
      if isCurrent { return known }
    }
    while true {
      let count = writers.count
      let lengths = writers.map { $0.log.length }
      let (heads, beside) = try roots(of: newest(below: lengths), within: lengths)
      // Reading the entries may have opened feeds.
      if writers.count != count { continue }
      let snapshot = Snapshot(heads: heads, beside: beside, lengths: lengths, isBounded: false)
      latestSnapshot = snapshot
      return snapshot
    }
  }

  /// Returns the newest entry of each feed below some lengths.
  func newest(below lengths: [Int]) throws -> [EntryNode] {
    var newest: [EntryNode] = []
    for (feed, length) in lengths.enumerated() where length > 1 {
      if let head = try writers[feed].head(below: length, node(at:)) { newest.append(head) }
    }
    return newest
  }

  /// Returns those of them that no other knew.
  package func heads(below lengths: [Int]) throws -> [EntryNode] {
    try newest(below: lengths).withoutCovered()
  }

  /// The cut that a put builds on: by writer the longest stored prefix whose newest entry knows only blocks
  /// that are stored here.
  ///
  /// A put's clock is exactly these lengths, its heads are the newest entries below them, and its trie
  /// points to nothing beyond them. So an entry claims to know what it was built from, no more, and
  /// nothing that a peer merely announced gets into it. Since the clocks of a correct writer only
  /// grow, its newest entry below a length speaks for those before; an entry that can't be read is
  /// taken as knowing nothing. From one cut to the next only what was stored in between is looked
  /// at.
  private func localCut() throws -> Snapshot {
    var hasChanged = cutSnapshot == nil || cut.count != writers.count
    for writer in writers where writer.extendPrefix() { hasChanged = true }
    if !hasChanged, let cutSnapshot { return cutSnapshot }
    while true {
      let count = writers.count
      let lengths = try closedLengths()
      let (heads, beside) = try roots(of: newest(below: lengths), within: lengths)
      if writers.count != count {
        for writer in writers { _ = writer.extendPrefix() }
        continue
      }
      cut = lengths
      let snapshot = Snapshot(heads: heads, beside: beside, lengths: lengths, isBounded: true)
      cutSnapshot = snapshot
      return snapshot
    }
  }

  /// Returns what is stored of the feeds without a gap, as far as the newest entry of each knows only what is
  /// stored, and all that those entries know.
  ///
  /// The entries that a correct entry knows know nothing more than it does. So the second part adds only entries that
  /// claim blocks that don't exist, and that a correct writer has built on before it could see that. If such a
  /// claim counted, it would cut off that writer, whose later entries all know the entry that makes it.
  private func closedLengths() throws -> [Int] {
    let stored = writers.map { $0.log.isStopped ? Int.max : $0.prefix }
    var lengths = writers.map { $0.prefix }
    for feed in lengths.indices where feed != local {
      lengths[feed] = try fit(feed, stored, floor: feed < cut.count ? cut[feed] : 0)
    }
    var known = lengths
    for (feed, length) in lengths.enumerated() where length > 1 {
      guard let head = try writers[feed].head(below: length, node(at:)),
        feed == local || isInside(head, stored)
      else { continue }
      for other in 0..<min(head.clockCount, known.count) {
        let value = Int(clamping: head.clock(of: other))
        known[other] = max(known[other], min(value, writers[other].prefix))
      }
    }
    return known
  }

  /// Steps for each feed: 32 values of a clock that are compared, or 32 bytes that are read.
  private var settlingSteps: Int { max(HyperDBLimits.mergeSteps / 4 / max(writers.count, 1), 300) }

  /// Returns the longest prefix of a feed whose newest entry's clock lies inside `stored`.
  ///
  /// Since a correct writer's clocks only grow, the search is binary: a feed of a million entries
  /// that claim to know the future costs twenty looks. After ``settlingSteps`` it ends with what it has found.
  private func fit(_ feed: Int, _ stored: [Int], floor: Int) throws -> Int {
    let length = writers[feed].prefix
    guard length > floor, try !isInside(feed, length, stored, floor: floor) else { return length }
    var spent = 0
    var (inside, outside) = (floor, length)
    var stride = 1
    while outside - inside > 1, spent <= settlingSteps {
      let before = loadedBytes
      defer {
        spent += 1 + stored.count >> 5
        spent += (loadedBytes &- before) >> HyperDBLimits.mergeStepShift
        settlingLooks &+= 1
      }
      let middle = max(outside - stride, inside + (outside - inside) / 2)
      if try isInside(feed, middle, stored, floor: floor) {
        inside = middle
      } else {
        outside = middle
      }
      stride *= 2
    }
    return inside
  }

  /// Returns whether everything that the newest entry below a length knows lies inside `stored`.
  private func isInside(
    _ feed: Int, _ length: Int, _ stored: [Int], floor: Int
  ) throws -> Bool {
    guard length > floor, let head = try writers[feed].head(below: length, node(at:)),
      head.seq >= floor
    else { return true }
    return isInside(head, stored)
  }

  private func isInside(_ head: EntryNode, _ stored: [Int]) -> Bool {
    (0..<head.clockCount).allSatisfy { feed in
      head.clock(of: feed) <= UInt64(feed < stored.count ? stored[feed] : 0) || feed == head.feed
    }
  }
}
