/// The nodes that one peer has told us, through the digests of its requests, that it has.
///
/// Kept by whoever keeps the peer; handed to ``FeedCore/proof(index:digest:hash:remoteTree:)``, which
/// adds to it and leaves out of its proofs what is in it. Bounded by ``FeedLimits/remoteTreeWords``.
package final class RemoteTree {
  private var words: [UInt64: UInt64] = [:]

  package init() {}

  /// Whether the peer has the node.
  package func contains(_ index: UInt64) -> Bool {
    guard let word = words[index >> 6] else { return false }
    return word & (1 << (index & 63)) != 0
  }

  /// Adds a node, and every parent both of whose children are known.
  package func insert(_ index: UInt64) {
    var index = index
    while set(index), contains(FlatTree.sibling(index)) { index = FlatTree.parent(index) }
  }

  private func set(_ index: UInt64) -> Bool {
    let mask: UInt64 = 1 << (index & 63)
    if words.count >= FeedLimits.remoteTreeWords, words[index >> 6] == nil { words = [:] }
    if words[index >> 6, default: 0] & mask != 0 { return false }
    words[index >> 6, default: 0] |= mask
    return true
  }
}
