/// The part of a Request that says which tree nodes the requester has.
enum TreeDigest {
  /// The digest for block `index`. From its leaf upwards, bit *k* stands for the sibling at height
  /// *k* - 1; bit 0 stands for an ancestor, which the top bit then marks. 1 says that the block can
  /// be verified alone, 0 that nothing is known.
  ///
  /// - Parameters:
  ///   - bound: twice the length up to which nodes may be known.
  ///   - has: returns whether a tree node is known.
  ///
  /// Source: hypercore `lib/tree-index.js`, `digest`. Fixture: `digests` of the feeds' manifest.
  @inline(__always)
  static func digest(of index: UInt64, bound: UInt64, has: (UInt64) -> Bool) -> UInt64 {
    var node = index * 2
    if has(node) { return 1 }
    var digest: UInt64 = 0
    var bit: UInt64 = 1
    while bit < 62 {
      let sibling = FlatTree.sibling(node)
      let parent = FlatTree.parent(node)
      if has(sibling) { digest |= 1 << bit }
      if has(parent) {
        digest |= 1 << (bit + 1) | 1
        return digest == (1 << (bit + 2)) - 1 ? 1 : digest
      }
      node = parent
      bit += 1
      if FlatTree.rightSpan(FlatTree.sibling(node)) >= bound,
        FlatTree.leftSpan(FlatTree.parent(node)) == 0
      {
        return digest
      }
    }
    return digest
  }
}
