/// The error of a database. Programs read ``code``; people read ``reason``.
public struct HyperDBError: Error, Sendable, CustomStringConvertible {
  /// A kind of refusal or failure.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// A key over ``HyperDBLimits/keyBytes`` or ``HyperDBLimits/keySegments``. Nothing was written.
    case keyTooLong
    /// A key without any name in it: `` or `/`. Nothing was written.
    case emptyKey
    /// The entry would not fit a block that peers accept. Nothing was written.
    case entryTooLarge
    /// This replica has no feed of its own to write to. Nothing was written.
    case notWritable
    /// Writing to a checkout, a snapshot or a database opened for reading. Nothing was written.
    case readOnly
    /// Clearing blocks of a database that isn't sparse. Nothing was cleared.
    case notSparse
    /// Clearing blocks of the feed that is written here. Nothing was cleared.
    case ownFeed
    /// A feed key that is not 32 bytes. Nothing was written.
    case invalidKey
    /// The database has as many feeds as it can have.
    case tooManyFeeds
    /// A version that is cut short, or names a feed or an entry that is not in this database.
    case invalidVersion
    /// A writer's entry can't be read; it is left out and the rest goes on.
    case malformedEntry
    /// An entry counts or points to feeds that its writer's list doesn't have.
    case missingFeedMappings
    /// An entry names a list of feeds that is not there.
    case malformedFeedList
    /// The feed is not a hyperdb: its first block is not the header. The message names those of before May 2018.
    case notADatabase
    /// A walk through the entries took more steps than correct entries can need.
    case tooManySteps
    /// The write hook, ``HyperDB/Options/onWrite``, refused; ``HyperDBError/cause`` is what it threw.
    /// Nothing was written.
    case refused
    /// A block that was needed did not arrive in time.
    case timedOut
    /// The database is closed.
    case closed
    /// A value could not be encoded or decoded; ``HyperDBError/cause`` is the codec's error.
    case value
    /// A feed or its storage failed; ``HyperDBError/cause`` is its error.
    case feed
  }

  /// Its kind.
  public let code: Code
  /// A sentence for people: the fault, its location, and the next step if there is one.
  public let reason: String
  /// The number of the feed in question, in this open database's list.
  public let feed: Int?
  /// The block in question of that feed.
  public let seq: Int?
  /// The underlying error of a lower layer, if there is one.
  public let cause: (any Error)?

  /// An error of a given kind.
  public init(
    _ code: Code, _ reason: String, feed: Int? = nil, seq: Int? = nil, cause: (any Error)? = nil
  ) {
    self.code = code
    self.reason = reason
    self.feed = feed
    self.seq = seq
    self.cause = cause
  }

  /// The reason.
  public var description: String { reason }
}

/// The limits that a database keeps to, each with its reason.
public enum HyperDBLimits {
  /// Bytes in a key that is written here. Keys of any length up to a block are read, but each
  /// segment costs 32 levels of every walk (`DEP-0004` warns of it).
  public static let keyBytes = 4096
  /// Segments between slashes in a key that is written here, for the same reason.
  public static let keySegments = 64
  /// Bytes of a trie that is written here: the reference may cut a longer one silently.
  public static let trieBytes = 65_536
  /// Bytes of an entry that is written here: with its proof it has to fit a frame of 8 MiB.
  public static let entryBytes = 8 * 1024 * 1024 - 65_536
  /// Feeds in one database, and in one writer's list: the wire has room for 256 channels.
  public static let feeds = 255
  /// Feeds besides the owner's that have a place in a database: one number is reserved for a local feed that
  /// is not authorized.
  public static let places = feeds - 2
  /// Keys in the local list that were let in and of whose feeds no block has come: some 2 KiB of each
  /// list. An open room lets in anyone who asks.
  static let unprovenNewcomers = 64
  /// Feeds without a place that are remembered until they may get one.
  static let waitingFeeds = 512
  /// Keys in a list that is read, and values in a clock. A correct list has at most ``feeds`` that exist.
  /// The reference's lists repeat all keys that their writer has met, and some of those have no feed.
  static let listedKeys = 4096
  /// Bytes that one database caches: decoded entries, about 180,000 of them, and an index of their paths,
  /// which takes at most half.
  public static let cacheBytes = 64 * 1024 * 1024
  /// Pointers that one lookup or one put may follow. The deepest lookup of a correct key, 64 segments of 32
  /// levels for each of 255 heads, needs half of it even if every level leads on.
  public static let lookupSteps = 1_000_000
  /// Bytes of an entry that count as one step if they have to be read, as a power of two: reading takes
  /// time.
  static let stepShift = 8
  /// Steps that one put may take to merge what others wrote. A pointer looked at is a step, and so are
  /// 32 bytes of an entry that has to be read. They take some 5 ms, and a put that leaves out what is too
  /// costly takes up to four times as many. A usual put in a database of 100 writers takes some 5,000.
  public static let mergeSteps = 100_000
  /// See ``mergeSteps``: a power of two.
  static let mergeStepShift = 5
  /// Bytes of a trie that is merged of several heads at once; beyond it each head has its share.
  /// It is half of ``trieBytes``, so that the next entry has room for what the last one points to.
  static let mergedTrieBytes = 32_768
  /// Segments of a key that is read: its path takes 8 bytes for each. Usual keys have a
  /// few.
  public static let readSegments = 1 << 18
  /// Bytes of a trie that is read: the reference has no room for more.
  public static let readTrieBytes = 512 * 1024
  /// Steps to compare a head with what it claims to know, and steps for all claims of one writer within one
  /// read or write. A step is a pointer or 32 bytes that are read; all of them take some 5 ms.
  public static let headSteps = 100_000
  /// Pairs of entries that are compared to find out whether a head leads to what it claims to know.
  public static let headComparisons = 256
  /// Steps to the next result of a list: this many, and `listStepsPerEntry` more for each entry of the
  /// database, so that a long run of deleted keys is not an error.
  public static let listSteps = 1_000_000
  /// See ``listSteps``.
  public static let listStepsPerEntry = 64
  /// Entries of one feed that count toward that, whatever length it is signed to have.
  static let countedEntries = 1 << 24
  /// Quarantined entries that are remembered one by one; more are only counted.
  public static let rememberedIssues = 1024
}

/// Thrown when an algorithm needs a block that is not stored here. The caller waits for that block and
/// runs it again: what was decoded until then is cached.
package struct MissingBlock: Error, Hashable {
  package let feed: Int
  package let seq: Int

  package init(feed: Int, seq: Int) {
    self.feed = feed
    self.seq = seq
  }
}
