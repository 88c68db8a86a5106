internal import HypercoreCrypto
internal import RandomAccessStorage

extension FeedCore {
  /// Blocks below this size are written as one piece with their neighbours.
  private static let smallBlock = 16 * 1024

  /// Appends blocks and signs the last of them.
  ///
  /// Written in this order: data and tree, the signature, which is what commits them, the bitfield.
  /// Appending nothing writes and syncs what waits.
  ///
  /// - Returns: the index of the first block.
  /// - Throws: ``FeedError/Code/notWritable``; ``FeedError/Code/outOfBounds`` where the feed would get
  ///   longer than a feed can be; ``FeedError/Code/storage``.
  /// - Complexity: at most four calls of the storage, without syncs.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `_append`.
  @discardableResult
  package func append(_ blocks: [[UInt8]]) throws(FeedError) -> UInt64 {
    try checkWritable()
    try commitBatch()
    let first = length
    if blocks.isEmpty {
      if durability != .buffered, unsyncedBlocks > 0 { try sync() }
      return first
    }
    let total = try totalSize(of: blocks)
    mark()
    try writing { () throws(FeedError) in
      let roots = try addToTree(blocks)
      try files.data.write(dataPieces(blocks, at: byteLength, total: total))
      try tree.flush()
      unsyncedBlocks += blocks.count
      let isSynced = isSyncDue
      if isSynced {
        try files.data.sync()
        try tree.file.sync()
      }
      let end = first + UInt64(blocks.count)
      if isLive, let secretKey {
        let signature = secretKey.sign(TreeHash.tree(roots))
        try signatures.file.write(signature.bytes, at: SignatureFile.offset(of: end - 1))
        if isSynced { try signatures.file.sync() }
      }
      if isSynced { unsyncedBlocks = 0 }
      bits.setBlocks(first..<end, to: true)
      setTreeBits(first..<end)
      self.roots = roots
      length = end
      byteLength += total
      try bits.flush()
    }
    onChange?(.appended(first..<length))
    return first
  }

  private func checkWritable() throws(FeedError) {
    try checkStorable()
    if isRestoring { throw .restoring(key) }
    if let damage { throw FeedError(code: .notWritable, reason: damage.reason) }
    guard secretKey != nil || key == nil else {
      if !isLive {
        throw FeedError(
          code: .notWritable,
          reason: "This feed is static and has its key: nothing can be appended any more.")
      }
      throw FeedError(
        code: .notWritable,
        reason: "This feed is not writable: its secret key is not here. Did you create it?")
    }
  }

  private func totalSize(of blocks: [[UInt8]]) throws(FeedError) -> UInt64 {
    var total: UInt64 = 0
    for block in blocks { total += UInt64(block.count) }
    guard byteLength + total <= FeedLimits.maximumByteLength,
      length + UInt64(blocks.count) <= FeedLimits.maximumLength
    else {
      throw .outOfBounds("A feed holds at most \(FeedLimits.maximumLength) blocks and 2^53 bytes.")
    }
    return total
  }

  private var isSyncDue: Bool {
    switch durability {
    case .buffered: false
    case .synced: true
    case .grouped(let blocks): unsyncedBlocks >= blocks
    }
  }

  /// Puts the blocks' leaves and every parent they complete into the tree.
  ///
  /// - Returns: the roots with them.
  private func addToTree(_ blocks: [[UInt8]]) throws(FeedError) -> [Node] {
    var roots = roots
    let end = length + UInt64(blocks.count)
    var index = length
    for (block, hash) in zip(blocks, TreeHash.leaves(blocks)) {
      var node = Node(index: 2 * index, hash: hash, size: UInt64(block.count))
      try tree.put(node)
      // The reference writes all slots between the batch's leaves, blank where incomplete.
      if index + 1 < end { try tree.blank(2 * index + 1) }
      var completed = (~index).trailingZeroBitCount
      while completed > 0, let left = roots.popLast() {
        node = Node(
          index: FlatTree.parent(node.index), hash: TreeHash.parent(left, node),
          size: left.size + node.size)
        try tree.put(node)
        completed -= 1
      }
      roots.append(node)
      index += 1
    }
    return roots
  }

  /// Sets the bits of the leaves of blocks that follow on those there are, and of the parents they
  /// complete.
  func setTreeBits(_ range: Range<UInt64>) {
    for block in range {
      var node = 2 * block
      bits.setNode(node)
      var completed = (~block).trailingZeroBitCount
      while completed > 0 {
        node = FlatTree.parent(node)
        bits.setNode(node)
        completed -= 1
      }
    }
  }

  /// The blocks as pieces to write: small ones joined, large ones as they are.
  private func dataPieces(_ blocks: [[UInt8]], at offset: UInt64, total: UInt64) -> [StorageWrite] {
    if blocks.count == 1 {
      return blocks[0].isEmpty ? [] : [StorageWrite(offset: offset, bytes: blocks[0])]
    }
    var pieces: [StorageWrite] = []
    var offset = offset
    var first = 0
    while first < blocks.count {
      if blocks[first].count >= Self.smallBlock {
        pieces.append(StorageWrite(offset: offset, bytes: blocks[first]))
        offset += UInt64(blocks[first].count)
        first += 1
        continue
      }
      var end = first
      var size = 0
      while end < blocks.count, blocks[end].count < Self.smallBlock {
        size += blocks[end].count
        end += 1
      }
      let joined = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
        for block in blocks[first..<end] {
          block.withUnsafeBytes {
            UnsafeMutableRawBufferPointer(
              rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...]
            )
            .copyMemory(from: $0)
          }
          filled += block.count
        }
      }
      if size > 0 { pieces.append(StorageWrite(offset: offset, bytes: joined)) }
      offset += UInt64(size)
      first = end
    }
    return pieces
  }

  /// Ends a static feed: its key becomes its tree hash.
  ///
  /// On a live feed this writes the key again and does nothing else, as in the reference.
  /// Source: hypercore v6.26.0 `index.js`, `finalize`.
  package func finalize() throws(FeedError) {
    try checkStorable()
    if key == nil {
      guard let hash = PublicKey(bytes: treeHash.bytes) else { return }
      setKey(hash)
    }
    guard let key else { return }
    try writing { () throws(FeedError) in try files.key.write(key.bytes, at: 0) }
  }
}
