internal import HypercoreCrypto
internal import RandomAccessStorage

extension FeedCore {
  /// Blocks below this size are joined with their neighbours in one write.
  private static let smallBlock = 16 * 1024

  /// Appends blocks and signs the last of them.
  ///
  /// The order of the writes: data and tree; the signature, which commits them; the bitfield. Appending no
  /// blocks writes and syncs what is pending.
  ///
  /// - Returns: the index of the first block.
  /// - Throws: ``FeedError/Code/blockTooLarge``; ``FeedError/Code/notWritable``;
  ///   ``FeedError/Code/outOfBounds`` if the feed would exceed the greatest length;
  ///   ``FeedError/Code/storage``.
  /// - Complexity: at most four calls to the storage, syncs not counted.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `_append`.
  @discardableResult
  package func append(_ blocks: [[UInt8]]) throws(FeedError) -> UInt64 {
    try checkWritable()
    try Self.checkSizes(of: blocks)
    try commitBatch()
    let first = length
    if blocks.isEmpty {
      if diskSync.isPending { try sync() }
      return first
    }
    let total = try totalSize(of: blocks.lazy.map { UInt64($0.count) }, count: blocks.count)
    let leaves = TreeHash.leaves(blocks)
    try append(
      count: blocks.count, total: total, data: dataPieces(blocks, at: byteLength, total: total)
    ) { (leaves[$0], UInt64(blocks[$0].count)) }
    return first
  }

  /// Appends blocks whose bytes are already in the storage of the feed's data, and signs the last of them. No
  /// bytes are written there.
  ///
  /// - Returns: the index of the first block.
  /// - Throws: ``FeedError/Code/notWritable`` if the feed keeps its blocks itself; otherwise as
  ///   ``append(_:)``.
  @discardableResult
  package func append(leaves: [BlockLeaf]) throws(FeedError) -> UInt64 {
    guard files.dataIsElsewhere else {
      throw FeedError(
        code: .notWritable,
        reason: "This feed keeps its blocks itself: append their bytes, not their hashes.")
    }
    try checkWritable()
    for leaf in leaves { try Self.checkSize(leaf.size) }
    try commitBatch()
    let first = length
    guard !leaves.isEmpty else { return first }
    let total = try totalSize(of: leaves.lazy.map(\.size), count: leaves.count)
    try append(count: leaves.count, total: total, data: []) { (leaves[$0].hash, leaves[$0].size) }
    return first
  }

  /// Writes blocks whose sizes were checked.
  private func append(
    count: Int, total: UInt64, data: [StorageWrite], leaf: (Int) -> (hash: Digest, size: UInt64)
  ) throws(FeedError) {
    let first = length
    let end = first + UInt64(count)
    mark()
    try writing { () throws(FeedError) in
      let roots = try addToTree(count, leaf)
      var signatures: [StorageWrite] = []
      if isLive, let secretKey {
        let signature = secretKey.sign(TreeHash.tree(roots))
        signatures.append(
          StorageWrite(offset: SignatureFile.offset(of: end - 1), bytes: signature.bytes))
      }
      try commit(data: data, signatures: signatures, blocks: count)
      // The new blocks take the place of what was set aside.
      if bits.hasAside {
        bits.forgetAside(first..<max(end, bits.dataLimit))
        bits.forgetAsideNodes()
      }
      bits.setBlocks(first..<end, to: true)
      setTreeBits(first..<end)
      extent.grow(to: end, byteLength: byteLength + total, roots: roots)
      try bits.flush()
    }
    onChange?(.appended(first..<length))
  }

  /// Writes the changes of an append, or of what peers brought, except for the bitfield: data and tree first,
  /// then the signatures, which commit them. If ``Durability`` asks for it now, each step is on the disk
  /// before the next.
  ///
  /// - Parameters:
  ///   - data: pieces of `data`, with their offsets.
  ///   - signatures: pieces of `signatures`, with their offsets.
  ///   - blocks: the number of blocks in these pieces.
  func commit(
    data: [StorageWrite], signatures: [StorageWrite], blocks: Int
  ) throws(FeedError) {
    try files.data.write(data)
    try tree.flush()
    let isSynced = diskSync.wrote(blocks)
    if isSynced {
      try bringToDisk(files.data)
      try bringToDisk(tree.file)
    }
    if !signatures.isEmpty {
      try files.signatures.write(signatures)
      if isSynced { try bringToDisk(files.signatures) }
    }
    if isSynced { diskSync.synced() }
  }

  /// Checks that a peer could receive each of these blocks.
  static func checkSizes(of blocks: [[UInt8]]) throws(FeedError) {
    for block in blocks { try checkSize(UInt64(block.count)) }
  }

  private static func checkSize(_ size: UInt64) throws(FeedError) {
    guard size > FeedLimits.maximumBlockSize else { return }
    throw FeedError(
      code: .blockTooLarge,
      reason:
        "A block can have \(FeedLimits.maximumBlockSize) bytes, so that it fits a frame with its proof; "
        + "this one has \(size). Nothing was written: append it in parts.")
  }

  private func checkWritable() throws(FeedError) {
    // The reason of an earlier failure may be gone: there may be room on the disk again.
    if failure != nil { try resume() }
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

  private func totalSize(of sizes: some Sequence<UInt64>, count: Int) throws(FeedError) -> UInt64 {
    var total: UInt64 = 0
    for size in sizes {
      let (sum, overflow) = total.addingReportingOverflow(size)
      total = overflow ? .max : sum
    }
    guard total <= FeedLimits.maximumByteLength,
      byteLength + total <= FeedLimits.maximumByteLength,
      length + UInt64(count) <= FeedLimits.maximumLength
    else {
      throw .outOfBounds("A feed holds at most \(FeedLimits.maximumLength) blocks and 2^53 bytes.")
    }
    return total
  }

  /// The leaves that are put into the tree together, so that their nodes stay in the processor's cache.
  private static let leavesTogether = 1024
  /// The fewest leaves for which it is worth collecting the nodes of a level to hash them together.
  private static let leavesOfALevel = 8

  /// Puts the blocks' leaves, and every parent that they complete, into the tree.
  ///
  /// - Returns: the roots of the tree with them.
  private func addToTree(
    _ count: Int, _ leaf: (Int) -> (hash: Digest, size: UInt64)
  ) throws(FeedError) -> [Node] {
    var roots = roots
    var leaves: [Node] = []
    for offset in 0..<count {
      let (hash, size) = leaf(offset)
      let node = Node(index: 2 * (length + UInt64(offset)), hash: hash, size: size)
      // The reference writes all slots between the batch's leaves, and leaves incomplete ones blank.
      if offset + 1 < count { try tree.blank(node.index + 1) }
      guard count >= Self.leavesOfALevel else {
        try add(node, to: &roots)
        continue
      }
      leaves.append(node)
      if leaves.count == Self.leavesTogether || offset + 1 == count {
        try addLevels(leaves, to: &roots)
        leaves.removeAll(keepingCapacity: true)
      }
    }
    return roots
  }

  /// Puts one leaf that follows the roots into the tree, and every parent that it completes.
  private func add(_ leaf: Node, to roots: inout [Node]) throws(FeedError) {
    var node = leaf
    try tree.put(node)
    while FlatTree.isRight(node.index), let left = roots.popLast() {
      node = Node(
        index: FlatTree.parent(node.index), hash: TreeHash.parent(left, node),
        size: left.size + node.size)
      try tree.put(node)
    }
    roots.append(node)
  }

  /// Puts leaves that follow the roots into the tree, and every parent that they complete, one level after another: the
  /// nodes of a level are hashed together.
  private func addLevels(_ leaves: [Node], to roots: inout [Node]) throws(FeedError) {
    var level = leaves
    var unpaired: [Node] = []
    while let first = level.first {
      for node in level { try tree.put(node) }
      if FlatTree.isRight(first.index), let left = roots.popLast() { level.insert(left, at: 0) }
      if level.count & 1 == 1, let last = level.popLast() { unpaired.append(last) }
      level = TreeHash.parents(level[...])
    }
    roots += unpaired.reversed()
  }

  /// Sets the bits of the leaves of blocks that follow the stored ones, and of the parents that they
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

  /// The blocks as pieces to write: small ones joined, large ones separate.
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

  /// Finalizes a static feed: its key becomes its tree hash.
  ///
  /// On a live feed this writes the key again and does nothing else, as in the reference.
  /// Source: hypercore v6.26.0 `index.js`, `finalize`.
  package func finalize() throws(FeedError) {
    try checkStorable()
    if key == nil {
      guard let hash = PublicKey(bytes: treeHash.bytes) else { return }
      keys.finalize(hash)
    }
    guard let key else { return }
    try writing { () throws(FeedError) in try files.key.write(key.bytes, at: 0) }
  }
}
