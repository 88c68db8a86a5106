public import HypercoreCrypto

/// One entry of a database: what one writer wrote under one key at one time.
public struct DatabaseNode: Sendable, Hashable {
  /// The key as bytes. Keys need not be text, and are compared byte by byte.
  ///
  /// Handed to any call it names the same key: as one leading slash is dropped there, a key that is
  /// stored with one has one more here.
  public let keyBytes: [UInt8]
  /// What was stored; nil for deletes, authorizations, and a `null` in JSON.
  public let value: [UInt8]?
  /// Whether the entry deletes the key.
  public let isDeleted: Bool
  /// Who wrote it.
  public let feed: PublicKey
  /// The block of that feed it is in.
  public let seq: UInt64

  /// Whether its writer was one of the database's when this was read. What any other writer writes,
  /// such as a clone that was not authorized yet, stays where it was written.
  public let isFromAuthorizedWriter: Bool

  /// The number of ``feed`` in ``feeds``.
  package let feedNumber: Int
  /// By the number of a feed, how many of its blocks the writer knew.
  package let rawClock: [UInt64]
  /// The feeds by number, as they were when this was read.
  package let feeds: [PublicKey]

  /// The key as text, which names it only where ``keyBytes`` are UTF-8.
  public var key: String { String(decoding: keyBytes, as: UTF8.self) }

  /// What the writer knew when it wrote this: by feed, how many of its blocks, header included.
  public var clock: [PublicKey: UInt64] {
    var clock: [PublicKey: UInt64] = [:]
    for (number, value) in rawClock.enumerated() where value > 0 && number < feeds.count {
      clock[feeds[number]] = value
    }
    return clock
  }

  /// Whether the writer of this entry knew `other`.
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

  /// The same node with another value, for a ``NodeTransform``.
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
