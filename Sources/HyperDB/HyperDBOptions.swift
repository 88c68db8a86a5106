public import Hypercore
public import HypercoreCrypto

/// How a database is opened. Each stands for the option of hyperdb of about that name.
public struct HyperDBOptions: Sendable {
  /// Whether only blocks that a read or a write needs are downloaded, and the newest of each feed.
  public var sparse = false
  /// Whether each writer has a second feed, for large content: see ``HyperDB/contentFeed(of:)``.
  public var contentFeed = false
  /// Whether only blocks that are asked for are downloaded of content feeds; nil for as ``sparse``.
  public var sparseContent: Bool?
  /// What is done to nodes on their way out, unless a call says otherwise.
  public var transform = NodeTransform.unchanged
  /// Asked before any block but a header is stored, written here or downloaded. What it throws ends
  /// the write, or the connection that brought the block, and the block is not stored.
  ///
  /// It runs on the database's executor: it should be quick.
  ///
  /// Stands for the option `onwrite`.
  public var onWrite: (@Sendable (ProposedEntry) throws -> Void)?
  /// Whether reads of a clone that has nothing yet wait for a first peer, unless a call says otherwise.
  public var update = true
  /// How long calls wait for peers, unless a call says otherwise; nil for ever.
  public var timeout: Duration?
  /// When a write counts as done.
  public var durability = Durability.buffered
  /// How much of the disk may be taken by what peers bring: by each writer, and by all together.
  public var disk = DiskLimits()
  /// Notified when nothing more is fetched of a writer's feed for the time being, and, with nil, when fetching goes
  /// on. It runs on the database's executor: it should be quick.
  public var onPause: (@Sendable (PublicKey, DownloadPause?) -> Void)?
  /// Notified once if the key turns out to be that of something else: an archive, or a feed of its own.
  public var onRefusal: (@Sendable (HyperDBError) -> Void)?
  /// How much memory decoded entries and the index of their paths may take, in bytes.
  public var cacheBytes = HyperDBLimits.cacheBytes
  /// The key pair of a new database; nil for a fresh one.
  public var keyPair: KeyPair?
  /// The key pair of a clone's own feed; nil for the stored one or a fresh one.
  public var localKeyPair: KeyPair?
  /// Feeds to be numbered in this order, to repeat what another replica recorded.
  package var feedOrder: [PublicKey] = []
  /// What was kept of feeds at an earlier time, by key; see `KnownFeed`. What doesn't hold is ignored.
  package var knownFeeds: [PublicKey: KnownFeed] = [:]
  /// Whether a follower reads every entry anyway: then opening looks only at the newest of each feed, and
  /// feeds that earlier lists name are known when the follower has come to them.
  package var readsAllEntries = false
  /// Whether the first block is looked at before anything else is fetched. A recorded peer answers in the order of
  /// its recording and can't be asked so.
  package var looksFirst = true
  /// Whether to write as hyperdb does: heads are believed what they claim to know, and every key that was
  /// named is named again. For tests of what others make of it.
  package var writesAsReference = false
  /// Makes the generator by which blocks are chosen to be asked for.
  package var makeRandom: @Sendable () -> any RandomNumberGenerator = {
    SystemRandomNumberGenerator()
  }

  /// The defaults.
  public init() {}
}

/// A block that is about to be stored.
public struct ProposedEntry: Sendable {
  /// The feed that it belongs to.
  public let feed: PublicKey
  /// Its place in that feed.
  public let seq: UInt64
  /// The whole block.
  public let block: [UInt8]
  /// The entry's key; nil where the block is no entry. Such a block is stored and then left out.
  public let keyBytes: [UInt8]?
  /// The entry's value.
  public let value: [UInt8]?
  /// Whether the entry deletes the key.
  public let isDeleted: Bool
  /// Whether it is written here; otherwise a peer brought it.
  public let isLocal: Bool
  /// What that peer calls itself, proven by nothing; nil where it said nothing.
  public let peer: [UInt8]?

  /// The key as text.
  public var key: String? { keyBytes.map { String(decoding: $0, as: UTF8.self) } }
}
