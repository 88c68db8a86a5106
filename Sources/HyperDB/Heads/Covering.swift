/// Selection of the entries that no other of a list covers.
extension [EntryNode] {
  /// The entries whose writers no other entry of the list knew: its heads.
  ///
  /// Source: hyperdb `index.js`, `filterHeads`.
  func withoutCovered() -> [EntryNode] { withoutCovered { $0.covers($1) } }

  /// The entries of `heads`, then those that none of them covers itself: what another of the list knew of
  /// them may be more than that one leads to.
  func withoutReached(by heads: [EntryNode]) -> [EntryNode] {
    if heads.count == count { return heads }
    return heads
      + filter { node in !heads.contains { $0.location == node.location || $0.covers(node) } }
  }

  /// The entries that no other entry of the same key covers.
  func withoutCoveredOfSameKey() -> [EntryNode] {
    withoutCovered { $0.covers($1) && $0.hasKey(of: $1) }
  }

  /// Entries of correct writers never cover each other. Hostile ones may claim to, and then each would be dropped for
  /// the other, together with everything both claim to know. So entries that are covered only by entries
  /// that they cover themselves are kept.
  private func withoutCovered(_ covers: (EntryNode, EntryNode) -> Bool) -> [EntryNode] {
    if count < 2 { return self }
    let heads = filter { node in !contains { $0.location != node.location && covers($0, node) } }
    if heads.count == count { return heads }
    let isReached = allSatisfy { node in
      heads.contains { $0.location == node.location || covers($0, node) }
    }
    return isReached ? heads : sources(covers)
  }

  /// The most entries that are compared. No correct database has more for one key; if there are more, all stay.
  private static var comparedEntries: Int { 1024 }

  /// The entries that are covered, directly or by way of others, only by entries that they cover in turn.
  private func sources(_ covers: (EntryNode, EntryNode) -> Bool) -> [EntryNode] {
    guard count <= Self.comparedEntries else { return self }
    var knows = [BitRow](repeating: BitRow(count: count), count: count)
    for one in indices {
      for other in indices
      where self[one].location != self[other].location && covers(self[one], self[other]) {
        knows[one].insert(other)
      }
    }
    // Transitive closure: what a known entry knows is known as well.
    for middle in indices {
      let row = knows[middle]
      for one in indices where knows[one].contains(middle) { knows[one].formUnion(row) }
    }
    return indices.filter { one in
      indices.allSatisfy { !knows[$0].contains(one) || knows[one].contains($0) }
    }.map { self[$0] }
  }

  var isAllDeleted: Bool { allSatisfy { $0.isDeleted } }
}

/// A set of small numbers, one bit each.
private struct BitRow {
  private var words: [UInt64]

  init(count: Int) { words = Array(repeating: 0, count: (count + 63) / 64) }

  mutating func insert(_ number: Int) { words[number >> 6] |= 1 << UInt64(number & 63) }

  func contains(_ number: Int) -> Bool { words[number >> 6] & 1 << UInt64(number & 63) != 0 }

  mutating func formUnion(_ other: BitRow) {
    for index in words.indices { words[index] |= other.words[index] }
  }
}
