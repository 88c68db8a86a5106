extension DatabaseCore {
  /// Every entry of every writer, deletes and authorizations included.
  ///
  /// An entry comes after all that its writer knew, or before them in reverse. Concurrent entries come in
  /// the order of their feeds. With `raw` the order is the reference's, which does not always hold to
  /// that.
  ///
  /// Source: hyperdb `lib/history.js`.
  package func history(
    reverse: Bool = false, raw: Bool = false, in snapshot: Snapshot
  ) -> History {
    var ends = snapshot.lengths
    if raw {
      ends = feeds.writers.indices.map { feed in
        Int(snapshot.heads.map { $0.clock(of: feed) }.max() ?? 0)
      }
    }
    return History(self, ends: ends, reverse: reverse, raw: raw)
  }
}

/// A walk over all entries. After ``next()`` threw `MissingBlock` it may be called again once the
/// block is here.
package final class History {
  private struct Cursor {
    /// The next entry, once it is loaded.
    var node: EntryNode?
    /// The block of that entry.
    var seq: Int
    /// The first block past the range, in the direction of the walk.
    let stop: Int
  }

  private let core: DatabaseCore
  private let isReverse: Bool
  private let isRaw: Bool
  private var cursors: [Cursor]

  init(_ core: DatabaseCore, ends: [Int], reverse: Bool, raw: Bool) {
    self.core = core
    isReverse = reverse
    isRaw = raw
    cursors = ends.map {
      reverse ? Cursor(seq: max($0, 1) - 1, stop: 0) : Cursor(seq: 1, stop: max($0, 1))
    }
  }

  /// Returns the next entry, nil at the end. Unreadable entries are skipped.
  package func next() throws -> EntryNode? {
    for feed in cursors.indices { try load(feed) }
    guard let feed = isRaw ? scan() : select() else { return nil }
    let node = cursors[feed].node
    cursors[feed].node = nil
    cursors[feed].seq += isReverse ? -1 : 1
    return node
  }

  private func load(_ feed: Int) throws {
    while cursors[feed].node == nil, cursors[feed].seq != cursors[feed].stop {
      cursors[feed].node = try core.node(at: FeedSequence(feed: feed, seq: cursors[feed].seq))
      if cursors[feed].node == nil { cursors[feed].seq += isReverse ? -1 : 1 }
    }
  }

  /// The first cursor that may precede all others. If clocks cover each other, which those of correct writers
  /// never do, it is the first cursor of all.
  private func select() -> Int? {
    var first: Int?
    for offset in cursors.indices {
      let feed = isReverse ? cursors.count - 1 - offset : offset
      guard let node = cursors[feed].node else { continue }
      if first == nil { first = feed }
      var isFree = true
      for other in cursors {
        guard let other = other.node, other.location != node.location else { continue }
        if isReverse ? other.covers(node) : node.covers(other) {
          isFree = false
          break
        }
      }
      if isFree { return feed }
    }
    return first
  }

  /// One scan for the least or the greatest, as the reference makes it even if there is neither.
  private func scan() -> Int? {
    var best: (feed: Int, node: EntryNode)?
    for (feed, cursor) in cursors.enumerated() {
      guard let node = cursor.node else { continue }
      if let best {
        let clock = best.node.clock(of: node.feed)
        let known = UInt64(node.seq) + 1
        guard isReverse ? known > clock : known < clock else { continue }
      }
      best = (feed, node)
    }
    return best?.feed
  }
}
