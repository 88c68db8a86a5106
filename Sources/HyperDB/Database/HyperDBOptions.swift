public import Hypercore
public import HypercoreCrypto

extension HyperDB {
  /// The options of a database. Each stands for the hyperdb option of a similar name.
  public struct Options: Sendable {
    /// True if only the blocks that a read or a write needs are downloaded, and the newest of each feed.
    public var sparse = false
    /// True if each writer has a second feed, for large content: see ``HyperDB/contentFeed(of:)``.
    public var contentFeed = false
    /// True if content feeds are downloaded only as far as they are asked for; nil for the value of ``sparse``.
    public var sparseContent: Bool?
    /// The transform of nodes on their way out, unless a call has its own.
    public var transform = NodeTransform.unchanged
    /// Called before any block but a header is stored, whether written here or downloaded. If it throws, the
    /// write fails, or the connection that brought the block ends, and the block is not stored.
    ///
    /// It runs on the database's executor, so it should be quick.
    ///
    /// Stands for the option `onwrite`.
    public var onWrite: (@Sendable (ProposedEntry) throws -> Void)?
    /// True if reads of a clone that has nothing yet wait for a first peer, unless a call has its own option.
    public var update = true
    /// The longest wait for peers, unless a call has its own; nil for no limit.
    public var timeout: Duration?
    /// The point at which a write counts as done.
    public var durability = Durability.buffered
    /// The limits on the disk space of what peers bring: for each writer, and for all together.
    public var disk = DiskLimits()
    /// Notified when the download of a writer's feed is paused, and, with nil, when it resumes. It runs on the
    /// database's executor, so it should be quick.
    public var onPause: (@Sendable (PublicKey, DownloadPause?) -> Void)?
    /// Notified once if the key turns out to be that of something else: an archive, or a feed of its own.
    public var onRefusal: (@Sendable (HyperDBError) -> Void)?
    /// The memory for decoded entries and the index of their paths, in bytes.
    public var cacheBytes = HyperDBLimits.cacheBytes
    /// True to store the secret keys of ``keyPair`` and ``localKeyPair`` beside their feeds. If false, give the
    /// pairs again whenever the database is to be written: a new database without a ``keyPair`` is refused then,
    /// and a clone without a ``localKeyPair`` gets no feed of its own.
    public var storeSecretKey = true
    /// The key pair of a new database; nil for a fresh one.
    public var keyPair: KeyPair?
    /// The key pair of a clone's own feed; nil for the stored one or a fresh one.
    public var localKeyPair: KeyPair?
    /// True if the key pair of a feed that is written here, without any stored block, is known to be new: one
    /// that was given, or one whose blocks are lost. Otherwise writing throws `FeedError` with `restoring` until
    /// a peer has proven how long the feed is. A fresh key pair is always new.
    public var isNew = false
    /// Feeds to be numbered in this order, to replay what another replica recorded.
    package var feedOrder: [PublicKey] = []
    /// Facts about feeds that were kept earlier, by key; see `KnownFeed`. Those that don't hold are ignored.
    package var knownFeeds: [PublicKey: KnownFeed] = [:]
    /// True if a follower reads every entry anyway. Then opening looks only at the newest entry of each feed, and
    /// feeds that earlier lists name become known when the follower reaches those lists.
    package var readsAllEntries = false
    /// True if the first block is checked before anything else is fetched. A recorded peer answers in the
    /// order of its recording, and can't be asked that way.
    package var looksFirst = true
    /// True to write as hyperdb does: heads are trusted in what they claim to know, and every key that was
    /// named is named again. For tests of what other replicas make of it.
    package var writesAsReference = false
    /// Makes the generator that chooses the next blocks to request.
    package var makeRandom: @Sendable () -> any RandomNumberGenerator = {
      SystemRandomNumberGenerator()
    }

    /// The defaults.
    public init() {}
  }
}

/// The earlier name of ``HyperDB/Options``
public typealias HyperDBOptions = HyperDB.Options

/// A block that is about to be stored.
public struct ProposedEntry: Sendable {
  /// The feed that it belongs to.
  public let feed: PublicKey
  /// Its index in that feed.
  public let seq: UInt64
  /// The whole block.
  public let block: [UInt8]
  /// The entry's key; nil if the block is not an entry. Such a block is stored, but later left out.
  public let keyBytes: [UInt8]?
  /// The entry's value.
  public let value: [UInt8]?
  /// True if the entry deletes the key.
  public let isDeleted: Bool
  /// True if it is written here; otherwise a peer brought it.
  public let isLocal: Bool
  /// The ID that this peer announced, which nothing proves; nil if it announced none.
  public let peer: [UInt8]?

  /// The key as text.
  public var key: String? { keyBytes.map { String(decoding: $0, as: UTF8.self) } }
}
