/// The location of an entry: the number of its feed in this open database's list, and its block.
package struct FeedSequence: Hashable, CustomStringConvertible {
  /// The feed in the top 8 bits, the block in the rest. Both are checked before this is made.
  let raw: UInt64

  private static let seqBits: UInt64 = 56
  /// The bits of the block in ``raw``.
  static let seqMask: UInt64 = 1 << seqBits - 1

  /// - Parameters:
  ///   - feed: 0 to 255.
  ///   - seq: 0 to 2^53 - 1.
  package init(feed: Int, seq: Int) {
    raw = UInt64(truncatingIfNeeded: feed) << Self.seqBits | UInt64(truncatingIfNeeded: seq)
  }

  init(raw: UInt64) { self.raw = raw }

  package var feed: Int { Int(truncatingIfNeeded: raw >> Self.seqBits) }
  package var seq: Int { Int(truncatingIfNeeded: raw & Self.seqMask) }

  package var description: String { "\(feed)/\(seq)" }
}
