internal import Hypercore
package import HypercoreCrypto
package import RandomAccessStorage

/// A program's record of a feed that it has read: how far, and which blocks name other feeds. With it a
/// database opens without a look at every entry.
package struct KnownFeed: Sendable, Hashable {
  /// The number of blocks that were read, from the first on.
  package let length: UInt64
  /// The hash over the roots of that length; no other history has it.
  package let treeHash: Digest
  /// The blocks with lists of feeds, which have to be read again.
  package let lists: [UInt64]

  /// Notes the facts about a feed that was read.
  package init(length: UInt64, treeHash: Digest, lists: [UInt64]) {
    self.length = length
    self.treeHash = treeHash
    self.lists = lists
  }
}

extension HyperDB {
  /// Returns the facts to keep of a feed of which `length` blocks were read; nil if its tree doesn't have
  /// them, or if the feed is not stored without a gap.
  package func knownFeed(_ key: PublicKey, length: UInt64) -> KnownFeed? {
    guard let number = core.number(of: key), let feed = feedSet.logs[key]?.core,
      let hash = Self.treeHash(of: feed, length: length)
    else { return nil }
    let lists = core.namingLists(of: number).map { UInt64($0) }.filter { $0 < length }
    return KnownFeed(length: length, treeHash: hash, lists: lists)
  }

  /// Returns whether a feed still begins as it did when the facts were kept, whatever came after.
  package func holds(_ known: KnownFeed, of key: PublicKey) -> Bool {
    feedSet.logs[key].map { Self.holds(known, $0.core) } ?? false
  }

  static func holds(_ known: KnownFeed, _ feed: FeedCore) -> Bool {
    treeHash(of: feed, length: known.length) == known.treeHash
  }

  private static func treeHash(of feed: FeedCore, length: UInt64) -> Digest? {
    guard length > 0, length <= feed.length, feed.has(0..<length),
      let roots = try? feed.rootHashes(at: length - 1)
    else { return nil }
    return TreeHash.tree(roots)
  }

  /// Returns the key and value of an entry that was given out before, read from its block; nil if that is no
  /// longer here.
  package func content(
    of feed: PublicKey, at seq: UInt64
  ) -> (key: [UInt8], value: [UInt8]?, isDeleted: Bool)? {
    guard let number = core.number(of: feed) else { return nil }
    return try? core.content(at: FeedSequence(feed: number, seq: Int(clamping: seq)))
  }

  /// Releases the feeds' cached trees, up to 2.5 MB each, and other memory that is filled again on demand. So a walk through
  /// all feeds takes no more memory the more there are, and a host keeps little of a database that nobody uses.
  package func releaseCaches() {
    feedSet.releaseCaches()
    core.coder.codec.shed()
  }

  /// The storage of the database's files, for what a layer above keeps beside them.
  package nonisolated var storage: any StorageProvider { files }
}
