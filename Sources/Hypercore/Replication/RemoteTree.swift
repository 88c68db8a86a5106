/// The nodes that one peer has, according to the digests of its requests.
///
/// The owner of the peer keeps it and passes it to
/// ``FeedCore/proof(index:digest:hash:remoteTree:)``, which adds to it and leaves its nodes out of
/// proofs. Bounded by ``FeedLimits/remoteTreePages``; a peer's nodes take next to nothing if there
/// are no gaps.
package final class RemoteTree {
  @exclusivity(unchecked) private var nodes: BlockSet

  package init() { nodes = BlockSet(mixedPageLimit: FeedLimits.remoteTreePages) }

  init(memory: PeerMemory) {
    nodes = BlockSet(mixedPageLimit: FeedLimits.remoteTreePages, memory: memory)
  }

  /// Removes every node.
  func removeAll() { nodes.removeAll() }

  /// Returns whether the peer has the node.
  package func contains(_ index: UInt64) -> Bool { nodes.contains(index) }

  /// Adds a node, and every parent whose children are both known.
  package func insert(_ index: UInt64) {
    var index = index
    while set(index), contains(FlatTree.sibling(index)) { index = FlatTree.parent(index) }
  }

  /// - Returns: true if the node is new.
  private func set(_ index: UInt64) -> Bool {
    if nodes.insert(index) { return true }
    if nodes.contains(index) { return false }
    nodes.removeAll()
    return nodes.insert(index)
  }
}
