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

  /// The digest of what is known on the way up from a block, for a Request.
  ///
  /// Bit 0: an ancestor is known, and the top bit then says at which height; bit *k*: the sibling at
  /// height *k* - 1 is known. 1: the block can be verified as it is.
  /// Source: hypercore v6.26.0 `lib/tree-index.js`, `digest`.
  func digest(block: UInt64) -> UInt64 {
    var node = 2 * block
    if hasNode(node) { return 1 }
    var digest: UInt64 = 0
    var height: UInt64 = 1
    while height < 62 {
      let sibling = FlatTree.sibling(node)
      let parent = FlatTree.parent(node)
      if hasNode(sibling) { digest |= 1 << height }
      if hasNode(parent) {
        digest |= 1 << (height + 1) | 1
        return digest == (1 << (height + 2)) - 1 ? 1 : digest
      }
      node = parent
      height += 1
      if FlatTree.rightSpan(FlatTree.sibling(node)) >= treeLimit,
        FlatTree.leftSpan(FlatTree.parent(node)) == 0
      {
        break
      }
    }
    return digest
  }
}
