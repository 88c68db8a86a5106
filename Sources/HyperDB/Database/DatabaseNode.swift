public import HypercoreCrypto

/// One entry of a database: one write of one writer under one key.
public struct DatabaseNode: Sendable, Hashable {
  /// The key as bytes. Keys need not be text, and are compared byte by byte.
  ///
  /// It names the same key in any call. Since calls drop one leading slash, a key that is stored with
  /// one has one more here.
  ///
  /// - Complexity: a copy of the bytes.
  public var keyBytes: [UInt8] { EntryKey.shown(entry.node.key) }
  /// The stored value; nil for deletes, authorizations, and a `null` in JSON.
  ///
  /// - Complexity: a copy of the bytes.
  public var value: [UInt8]? {
    switch shown {
    case .own: entry.node.value
    case .other(let value): value
    }
  }
  /// True if the entry deletes the key.
  public var isDeleted: Bool { entry.node.isDeleted }
  /// The feed of its writer.
  public var feed: PublicKey { feeds[entry.node.feed] }
  /// The block of that feed.
  public var seq: UInt64 { UInt64(entry.node.seq) }

  /// True if its writer was authorized when this was read. What any other writer writes, such as a clone
  /// that is not authorized yet, stays in the replica where it was written.
  public let isFromAuthorizedWriter: Bool

  private let entry: SharedEntry
  private let shown: Value

  /// The value of a node.
  enum Value {
    /// That of the entry.
    case own
    /// Another one: one that is kept apart, or what a transform made of it.
    case other([UInt8]?)
  }

  /// The number of ``feed`` in ``feeds``.
  package var feedNumber: Int { entry.node.feed }
  /// By the number of a feed, the count of its blocks that the writer knew.
  package var rawClock: [UInt64] { entry.node.clock }
  /// The feeds by number, at the time of the read.
  package let feeds: [PublicKey]

  /// The key as text. It names the key only if ``keyBytes`` are UTF-8.
  public var key: String {
    entry.node.withKey { bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      return bytes.first == UInt8(ascii: "/") ? "/" + text : text
    }
  }

  /// Passes the bytes of the stored key and of the value to `body`, without a copy. A stored key that has a
  /// leading slash has one less than ``keyBytes``.
  package func withContent<Result>(
    _ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>?) throws -> Result
  ) rethrows -> Result {
    try entry.node.withKey { key in
      switch shown {
      case .own: try entry.node.withValue { try body(key, $0) }
      case .other(nil): try body(key, nil)
      case .other(.some(let value)): try value.withUnsafeBufferPointer { try body(key, $0) }
      }
    }
  }

  /// The writer's knowledge when it wrote this: by feed, the count of its blocks, header included.
  public var clock: [PublicKey: UInt64] {
    var clock: [PublicKey: UInt64] = [:]
    for number in 0..<min(entry.node.clockCount, feeds.count) {
      let value = entry.node.clock(of: number)
      if value > 0 { clock[feeds[number]] = value }
    }
    return clock
  }

  /// Returns whether the writer of this entry knew `other`.
  public func covers(_ other: DatabaseNode) -> Bool {
    guard let number = feeds.firstIndex(of: other.feed) else { return false }
    return entry.node.clock(of: number) > other.seq
  }

  /// - Parameter feeds: the feeds by number, that of the entry among them.
  init(_ node: EntryNode, _ value: Value, feeds: [PublicKey], isAuthorized: Bool) {
    entry = SharedEntry(node: node)
    shown = value
    isFromAuthorizedWriter = isAuthorized
    self.feeds = feeds
  }

  /// Returns the same node with another value, for a ``NodeTransform``.
  public func with(value: [UInt8]?) -> DatabaseNode {
    DatabaseNode(
      entry.node, .other(value), feeds: feeds, isAuthorized: isFromAuthorizedWriter)
  }

  public static func == (one: Self, other: Self) -> Bool {
    one.feed == other.feed && one.seq == other.seq && one.entry.node.hasKey(of: other.entry.node)
      && one.value == other.value && one.isDeleted == other.isDeleted
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(feed)
    hasher.combine(seq)
  }
}

/// An entry as nodes share it with the database, on any thread.
///
/// Unchecked, with this proof: nothing of an entry changes after it is made but its path, and nodes never
/// ask for that.
private struct SharedEntry: @unchecked Sendable {
  let node: EntryNode
}
