package import HypercoreCrypto

extension FeedCore {
  // MARK: Possession

  /// Returns whether the block is stored here.
  package func has(_ block: UInt64) -> Bool { bits.hasBlock(block) }

  /// Returns whether all blocks of a range are stored here.
  package func has(_ range: Range<UInt64>) -> Bool {
    bits.nextMissing(from: range.lowerBound, below: range.upperBound) == nil
  }

  /// Returns the number of blocks of a range, or of the feed, that are stored here.
  package func downloaded(_ range: Range<UInt64>? = nil) -> UInt64 {
    bits.countStored(in: range ?? 0..<length)
  }

  /// The first block from `block` on, below `end`, that is not stored here.
  package func nextMissing(from block: UInt64, below end: UInt64) -> UInt64? {
    bits.nextMissing(from: block, below: end)
  }

  /// The first block from `block` on, below `end`, that is stored here.
  package func nextStored(from block: UInt64, below end: UInt64) -> UInt64? {
    bits.nextStored(from: block, below: end)
  }

  /// The last block below `end` that is stored here.
  package func lastStored(below end: UInt64) -> UInt64? { bits.lastStored(below: end) }

  /// The data bits of a region in the encoding of Have messages: run-length encoded, empty for none.
  ///
  /// - Parameters:
  ///   - start: a multiple of 8192, as `length` is.
  ///   - length: 0 for everything from `start` on.
  package func haveBitfield(from start: UInt64, length: UInt64) -> [UInt8] {
    let (sum, overflow) = start.addingReportingOverflow(length)
    let end = length == 0 || overflow ? UInt64.max : sum
    return bits.encodedData(from: start, below: end, pages: .max).bytes
  }

  // MARK: Blocks

  /// Returns the bytes of a block; nil if it is not stored here.
  ///
  /// - Complexity: one read of `data`, and reads of nodes that are not in memory yet.
  package func block(at index: UInt64) throws(FeedError) -> [UInt8]? {
    try checkOpen()
    guard bits.hasBlock(index) else {
      if let failure = bits.failure { throw failure }
      return nil
    }
    if !batch.isWritten { try writeBatch() }
    guard let place = try place(of: index) else {
      // Without its hash it can't be distinguished from garbage.
      setAside(index..<(index + 1))
      return nil
    }
    if files.dataIsElsewhere { return try run(from: index, count: 1, bytes: 0)?.bytes }
    return try readData(at: place.offset, size: place.size, blocks: index..<(index + 1))
  }

  /// Returns the bytes in a block's place, whether it counts as stored or not; nil if that place is not known
  /// or incomplete.
  func bytesInPlace(of index: UInt64) throws(FeedError) -> [UInt8]? {
    if !batch.isWritten { try writeBatch() }
    do {
      guard let place = try place(of: index) else { return nil }
      return try readData(at: place.offset, size: place.size, blocks: index..<(index + 1))
    } catch {
      if error.code == .storage { throw error }
      return nil
    }
  }

  /// Returns the place of a block in `data`; nil if its node is missing. Keeps the place, and those of the
  /// neighbours that are on the same page of the tree.
  private func place(of block: UInt64) throws(FeedError) -> (offset: UInt64, size: UInt64)? {
    if let place = locations.place(of: block) { return place }
    guard let size = try knownNode(2 * block)?.size else { return nil }
    let offset = try byteOffset(of: block)
    let run = block >> BlockPlaces.runBits
    let first = run << BlockPlaces.runBits
    if first + UInt64(BlockPlaces.runLength) <= length {
      var sizes: [UInt64] = []
      for block in first..<first + UInt64(BlockPlaces.runLength) {
        guard bits.hasNode(2 * block), let node = try tree.node(at: 2 * block) else { break }
        sizes.append(node.size)
      }
      if sizes.count == BlockPlaces.runLength {
        locations.keepRun(run, at: try markOffset(run), sizes: sizes)
      }
    }
    return (offset, size)
  }

  /// Returns the bytes of consecutive blocks, read at once; nil if one is not stored here.
  package func blocks(in range: Range<UInt64>) throws(FeedError) -> [[UInt8]]? {
    try checkOpen()
    guard range.upperBound <= length, has(range) else {
      if let failure = bits.failure { throw failure }
      return range.isEmpty ? [] : nil
    }
    guard !range.isEmpty else { return [] }
    if files.dataIsElsewhere { return try blocksElsewhere(in: range) }
    if !batch.isWritten { try writeBatch() }
    var sizes: [Int] = []
    sizes.reserveCapacity(range.count)
    var total: UInt64 = 0
    for block in range {
      let size = try node(at: 2 * block).size
      total = try sum(total, size, at: 2 * block)
      sizes.append(Int(size))
    }
    let bytes = try readData(
      at: try byteOffset(of: range.lowerBound), size: total, blocks: range)
    var start = 0
    return sizes.map { size in
      defer { start += size }
      return Array(bytes[start..<(start + size)])
    }
  }

  /// Reads consecutive blocks at once: as many of `count` from `index` on as are stored here and total no
  /// more than `bytes`, but at least one. Returns nil if that one is not stored here.
  func run(from index: UInt64, count: Int, bytes limit: Int) throws(FeedError) -> BlockRun? {
    try checkOpen()
    if !batch.isWritten { try writeBatch() }
    var ends: [Int] = []
    ends.reserveCapacity(count)
    var total: UInt64 = 0
    var next = index
    while ends.count < count, bits.hasBlock(next), let size = try knownNode(2 * next)?.size {
      let sum = try sum(total, size, at: 2 * next)
      if !ends.isEmpty, sum > UInt64(limit) { break }
      total = sum
      ends.append(Int(total))
      next += 1
    }
    if let failure = bits.failure { throw failure }
    if ends.isEmpty { return nil }
    let offset = try byteOffset(of: index)
    if files.dataIsElsewhere { return try runElsewhere(from: index, at: offset, ends: ends) }
    let bytes = try readData(at: offset, size: total, blocks: index..<next)
    return BlockRun(first: index, bytes: bytes, ends: ends)
  }

  private func readData(
    at offset: UInt64, size: UInt64, blocks: Range<UInt64>
  ) throws(FeedError) -> [UInt8] {
    if size == 0 { return [] }
    if size > FeedLimits.trustedBlockSize {
      let (end, overflow) = offset.addingReportingOverflow(size)
      let length = try files.data.length()
      guard !overflow, end <= length else { throw short(blocks) }
    }
    let bytes = try files.data.read(at: offset, count: Int(size))
    guard bytes.count == Int(size) else { throw short(blocks) }
    return bytes
  }

  private func short(_ blocks: Range<UInt64>) -> FeedError {
    .damaged(
      "\(Words.list([blocks])) recorded as stored, but \(files.data.name) ends before. Have `dat doctor` "
        + "look at the feed; peers can bring what is missing.")
  }

  // MARK: Nodes

  /// Returns a node that is stored and verified.
  ///
  /// - Throws: ``FeedError/Code/nodeMissing`` if it isn't.
  package func node(at index: UInt64) throws(FeedError) -> Node {
    guard let node = try knownNode(index) else { throw .nodeMissing(index) }
    return node
  }

  /// Returns a node that is stored and verified, or nil.
  @inline(__always)
  func knownNode(_ index: UInt64) throws(FeedError) -> Node? {
    guard bits.hasNode(index) else { return nil }
    guard let node = try tree.node(at: index), node.size <= FeedLimits.maximumByteLength else {
      noteLost(node: index)
      return nil
    }
    return node
  }

  /// A bit over a blank slot, as a crash may leave: taken back, so that peers are asked for it. Out of line, as
  /// nearly no node is lost.
  @inline(never)
  private func noteLost(node index: UInt64) {
    bits.setAside(node: index)
  }

  /// The offset of a block in `data`, which is known for every verified block.
  package func byteOffset(of block: UInt64) throws(FeedError) -> UInt64 {
    if let offset = locations.offset(of: block) { return offset }
    let mark = block >> 6
    var offset = try markOffset(mark)
    for root in FlatTree.fullRoots(length: block & 63) {
      let index = root + mark << 7
      offset = try sum(offset, try node(at: index).size, at: index)
    }
    return offset
  }

  /// The offset of block 64 * `mark`.
  private func markOffset(_ mark: UInt64) throws(FeedError) -> UInt64 {
    guard mark > 0 else { return 0 }
    if let offset = locations.mark(mark) { return offset }
    var offset: UInt64 = 0
    for index in FlatTree.fullRoots(length: mark << 6) {
      offset = try sum(offset, try node(at: index).size, at: index)
    }
    locations.keepMark(mark, at: offset, length: length)
    return offset
  }

  private func sum(_ left: UInt64, _ right: UInt64, at index: UInt64) throws(FeedError) -> UInt64 {
    // Both are below 2^53.
    let total = left + right
    guard total <= FeedLimits.maximumByteLength else {
      throw .damaged("The sizes in \(tree.file.name) add up to more than a feed can hold.")
    }
    return total
  }

  /// The full roots of a length up to that of this feed.
  func roots(of length: UInt64) throws(FeedError) -> [Node] {
    if length == self.length { return roots }
    var roots: [Node] = []
    for index in FlatTree.fullRoots(length: length) { roots.append(try node(at: index)) }
    return roots
  }

  // MARK: Signatures

  /// The roots of the feed as it was when `block` was its last block.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `rootHashes`.
  package func rootHashes(at block: UInt64) throws(FeedError) -> [Node] {
    guard block < length else {
      throw .outOfBounds("There is no block \(block): the feed has \(length).")
    }
    return try roots(of: block + 1)
  }

  /// The first stored signature that covers `block`, and the last block that it signs.
  ///
  /// The signature is not verified here: a feed that was overwritten may have left it. Nil if none is stored.
  package func signature(covering block: UInt64) throws(FeedError) -> (
    index: UInt64, signature: Signature
  )? {
    guard block < length else {
      throw .outOfBounds("No signature for block \(block): the feed has \(length).")
    }
    if !batch.isWritten { try writeBatch() }
    guard let found = try signatures.next(from: block, before: length) else { return nil }
    return (found.slot, found.signature)
  }

  /// Returns whether `signature` is the key's over the feed as it was when `block` was its last block.
  package func verify(_ signature: Signature, at block: UInt64) throws(FeedError) -> Bool {
    guard let key else { return false }
    return key.verifies(signature, of: TreeHash.tree(try rootHashes(at: block)))
  }
}
