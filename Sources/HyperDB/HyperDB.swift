public import Hypercore
public import HypercoreCrypto
public import RandomAccessStorage

/// A hyperdb: a key-value database that several writers share without a server.
///
/// ```swift
/// let db = try await HyperDB.open(folder: "people")
/// try await db.put("ana/city", "Bogotá", as: .utf8)
/// for node in try await db.get("ana/city") { print(node.value ?? []) }
/// ```
///
/// Each writer appends to a feed of its own; a key has several nodes where writers changed it
/// without knowing each other. What is here is answered at once, from one consistent cut of all
/// feeds: nothing that a peer only claims to have is waited for.
public actor HyperDB {
  /// The isolation domain of the database, its feeds and its connections.
  public nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  /// The database's key, which is its first writer's: whoever has it can read.
  public nonisolated let key: PublicKey
  /// What the database is called in public.
  public nonisolated var discoveryKey: DiscoveryKey { key.discoveryKey }
  /// The key of the feed that is written here; the database's own key for its owner.
  public nonisolated let localKey: PublicKey

  let core: DatabaseCore
  let feedSet: FeedSet
  nonisolated let files: any StorageProvider
  let options: HyperDBOptions
  /// What this database calls itself towards peers.
  let ownID: [UInt8]
  /// The open connections, in the order of their coming.
  var sessions: [DatabaseSession] = []
  let nonces = NonceMemory()
  /// Those who take in every entry.
  nonisolated let followers = Broadcast<UpdateQueue>()
  /// Those who watch a key.
  nonisolated let watchers = Broadcast<ChangeQueue>()
  /// Keys that connected peers say are theirs, the latest last.
  var claimedKeys: [PublicKey] = []
  /// How many bytes of keys and values were given out: walks and followers are given few large ones
  /// at once.
  var shownBytes = 0
  var firstContent: [PendingWait] = []
  /// In a sparse database: what has come.
  var arrivals = Arrivals()
  /// In a sparse database: blocks that were asked for without anybody waiting.
  var prefetched: Set<FeedSequence> = []
  /// In a sparse database: by feed, the question for its newest block.
  var newestAsked: [PublicKey: UInt64] = [:]
  /// Content feeds by the number of their writer.
  var contents: [Int: ContentFeed] = [:]
  /// Goes up with every content feed that is opened.
  var contentChanges = 0
  var contentIssues: [HyperDBError] = []
  var refusedContents: Set<Int> = []
  /// The highest block of the local feed that a peer has fetched, plus one.
  public internal(set) var uploadedLength: UInt64 = 0
  var wasAuthorized = false
  var knownFeedChanges = -1
  var isClosed = false
  /// Why it is no database.
  var refusal: HyperDBError?

  /// Opens the database in a folder: the one stored there, a new one, or the one of `key`.
  ///
  /// - Parameter access: with `readOnly` nothing is written and no lock taken.
  /// - Parameter key: the database to copy; nil for the one that is stored, or a new one.
  /// - Parameter folder: where its files are; made where there is none.
  /// - Parameter options: how it is kept and read.
  /// - Throws: ``HyperDBError``, or `FeedError` such as `anotherFeedStored`.
  ///
  /// Stands for `hyperdb(folder, key)`.
  public static func open(
    folder: String, key: PublicKey? = nil, access: StorageAccess = .readWrite,
    options: HyperDBOptions = HyperDBOptions()
  ) async throws -> HyperDB {
    try await open(FolderStorage(path: folder, access: access), key: key, options: options)
  }

  /// Opens a database that is kept in memory.
  public static func inMemory(
    key: PublicKey? = nil, options: HyperDBOptions = HyperDBOptions()
  ) async throws -> HyperDB {
    try await open(MemoryStorage(), key: key, options: options)
  }

  /// Opens the database in a storage.
  public static func open(
    _ storage: any StorageProvider, key: PublicKey? = nil,
    options: HyperDBOptions = HyperDBOptions(), replica: Replica = Replica()
  ) async throws -> HyperDB {
    let parts = try await open(on: replica, storage, key, options)
    let db = HyperDB(parts, storage, options: options)
    await db.start()
    return db
  }

  /// Whether a feed's first block is what a hyperdb starts with.
  public static func isHeader(_ block: [UInt8]) -> Bool {
    EntryMessageCodec().headerProtocol(block) == Array("hyperdb".utf8)
  }

  private static func open(
    on replica: isolated Replica, _ storage: any StorageProvider, _ key: PublicKey?,
    _ options: HyperDBOptions
  ) throws -> OnReplica<(FeedSet, DatabaseCore)> {
    let feeds = FeedSet(storage, options)
    let source = try feeds.openSource(key)
    let local = source.core.isOwned ? nil : try feeds.openLocal()
    var coreOptions = DatabaseCore.Options()
    coreOptions.cacheBytes = options.cacheBytes
    coreOptions.feedOrder = options.feedOrder
    coreOptions.contentKey = feeds.contentKeyPair?.publicKey.bytes
    coreOptions.fetchesBlocks = options.sparse
    coreOptions.checksHeads = !options.writesAsReference
    coreOptions.repeatsKeys = options.writesAsReference
    let core = try DatabaseCore(source: source.log, local: local?.log, options: coreOptions) {
      key in
      try feeds.openStored(key)?.log
    }
    return OnReplica((feeds, core), on: replica)
  }

  private init(
    _ parts: OnReplica<(FeedSet, DatabaseCore)>, _ files: any StorageProvider,
    options: HyperDBOptions
  ) {
    replica = parts.replica
    self.files = files
    let (feeds, core) = parts.take(on: parts.replica)
    feedSet = feeds
    self.core = core
    self.options = options
    key = core.key
    localKey = core.local.map { core.feedKeys[$0] } ?? core.key
    ownID = randomBytes(32)
  }

  private func start() {
    feedSet.onChange = { [weak self, replica] feed, event in
      let event = OnReplica(event, on: replica)
      self?.assumeIsolated { $0.feedChanged(feed, event.take(on: $0.replica)) }
    }
    core.onVacate = { [weak self] number in
      self?.assumeIsolated { $0.vacated(number) }
    }
    wasAuthorized = isLocalAuthorized
    // What is stored already is read now, so that every writer is known.
    for feed in core.feedKeys.indices { inspect(feed) }
    settle()
  }

  // MARK: State

  /// Whether this replica's own feed is one of the database's: what is written here is read by
  /// others.
  ///
  /// Until then writing is possible and stays here; others get all of it once it is authorized.
  public var isLocalAuthorized: Bool { core.isAuthorized(localKey) }

  /// Whether anything of the database is here; a clone that met no peer has nothing.
  public var hasContent: Bool {
    core.log(of: 0).length > 0 || core.local.map { core.log(of: $0).length > 1 } ?? false
  }

  /// How many feeds the database has, this replica's own included.
  ///
  /// A feed counts from the first block of it that is here: a key that somebody listed is nothing yet.
  public var feedCount: Int { core.feedCount }

  /// The feeds of the database: who may write, and how much of it is here.
  public var feeds: [DatabaseFeed] {
    core.feedKeys.indices.compactMap { number in
      let log = core.log(of: number)
      guard core.number(of: log.key) == number else { return nil }
      return DatabaseFeed(
        key: log.key, length: feedSet.logs[log.key]?.core.length ?? UInt64(log.length),
        storedLength: feedSet.logs[log.key]?.core.downloaded() ?? 0,
        isAuthorized: core.isAuthorized(log.key),
        isLocal: number == core.local)
    }
  }

  /// Entries that can't be read, and are left out; the rest of the database goes on without them.
  public var issues: [HyperDBError] { core.issues + contentIssues }

  /// The key turned out to be no database's: every call throws this, and closing leaves nothing behind.
  ///
  /// Told to ``HyperDBOptions/onRefusal`` when it is found. hyperdb has no such call.
  public var refusedAs: HyperDBError? { refusal }

  /// What opening found amiss in the files of its feeds; those in order are left out. hyperdb has no such call.
  public var repairReports: [(feed: PublicKey, report: RepairReport)] {
    core.feedKeys.compactMap { key in
      guard let report = feedSet.logs[key]?.core.report, !report.isHealthy else { return nil }
      return (key, report)
    }
  }

  /// The writers' feeds of which nothing more is fetched for the time being, and why: a limit of the disk is reached,
  /// or the storage failed. hyperdb has no such call.
  public var pausedFeeds: [(feed: PublicKey, pause: DownloadPause)] {
    core.feedKeys.compactMap { key in feedSet.logs[key]?.replicator.pause.map { (key, $0) } }
  }

  /// How many bytes of the disk the feeds take, as far as they were measured.
  public var diskUse: UInt64 { feedSet.diskUse }

  /// The feeds whose key has signed two histories, with the proof of it. Nothing more is taken of them;
  /// what was read of them before counts on.
  public var forks: [ForkEvidence] {
    core.feedKeys.compactMap { feedSet.logs[$0]?.core.forkEvidence }
  }

  /// Ends replication and gives the folder back. Everything that waits fails.
  public func close() async {
    guard !isClosed else { return }
    isClosed = true
    for session in sessions { session.session.end() }
    followers.finish()
    watchers.finish()
    for waiter in firstContent { waiter.resume() }
    firstContent = []
    for content in contents.values {
      do { try await content.feed.close() } catch { continue }
    }
    feedSet.close(discarding: refusal != nil)
  }

  func checkOpen() throws {
    if let refusal { throw refusal }
    if isClosed { throw HyperDBError(.closed, "The database is closed.") }
  }
}

/// One feed of a database.
public struct DatabaseFeed: Hashable, Sendable {
  /// The feed's key, which names its writer in every replica.
  public let key: PublicKey
  /// How many blocks it is known to have, its header included.
  public let length: UInt64
  /// How many of them are here.
  public let storedLength: UInt64
  /// Whether the database's first writer lists it, or any writer so listed does.
  public let isAuthorized: Bool
  /// Whether it is written here.
  public let isLocal: Bool
}
