internal import HypercoreCrypto
internal import RandomAccessStorage

extension FeedCore {
  /// Gives up blocks: they are not stored any more, though their hashes still are.
  ///
  /// - Parameter keepingBytes: whether the bytes stay where they are, as in a file that is its user's.
  /// - Returns: whether any of them was stored.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `clear`. Fixture: `feeds/cleared`.
  @discardableResult
  package func clear(
    _ range: Range<UInt64>, keepingBytes: Bool = false
  ) throws(FeedError) -> Bool {
    try checkStorable()
    try commitBatch()
    let range = range.clamped(to: 0..<bits.dataLimit)
    // What was given up is not missing.
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
      // First: what is marked as stored has to be there.
      try bits.flush()
      if durability == .synced { try bringToDisk(files.bitfield) }
      if end > start, !keepingBytes { try files.data.delete(at: start, count: end - start) }
    }
    onChange?(.cleared(range))
    return true
  }

  /// Compares every block that is stored with its hash. Those that are not what was verified count as not
  /// stored from then on, so that peers can bring them; the record of them stays as it is.
  ///
  /// - Complexity: reads all of `data`.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `audit`.
  package func audit() throws(FeedError) -> (valid: UInt64, invalid: UInt64) {
    let (valid, bad) = try auditStored()
    return (valid, Words.count(bad))
  }

  /// The same, with all blocks that are recorded as stored and are not there as they should be, those included
  /// that were set aside before.
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

  /// Whether the bytes in a block's place hash to its leaf.
  func isIntact(_ index: UInt64) throws(FeedError) -> Bool {
    guard let leaf = try knownNode(2 * index), let bytes = try bytesInPlace(of: index) else {
      return false
    }
    return TreeHash.leaf(bytes) == leaf.hash
  }
}
