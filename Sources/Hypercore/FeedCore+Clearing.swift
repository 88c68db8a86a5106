internal import HypercoreCrypto
internal import RandomAccessStorage

extension FeedCore {
  /// Gives up blocks: they are not stored any more, though their hashes still are.
  ///
  /// - Returns: whether any of them was stored.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `clear`. Fixture: `feeds/cleared`.
  @discardableResult
  package func clear(_ range: Range<UInt64>) throws(FeedError) -> Bool {
    try checkStorable()
    try commitBatch()
    let range = range.clamped(to: 0..<bits.dataLimit)
    guard let first = bits.nextStored(from: range.lowerBound, below: range.upperBound),
      let last = bits.lastStored(below: range.upperBound)
    else { return false }
    let start = try byteOffset(of: first)
    let end = try byteOffset(of: last) + node(at: 2 * last).size
    try writing { () throws(FeedError) in
      bits.setBlocks(first..<(last + 1), to: false)
      // First: what is marked as stored has to be there.
      try bits.flush()
      if durability == .synced { try files.bitfield.sync() }
      if end > start { try files.data.delete(at: start, count: end - start) }
    }
    onChange?(.cleared(range))
    return true
  }

  /// Compares every block that is stored with its hash and forgets those that are not what was
  /// verified, so that they can be fetched again.
  ///
  /// - Complexity: reads all of `data`.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `audit`.
  package func audit() throws(FeedError) -> (valid: UInt64, invalid: UInt64) {
    let (valid, bad) = try auditRanges()
    return (valid, bad.reduce(0) { $0 + UInt64($1.count) })
  }

  /// The same, with the ranges of blocks that are forgotten.
  func auditRanges() throws(FeedError) -> (valid: UInt64, invalid: [Range<UInt64>]) {
    try checkOpen()
    if access == .readWrite, failure == nil { try commitBatch() }
    var valid: UInt64 = 0
    var bad: [Range<UInt64>] = []
    var next: UInt64 = 0
    while let block = bits.nextStored(from: next, below: bits.dataLimit) {
      next = block + 1
      if try isIntact(block) {
        valid += 1
      } else if let last = bad.last, last.upperBound == block {
        bad[bad.count - 1] = last.lowerBound..<next
      } else {
        bad.append(block..<next)
      }
    }
    for range in bad { bits.setBlocks(range, to: false) }
    if !bad.isEmpty, access == .readWrite, failure == nil {
      try writing { () throws(FeedError) in try bits.flush() }
      for range in bad { onChange?(.cleared(range)) }
    }
    return (valid, bad)
  }

  /// Whether a stored block hashes to its leaf.
  func isIntact(_ index: UInt64) throws(FeedError) -> Bool {
    guard let leaf = try knownNode(2 * index) else { return false }
    do {
      guard let bytes = try block(at: index) else { return false }
      return TreeHash.leaf(bytes) == leaf.hash
    } catch {
      if error.code == .storage { throw error }
      return false
    }
  }
}
