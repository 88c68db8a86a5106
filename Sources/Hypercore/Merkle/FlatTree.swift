/// Index arithmetic of a binary tree whose nodes are numbered in order: block *b* is leaf `2b`,
/// odd numbers are parents.
///
/// Every function is total: it never traps, whatever the index. Results are exact for indexes up to
/// `maximumIndex`; indexes from files and peers are checked against ``FeedLimits`` before they get
/// here.
/// Source: the `flat-tree` package of the reference. Fixture: `vectors/flat-tree.json`.
package enum FlatTree {
  /// The largest index for which every result fits into 64 bits.
  package static let maximumIndex: UInt64 = (1 << 62) - 1

  /// The number of levels between the node and the leaves: the number of its trailing one bits.
  @inlinable
  package static func depth(_ index: UInt64) -> UInt64 {
    UInt64((~index).trailingZeroBitCount)
  }

  /// The position of the node among those of its depth, counted from 0.
  @inlinable
  package static func offset(_ index: UInt64) -> UInt64 {
    // A smart shift: shifts by 64 or more give 0.
    index >> (depth(index) &+ 1)
  }

  /// The node at a depth and an offset among the nodes of that depth.
  @inlinable
  package static func index(depth: UInt64, offset: UInt64) -> UInt64 {
    ((offset << (depth &+ 1)) | ((1 << depth) &- 1))
  }

  /// The other child of the node's parent.
  @inlinable
  package static func sibling(_ index: UInt64) -> UInt64 {
    index ^ (2 << depth(index))
  }

  @inlinable
  package static func parent(_ index: UInt64) -> UInt64 {
    let bit: UInt64 = 1 << depth(index)
    return (index | bit) & ~(bit << 1)
  }

  /// Returns whether the node is the right child of its parent.
  @inlinable
  package static func isRight(_ index: UInt64) -> Bool {
    index & (2 << depth(index)) != 0
  }

  /// The left child; for a leaf, the leaf itself.
  @inlinable
  package static func leftChild(_ index: UInt64) -> UInt64 {
    index & 1 == 0 ? index : index &- (1 << (depth(index) &- 1))
  }

  /// The right child; for a leaf, the leaf itself.
  @inlinable
  package static func rightChild(_ index: UInt64) -> UInt64 {
    index & 1 == 0 ? index : index &+ (1 << (depth(index) &- 1))
  }

  /// The first leaf under the node.
  @inlinable
  package static func leftSpan(_ index: UInt64) -> UInt64 {
    let bit: UInt64 = 1 << depth(index)
    return index &- (bit &- 1)
  }

  /// The last leaf under the node.
  @inlinable
  package static func rightSpan(_ index: UInt64) -> UInt64 {
    let bit: UInt64 = 1 << depth(index)
    return index &+ (bit &- 1)
  }

  /// The leaves and nodes of the tree under the node, itself included.
  @inlinable
  package static func span(_ index: UInt64) -> ClosedRange<UInt64> {
    leftSpan(index)...rightSpan(index)
  }

  /// The nodes that cover the blocks before `length` and no others, ascending: at most 64.
  @inlinable
  package static func fullRoots(length: UInt64) -> FullRoots { FullRoots(length: length) }

  /// The full roots of a number of blocks, as a sequence that allocates nothing.
  package struct FullRoots: Sequence, IteratorProtocol {
    @usableFromInline var rest: UInt64
    @usableFromInline var start: UInt64 = 0

    @inlinable
    init(length: UInt64) { rest = length }

    /// The number of roots that are left.
    @inlinable
    package var count: Int { rest.nonzeroBitCount }

    @inlinable
    package mutating func next() -> UInt64? {
      guard rest != 0 else { return nil }
      let blocks: UInt64 = 1 << UInt64(63 - rest.leadingZeroBitCount)
      defer {
        rest &-= blocks
        start &+= blocks &<< 1
      }
      return start &+ blocks &- 1
    }
  }
}
