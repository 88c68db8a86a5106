/// The position of a byte in a feed.
public struct BytePosition: Hashable, Sendable {
  /// The block that holds it.
  public let block: UInt64
  /// The number of bytes of that block that come before it.
  public let offset: UInt64
}

/// The result of an audit.
public struct AuditReport: Hashable, Sendable {
  /// The number of stored blocks that match their hashes.
  public let valid: UInt64
  /// The blocks that don't match, or are missing, ascending. They don't count as stored while the
  /// feed is open.
  public let invalidRanges: [Range<UInt64>]

  /// The number of blocks that don't match, or are missing.
  public var invalid: UInt64 { invalidRanges.reduce(0) { $0 + UInt64($1.count) } }
}

extension FeedCore {
  /// The block that holds a byte; nil if what is known here doesn't say.
  func position(ofByte byte: UInt64) -> BytePosition? {
    guard case .found(let block, let offset)? = try? seek(toByte: byte) else { return nil }
    return BytePosition(block: block, offset: offset)
  }

  /// The blocks among which a byte must be, as far as that is known. Peers are asked about these.
  func seekSpan(_ byte: UInt64, in range: Range<UInt64>?, length: UInt64) -> Range<UInt64> {
    var span = 0..<max(length, self.length)
    if case .unknown(let blocks)? = try? seek(toByte: byte) { span = blocks }
    if let range, range.overlaps(span) { span = range.clamped(to: span) }
    return span
  }
}
