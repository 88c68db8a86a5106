// Answers from the tree bits: how far the feed is known, and what a peer needs to be sent.

extension Bitfield {
  /// The leaf boundary, twice a number of blocks, up to which the tree around a node is known; 0 if
  /// the node is not known.
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

  /// The number of blocks that the tree covers, stored or not.
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

  /// The digest of the nodes that are known on the way up from a block, for a Request: see
  /// ``TreeDigest``.
  func digest(block: UInt64) -> UInt64 {
    TreeDigest.digest(of: block, bound: treeLimit) { hasNode($0) }
  }
}
