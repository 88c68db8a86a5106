internal import HypercoreCrypto

/// The result of looking for a byte of a feed.
package enum SeekResult: Equatable {
  /// In this block, at this offset.
  case found(block: UInt64, offset: UInt64)
  /// Not known here: in one of these blocks. Peers can be asked about any of them.
  case unknown(blocks: Range<UInt64>)
}

extension FeedCore {
  /// Finds the block that holds a byte, from the sizes in the tree.
  ///
  /// Never guesses: if the search reaches a node that is not known here, it ends with the blocks
  /// under the deepest known node. The sizes of a leaf and its sibling that came without their
  /// blocks are proven only as a sum, so a hash-only answer may mislead between those two until one
  /// of the blocks is here.
  ///
  /// - Throws: ``FeedError/Code/outOfBounds`` at or past the end; the feed may grow later.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `_seek`. Fixture: `feeds/manifest.json`, `seeks`.
  package func seek(toByte byte: UInt64) throws(FeedError) -> SeekResult {
    try checkOpen()
    if byte == 0 { return .found(block: 0, offset: 0) }
    guard byte < byteLength else {
      throw .outOfBounds("Byte \(byte) is out of bounds: the feed has \(byteLength).")
    }
    var rest = byte
    for root in roots {
      if rest < root.size { return try descend(from: root.index, size: root.size, to: rest) }
      rest -= root.size
    }
    throw .damaged("The roots of the feed cover less than its \(byteLength) bytes.")
  }

  private func descend(from root: UInt64, size: UInt64, to byte: UInt64) throws(FeedError)
    -> SeekResult
  {
    var (index, size, rest) = (root, size, byte)
    while index & 1 == 1 {
      guard let left = try knownNode(FlatTree.leftChild(index)),
        let right = try knownNode(FlatTree.rightChild(index)),
        left.size <= size
      else { return .unknown(blocks: blocks(under: index)) }
      if rest < left.size {
        (index, size) = (left.index, left.size)
      } else {
        rest -= left.size
        (index, size) = (right.index, right.size)
      }
    }
    return rest < size
      ? .found(block: index / 2, offset: rest) : .unknown(blocks: blocks(under: index))
  }

  private func blocks(under index: UInt64) -> Range<UInt64> {
    FlatTree.leftSpan(index) / 2..<FlatTree.rightSpan(index) / 2 + 1
  }
}
