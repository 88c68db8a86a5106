/// Where a byte of a feed is.
public struct BytePosition: Hashable, Sendable {
  /// The block that holds it.
  public let block: UInt64
  /// How many bytes of that block come before it.
  public let offset: UInt64
}

/// What an audit found.
public struct AuditReport: Hashable, Sendable {
  /// How many stored blocks match their hashes.
  public let valid: UInt64
  /// Which did not, or are not there, ascending; they don't count as stored while the feed is open.
  public let invalidRanges: [Range<UInt64>]

  /// How many did not.
  public var invalid: UInt64 { invalidRanges.reduce(0) { $0 + UInt64($1.count) } }
}

extension FeedCore {
  /// The block that a byte is in, where that can be told from what is known here.
  func position(ofByte byte: UInt64) -> BytePosition? {
    guard case .found(let block, let offset)? = try? seek(toByte: byte) else { return nil }
    return BytePosition(block: block, offset: offset)
  }

  /// The blocks in one of which a byte must be, as far as that is known: to ask peers about.
  func seekSpan(_ byte: UInt64, in range: Range<UInt64>?, length: UInt64) -> Range<UInt64> {
    var span = 0..<max(length, self.length)
    if case .unknown(let blocks)? = try? seek(toByte: byte) { span = blocks }
    if let range, range.overlaps(span) { span = range.clamped(to: span) }
    return span
  }
}
