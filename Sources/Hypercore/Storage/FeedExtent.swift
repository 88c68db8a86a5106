internal import HypercoreCrypto

/// The length of a feed, and the roots that prove it.
struct FeedExtent {
  /// True if the feed is signed; the key of a static feed is its tree hash.
  private(set) var isLive: Bool
  /// The number of blocks that the feed is known to have, stored here or not.
  private(set) var length: UInt64 = 0
  /// The total size of these blocks in bytes.
  private(set) var byteLength: UInt64 = 0
  /// The full roots of ``length``, ascending.
  private(set) var roots: [Node] = []

  init(isLive: Bool) { self.isLive = isLive }

  /// Extends the feed by blocks that are verified, or signed here.
  mutating func grow(to length: UInt64, byteLength: UInt64, roots: [Node]) {
    assert(length >= self.length)
    set(length, byteLength, roots)
  }

  /// Takes over what opening found.
  mutating func adopt(length: UInt64, roots: [Node]) {
    set(length, roots.reduce(0) { $0 + $1.size }, roots)
  }

  private mutating func set(_ length: UInt64, _ byteLength: UInt64, _ roots: [Node]) {
    assert(roots.count == length.nonzeroBitCount, "one root for each bit of the length")
    self.length = length
    self.byteLength = byteLength
    self.roots = roots
  }

  /// Records whether the roots are signed.
  mutating func setLive(_ isLive: Bool) { self.isLive = isLive }
}
