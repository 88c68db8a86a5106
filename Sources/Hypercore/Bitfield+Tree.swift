// What the tree bits say: how far the feed is known, and what a peer needs to send along.

extension Bitfield {
  /// Up to which leaf boundary, twice a number of blocks, the tree around a node is known; 0 where
  /// the node is not.
  ///
  /// Source: hypercore v6.26.0 `lib/tree-index.js`, `verifiedBy`.
  func verifiedBy(_ index: UInt64) -> UInt64 {
    guard hasNode(index) else { return 0 }
    var top = index
    while hasNode(FlatTree.parent(top)), hasNode(FlatTree.sibling(top)) {
      top = FlatTree.parent(top)
    }
    var depth = FlatTree.depth(top)
    while depth > 0 {
      top = FlatTree.leftChild(FlatTree.index(depth: depth, offset: FlatTree.offset(top) + 1))
      depth -= 1
      while !hasNode(top), depth > 0 {
        top = FlatTree.leftChild(top)
        depth -= 1
      }
    }
    return hasNode(top) ? top + 2 : top
  }

  /// How many blocks the tree covers, whether they are stored or not.
  ///
  /// Source: hypercore v6.26.0 `lib/tree-index.js`, `blocks`.
  func treeLength() -> UInt64 {
    var top: UInt64 = 0
    var next: UInt64 = 0
    while FlatTree.rightSpan(next) < treeLimit {
      next = FlatTree.parent(next)
      if hasNode(next) { top = next }
    }
    return verifiedBy(top) / 2
  }

  /// The digest of what is known on the way up from a block, for a Request: see ``TreeDigest``.
  func digest(block: UInt64) -> UInt64 {
    TreeDigest.digest(of: block, bound: treeLimit) { hasNode($0) }
  }
}
