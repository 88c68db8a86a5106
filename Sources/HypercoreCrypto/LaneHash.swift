internal import CDatHash

/// Hashes of a tree, several at once in the lanes of the processor's vectors: three times as many in the same time with
/// AVX-512, twice as many with AVX2.
///
/// What doesn't fill the lanes is hashed by ``TreeHash``, as everything is on a processor without them.
enum LaneHash {
  /// The most hashes that are made at once here: 8, 4, or 0.
  static let lanes = Int(dat_hash_lanes())

  /// Writes the hashes of blocks to `digests`, which are as many.
  ///
  /// - Parameter lanes: 4 or 8, at most ``lanes``; or 0.
  static func leaves(
    _ blocks: ArraySlice<[UInt8]>, to digests: UnsafeMutableBufferPointer<Digest>,
    lanes: Int = lanes
  ) {
    withUnsafeTemporaryAllocation(of: dat_hash_block.self, capacity: lanes) { places in
      var first = 0
      while first < blocks.count {
        let end = min(first + max(lanes, 1), blocks.count)
        let group = blocks[blocks.startIndex + first..<blocks.startIndex + end]
        let target = UnsafeMutableBufferPointer(rebasing: digests[first..<end])
        if lanes > 0, fills(group, lanes) {
          hash(group, places, 0, target, lanes)
        } else {
          for (place, block) in group.enumerated() { target[place] = TreeHash.leaf(block) }
        }
        first = end
      }
    }
  }

  /// Returns whether blocks are so many, and so alike in size, that at least half of the lanes' work counts.
  private static func fills(_ group: ArraySlice<[UInt8]>, _ lanes: Int) -> Bool {
    var most = 0
    var total = 0
    for block in group {
      // Chunks of 128 bytes, with the 9 before the block.
      let chunks = (block.count + 9 + 127) / 128
      most = max(most, chunks)
      total += chunks
    }
    return 2 * total >= lanes * most
  }

  /// Enters the blocks of a group at their places, each held there until all are hashed.
  private static func hash(
    _ group: ArraySlice<[UInt8]>, _ places: UnsafeMutableBufferPointer<dat_hash_block>,
    _ count: Int, _ digests: UnsafeMutableBufferPointer<Digest>, _ lanes: Int
  ) {
    guard let block = group.first else { return dat_hash_leaves(places.baseAddress, count, lanes) }
    block.withUnsafeBytes { bytes in
      let digest = UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(rebasing: digests[count...count]))
      places.initializeElement(
        at: count,
        to: dat_hash_block(bytes: bytes.octets, size: bytes.count, digest: digest.octets))
      hash(group.dropFirst(), places, count + 1, digests, lanes)
    }
  }

  /// The parents of pairs of siblings.
  ///
  /// - Parameter lanes: 4 or 8, at most ``lanes``; or 0.
  static func parents(of children: ArraySlice<Node>, lanes: Int = lanes) -> [Node] {
    let count = children.count / 2
    return [Node](unsafeUninitializedCapacity: count) { parents, filled in
      children.withUnsafeBytes { nodes in
        let nodes = nodes.assumingMemoryBound(to: dat_hash_node.self)
        while lanes > 0, 2 * (count - filled) >= lanes {
          let group = min(lanes, count - filled)
          let target = UnsafeMutableRawBufferPointer(
            UnsafeMutableBufferPointer(rebasing: parents[filled..<filled + group]))
          dat_hash_parents(
            nodes.baseAddress.map { $0 + 2 * filled }, group,
            target.assumingMemoryBound(to: dat_hash_node.self).baseAddress, lanes)
          filled += group
        }
      }
      while filled < count {
        let left = children[children.startIndex + 2 * filled]
        let right = children[children.startIndex + 2 * filled + 1]
        parents.initializeElement(
          at: filled,
          to: Node(
            index: left.index &+ (right.index &- left.index) / 2,
            hash: TreeHash.parent(left, right), size: left.size &+ right.size))
        filled += 1
      }
    }
  }
}
