extension DatabaseCore {
  /// The entries of one key, the newest first: groups of concurrent ones.
  ///
  /// Source: hyperdb `lib/key-history.js`.
  package func keyHistory(
    _ key: [UInt8], raw: Bool = false, in snapshot: Snapshot
  ) -> KeyHistory {
    KeyHistory(self, EntryKey.normalize(key), raw, snapshot)
  }
}

/// A walk back in time over one key. After ``next()`` threw `MissingBlock` it may be called again
/// once the block is here.
package final class KeyHistory {
  private let core: DatabaseCore
  private let key: [UInt8]
  private let path: HashPath
  private let isRaw: Bool
  private let snapshot: Snapshot
  /// The state that the next round starts from.
  private var view: Snapshot
  private var given: Set<FeedSequence> = []
  /// The rounds left. Each goes back by at least one entry, so entries that point in circles end here.
  private var rounds: Int

  init(_ core: DatabaseCore, _ key: [UInt8], _ raw: Bool, _ snapshot: Snapshot) {
    self.core = core
    self.key = key
    path = core.hash.path(of: key, terminated: true)
    isRaw = raw
    self.snapshot = snapshot
    view = snapshot
    rounds = snapshot.lengths.reduce(1, +)
  }

  /// Returns the next group, nil at the end.
  package func next() throws -> [EntryNode]? {
    while !view.heads.isEmpty {
      var nodes = try core.find(path, key: key, raw: isRaw, in: view)
      if !isRaw { nodes = nodes.withoutCoveredOfSameKey() }
      let older = try view(before: nodes)
      rounds -= 1
      if rounds < 0 {
        throw HyperDBError(
          .tooManySteps, "The history of a key was given up: its entries lead in circles",
          feed: nodes.first?.feed, seq: nodes.first?.seq)
      }
      view = older
      if isRaw { return nodes.isEmpty ? nil : nodes }
      let new = nodes.filter { given.insert($0.location).inserted }
      if !new.isEmpty { return new }
    }
    return nil
  }

  /// Returns what the writers of `nodes` knew just before.
  private func view(before nodes: [EntryNode]) throws -> Snapshot {
    var heads: [EntryNode] = []
    for node in nodes {
      for feed in 0..<node.clockCount {
        let value = node.clock(of: feed)
        let length: Int
        if feed == node.feed {
          length = node.seq
        } else {
          // The reference never looks at the first entry of another feed.
          guard value > (isRaw ? 2 : 1) else { continue }
          length = Int(value)
        }
        guard length > 1 else { continue }
        let bound = feed < snapshot.lengths.count ? snapshot.lengths[feed] : 0
        let limit = snapshot.isBounded || !isRaw ? min(length, max(bound, 1)) : length
        let head = try core.head(of: feed, below: limit)
        if let head { heads.append(head) }
      }
    }
    let roots = isRaw ? (heads: heads.withoutCovered(), beside: []) : try core.roots(of: heads)
    return Snapshot(
      heads: roots.heads, beside: roots.beside, lengths: snapshot.lengths,
      isBounded: snapshot.isBounded)
  }
}
