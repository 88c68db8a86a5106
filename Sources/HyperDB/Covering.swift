/// Which entries of a list stand for the others.
extension [EntryNode] {
  /// Those that no other of the list knew.
  ///
  /// Source: hyperdb `index.js`, `filterHeads`.
  func withoutCovered() -> [EntryNode] { withoutCovered { $0.covers($1) } }

  /// Those that no other of the same key knew.
  func withoutCoveredOfSameKey() -> [EntryNode] {
    withoutCovered { $0.covers($1) && $0.key == $1.key }
  }

  /// No sound entries knew each other. Of hostile ones that claim to, each would be left out for the
  /// other, and with them all that they claim to know: so those stay that nobody knew but whom they
  /// knew themselves.
  private func withoutCovered(_ covers: (EntryNode, EntryNode) -> Bool) -> [EntryNode] {
    if count < 2 { return self }
    let heads = filter { node in !contains { $0.place != node.place && covers($0, node) } }
    if heads.count == count { return heads }
    let isReached = allSatisfy { node in
      heads.contains { $0.place == node.place || covers($0, node) }
    }
    return isReached ? heads : sources(covers)
  }

  /// More entries than this, which no sound database has for one key, all stand for themselves.
  private static var comparedEntries: Int { 1024 }

  /// Those that are known, over any number of others, only to whom they know as well.
  private func sources(_ covers: (EntryNode, EntryNode) -> Bool) -> [EntryNode] {
    guard count <= Self.comparedEntries else { return self }
    var knows = [BitRow](repeating: BitRow(count: count), count: count)
    for one in indices {
      for other in indices
      where self[one].place != self[other].place && covers(self[one], self[other]) {
        knows[one].insert(other)
      }
    }
    // What is known to whom one knows is known, by way of each in turn.
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

/// A set of small numbers, as bits.
private struct BitRow {
  private var words: [UInt64]

  init(count: Int) { words = Array(repeating: 0, count: (count + 63) / 64) }

  mutating func insert(_ number: Int) { words[number >> 6] |= 1 << UInt64(number & 63) }

  func contains(_ number: Int) -> Bool { words[number >> 6] & 1 << UInt64(number & 63) != 0 }

  mutating func formUnion(_ other: BitRow) {
    for index in words.indices { words[index] |= other.words[index] }
  }
}
