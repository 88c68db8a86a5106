/// The nodes that one peer has told us, through the digests of its requests, that it has.
///
/// Kept by whoever keeps the peer; handed to ``FeedCore/proof(index:digest:hash:remoteTree:)``, which
/// adds to it and leaves out of its proofs what is in it. Bounded by ``FeedLimits/remoteTreePages``;
/// what a peer knows without gaps takes next to nothing.
package final class RemoteTree {
  @exclusivity(unchecked) private var nodes: BlockSet

  package init() { nodes = BlockSet(mixedPageLimit: FeedLimits.remoteTreePages) }

  init(memory: PeerMemory) {
    nodes = BlockSet(mixedPageLimit: FeedLimits.remoteTreePages, memory: memory)
  }

  /// Forgets everything.
  func removeAll() { nodes.removeAll() }

  /// Whether the peer has the node.
  package func contains(_ index: UInt64) -> Bool { nodes.contains(index) }

  /// Adds a node, and every parent both of whose children are known.
  package func insert(_ index: UInt64) {
    var index = index
    while set(index), contains(FlatTree.sibling(index)) { index = FlatTree.parent(index) }
  }

  /// - Returns: whether it is new.
  private func set(_ index: UInt64) -> Bool {
    if nodes.insert(index) { return true }
    if nodes.contains(index) { return false }
    nodes.removeAll()
    return nodes.insert(index)
  }
}
