public import HypercoreCrypto

/// One entry of a database: one write of one writer under one key.
public struct DatabaseNode: Sendable, Hashable {
  /// The key as bytes. Keys need not be text, and are compared byte by byte.
  ///
  /// It names the same key in any call. Since calls drop one leading slash, a key that is stored with
  /// one has one more here.
  public let keyBytes: [UInt8]
  /// The stored value; nil for deletes, authorizations, and a `null` in JSON.
  public let value: [UInt8]?
  /// True if the entry deletes the key.
  public let isDeleted: Bool
  /// The feed of its writer.
  public let feed: PublicKey
  /// The block of that feed.
  public let seq: UInt64

  /// True if its writer was authorized when this was read. What any other writer writes, such as a clone
  /// that is not authorized yet, stays in the replica where it was written.
  public let isFromAuthorizedWriter: Bool

  /// The number of ``feed`` in ``feeds``.
  package let feedNumber: Int
  /// By the number of a feed, the count of its blocks that the writer knew.
  package let rawClock: [UInt64]
  /// The feeds by number, at the time of the read.
  package let feeds: [PublicKey]

  /// The key as text. It names the key only if ``keyBytes`` are UTF-8.
  public var key: String { String(decoding: keyBytes, as: UTF8.self) }

  /// The writer's knowledge when it wrote this: by feed, the count of its blocks, header included.
  public var clock: [PublicKey: UInt64] {
    var clock: [PublicKey: UInt64] = [:]
    for (number, value) in rawClock.enumerated() where value > 0 && number < feeds.count {
      clock[feeds[number]] = value
    }
    return clock
  }

  /// Returns whether the writer of this entry knew `other`.
  public func covers(_ other: DatabaseNode) -> Bool {
    guard let number = feeds.firstIndex(of: other.feed), number < rawClock.count else {
      return false
    }
    return rawClock[number] > other.seq
  }

  init(_ node: EntryNode, value: [UInt8]?, feeds: [PublicKey], isAuthorized: Bool) {
    isFromAuthorizedWriter = isAuthorized
    keyBytes = EntryKey.shown(node.key)
    self.value = value
    isDeleted = node.isDeleted
    feedNumber = node.feed
    feed = feeds[node.feed]
    seq = UInt64(node.seq)
    rawClock = node.clock
    self.feeds = feeds
  }

  private init(_ node: DatabaseNode, value: [UInt8]?) {
    keyBytes = node.keyBytes
    self.value = value
    isDeleted = node.isDeleted
    feedNumber = node.feedNumber
    feed = node.feed
    seq = node.seq
    isFromAuthorizedWriter = node.isFromAuthorizedWriter
    rawClock = node.rawClock
    feeds = node.feeds
  }

  /// Returns the same node with another value, for a ``NodeTransform``.
  public func with(value: [UInt8]?) -> DatabaseNode { DatabaseNode(self, value: value) }

  public static func == (one: Self, other: Self) -> Bool {
    one.feed == other.feed && one.seq == other.seq && one.keyBytes == other.keyBytes
      && one.value == other.value && one.isDeleted == other.isDeleted
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(feed)
    hasher.combine(seq)
  }
}
