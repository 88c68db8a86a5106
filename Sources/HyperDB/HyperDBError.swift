/// Why a database refused or failed. Programs read ``code``; people read ``reason``.
public struct HyperDBError: Error, Sendable, CustomStringConvertible {
  /// What kind of refusal or failure it was.
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
    /// The feed is no hyperdb: its first block is not the header. Those of before May 2018 are named.
    case notADatabase
    /// A walk through the entries took more steps than sound entries can need.
    case tooManySteps
    /// The write hook, ``HyperDBOptions/onWrite``, said no; ``HyperDBError/cause`` is what it threw.
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

  /// What kind it was.
  public let code: Code
  /// A sentence for people: what, where, and what to do where something can be done.
  public let reason: String
  /// The number of the feed it was about, in this open database's list.
  public let feed: Int?
  /// The block of that feed it was about.
  public let seq: Int?
  /// The error of a lower layer, where one led here.
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

/// The sizes that a database keeps to, each with its reason.
public enum HyperDBLimits {
  /// Bytes in a key that is written here: keys of any length up to a block are read, but each
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
  /// Feeds besides the owner's that have a place in a database: one number is left for a local feed that
  /// is not let in.
  public static let places = feeds - 2
  /// Keys in one's own list that were let in and of whose feeds no block has come: some 2 KiB of each
  /// list. An open room lets in whoever asks.
  static let unprovenNewcomers = 64
  /// Feeds without a place that are remembered, for the day that they have one.
  static let waitingFeeds = 512
  /// Keys in a list that is read, and values in a clock. A sound list has at most ``feeds`` that exist,
  /// and those of the reference repeat all keys that their writer has met, which may be nobody's.
  static let listedKeys = 4096
  /// Bytes kept by one database: decoded entries, about 100,000 of them, and an index of their paths,
  /// which takes at most half.
  public static let cacheBytes = 64 * 1024 * 1024
  /// Pointers that one lookup or one put may follow. The deepest sound lookup, 64 segments of 32
  /// levels for each of 255 heads, needs half of it even where every level leads on.
  public static let lookupSteps = 1_000_000
  /// Bytes of an entry that has to be read for one step, as a power of two: what is not at hand takes
  /// its time.
  static let stepShift = 8
  /// Steps that one put may take to merge what others wrote: a pointer looked at is a step, and so are
  /// 32 bytes of an entry that has to be read. It takes some 5 ms, and a put that leaves out what is too
  /// costly takes up to four times as many. A sound put in a database of 100 writers takes some 5,000.
  public static let mergeSteps = 100_000
  /// See ``mergeSteps``: a power of two.
  static let mergeStepShift = 5
  /// Bytes of a trie that is made of several heads as it comes; of larger ones each head has its share.
  /// It is half of ``trieBytes``, so that the next entry has room for what the last one points to.
  static let mergedTrieBytes = 32_768
  /// Segments of a key that is read: the path of one takes 8 bytes for each. Sound keys have a
  /// few.
  public static let readSegments = 1 << 18
  /// Bytes of a trie that is read: more have no room in the reference.
  public static let readTrieBytes = 512 * 1024
  /// Steps that the comparison of a head with what it claims to know may take, and all claims of one
  /// writer within one read or write. A step is a pointer or 32 bytes that are read; it takes some 5 ms.
  public static let headSteps = 100_000
  /// Pairs of entries that are compared to see whether a head leads to what it claims to know.
  public static let headComparisons = 256
  /// Steps to the next result of a list: this many, and as many again as `listStepsPerEntry` for
  /// each entry of the database, so that a long run of deleted keys is no error.
  public static let listSteps = 1_000_000
  /// See ``listSteps``.
  public static let listStepsPerEntry = 64
  /// Entries of one feed that count for that, whatever length it is signed to have.
  static let countedEntries = 1 << 24
  /// Quarantined entries that are remembered one by one; more are only counted.
  public static let rememberedIssues = 1024
}

/// An algorithm met a block that is not stored here. Whoever runs it waits for that block and runs
/// it again: what was decoded until then is cached.
package struct MissingBlock: Error, Hashable {
  package let feed: Int
  package let seq: Int

  package init(feed: Int, seq: Int) {
    self.feed = feed
    self.seq = seq
  }
}
