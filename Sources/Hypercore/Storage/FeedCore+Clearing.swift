internal import HypercoreCrypto
internal import RandomAccessStorage

extension FeedCore {
  /// Removes blocks: they are no longer stored, but their hashes still are.
  ///
  /// - Parameter keepingBytes: true if the bytes stay where they are, as in a file that belongs to the user.
  /// - Returns: true if any of them was stored.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `clear`. Fixture: `feeds/cleared`.
  @discardableResult
  package func clear(
    _ range: Range<UInt64>, keepingBytes: Bool = false
  ) throws(FeedError) -> Bool {
    try checkStorable()
    try commitBatch()
    let range = range.clamped(to: 0..<bits.dataLimit)
    // Blocks that are cleared are not missing.
    if bits.hasAside, bits.forgetAside(range) {
      try writing { () throws(FeedError) in try bits.flush() }
    }
    guard let first = bits.nextStored(from: range.lowerBound, below: range.upperBound),
      let last = bits.lastStored(below: range.upperBound)
    else { return false }
    let start = try byteOffset(of: first)
    let end = try byteOffset(of: last) + node(at: 2 * last).size
    try writing { () throws(FeedError) in
      bits.setBlocks(first..<(last + 1), to: false)
      // The bitfield comes first: a block that is marked as stored has to be there.
      try bits.flush()
      if durability == .synced { try bringToDisk(files.bitfield) }
      if end > start, !keepingBytes { try files.data.delete(at: start, count: end - start) }
    }
    onChange?(.cleared(range))
    return true
  }

  /// The blocks all of whose bytes lie in a range of the feed's bytes. Blocks whose sizes are not known here
  /// are not stored either, and are left out.
  ///
  /// - Complexity: two searches down the tree.
  func blocks(inBytes bytes: Range<UInt64>) throws(FeedError) -> Range<UInt64> {
    guard bytes.lowerBound < min(bytes.upperBound, byteLength) else { return length..<length }
    let first: UInt64
    switch try seek(toByte: bytes.lowerBound) {
    case .found(let block, let offset): first = offset == 0 ? block : block + 1
    case .unknown(let blocks): first = blocks.upperBound
    }
    guard bytes.upperBound < byteLength else { return min(first, length)..<length }
    let end: UInt64
    switch try seek(toByte: bytes.upperBound) {
    case .found(let block, _): end = block
    case .unknown(let blocks): end = blocks.lowerBound
    }
    return first..<max(first, end)
  }

  /// Compares every stored block with its hash. Blocks that don't match count as not stored from then on, so
  /// that peers can bring them; the record of them stays as it is.
  ///
  /// - Complexity: reads all of `data`.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `audit`.
  package func audit() throws(FeedError) -> (valid: UInt64, invalid: UInt64) {
    let (valid, bad) = try auditStored()
    return (valid, Words.count(bad))
  }

  /// Like ``audit()``, but returns all blocks that are recorded as stored and are missing or don't match,
  /// including those that were set aside before.
  func auditRanges() throws(FeedError) -> (valid: UInt64, invalid: [Range<UInt64>]) {
    let valid = try auditStored().valid
    return (valid, blocksAside)
  }

  private func auditStored() throws(FeedError) -> (valid: UInt64, invalid: [Range<UInt64>]) {
    try checkOpen()
    if access == .readWrite, failure == nil { try commitBatch() }
    var valid: UInt64 = 0
    var bad: [Range<UInt64>] = []
    var next: UInt64 = 0
    while let block = bits.nextStored(from: next, below: bits.dataLimit) {
      next = block + 1
      if try isIntact(block) { valid += 1 } else { bad.appendBlock(block) }
    }
    for range in bad { setAside(range) }
    return (valid, bad)
  }

  /// Returns whether the bytes in a block's place match the hash of its leaf.
  func isIntact(_ index: UInt64) throws(FeedError) -> Bool {
    guard let leaf = try knownNode(2 * index), let bytes = try bytesInPlace(of: index) else {
      return false
    }
    return TreeHash.leaf(bytes) == leaf.hash
  }
}
