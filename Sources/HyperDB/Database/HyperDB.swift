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
/// Each writer appends to a feed of its own; a key has several nodes if writers changed it
/// concurrently. Reads answer at once from one consistent cut of all feeds that is here: they never wait
/// for what a peer merely claims to have.
public actor HyperDB {
  /// The isolation domain of the database, its feeds and its connections.
  public nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  /// The database's key, which is its first writer's: whoever has it can read the database.
  public nonisolated let key: PublicKey
  /// The name under which the database is found in public; it doesn't reveal the key.
  public nonisolated var discoveryKey: DiscoveryKey { key.discoveryKey }
  /// The key of the feed that is written here; the database's own key for its owner.
  public nonisolated let localKey: PublicKey

  let core: DatabaseCore
  let feedSet: FeedSet
  nonisolated let files: any StorageProvider
  let options: HyperDB.Options
  /// The ID that this database announces to peers.
  let ownID: [UInt8]
  /// The open connections, oldest first.
  var sessions: [DatabaseSession] = []
  /// The uses of all feeds, as counted at the last keep-alive.
  var usesWhenQuiet: UInt64 = 0
  let nonces = NonceMemory()
  /// The followers, which receive every entry.
  nonisolated let followers = Broadcast<UpdateQueue>()
  /// The followers of single keys.
  nonisolated let watchers = Broadcast<ChangeQueue>()
  /// Keys that connected peers claim as their own, the latest last.
  var claimedKeys: [PublicKey] = []
  /// The bytes of keys and values given out so far: it limits how much one turn of a walk or follower
  /// takes.
  var shownBytes = 0
  var firstContent: [PendingWait] = []
  /// In a sparse database: the blocks that have come.
  var arrivals = Arrivals()
  /// In a sparse database: blocks that were requested without a call that waits.
  var prefetched: Set<FeedSequence> = []
  /// In a sparse database: by feed, the request for its newest block.
  var newestAsked: [PublicKey: UInt64] = [:]
  /// The writers' own feeds that were asked for as feeds.
  var views: [PublicKey: Feed] = [:]
  /// The content feeds by the number of their writer.
  var contents: [Int: ContentFeed] = [:]
  /// Increases with every content feed that is opened.
  var contentChanges = 0
  var contentIssues: [HyperDBError] = []
  var refusedContents: Set<Int> = []
  /// The highest block of the local feed that a peer has fetched, plus one.
  public internal(set) var uploadedLength: UInt64 = 0
  var wasAuthorized = false
  var knownFeedChanges = -1
  var isClosed = false
  /// The reason why the key is not a database's.
  var refusal: HyperDBError?

  /// Opens the database in a folder: the one stored there, a new one, or the one of `key`.
  ///
  /// - Parameter access: with `readOnly` nothing is written and no lock is taken.
  /// - Parameter key: the database to copy; nil for the stored one, or a new one.
  /// - Parameter folder: the folder of its files; it is created if there is none.
  /// - Parameter options: the options of the database.
  /// - Throws: ``HyperDBError``, or `FeedError` such as `anotherFeedStored`.
  ///
  /// Stands for `hyperdb(folder, key)`.
  public static func open(
    folder: String, key: PublicKey? = nil, access: StorageAccess = .readWrite,
    options: HyperDB.Options = HyperDB.Options()
  ) async throws -> HyperDB {
    try await open(FolderStorage(path: folder, access: access), key: key, options: options)
  }

  /// Opens a database that is kept in memory.
  public static func inMemory(
    key: PublicKey? = nil, options: HyperDB.Options = HyperDB.Options()
  ) async throws -> HyperDB {
    try await open(MemoryStorage(), key: key, options: options)
  }

  /// Opens the database in a storage.
  ///
  /// - Parameters:
  ///   - storage: the storage of its files.
  ///   - key: the database to copy; nil for the stored one, or a new one.
  ///   - options: the options of the database.
  ///   - replica: the isolation domain to open it in.
  /// - Throws: ``HyperDBError``, or `FeedError`.
  ///
  /// Stands for `hyperdb(createStorage, key)`.
  public static func open(
    storage: any StorageProvider, key: PublicKey? = nil, options: Options = Options(),
    replica: Replica = Replica()
  ) async throws -> HyperDB {
    try await open(storage, key: key, options: options, replica: replica)
  }

  package static func open(
    _ storage: any StorageProvider, key: PublicKey? = nil, options: Options = Options(),
    replica: Replica = Replica()
  ) async throws -> HyperDB {
    let parts = try await open(on: replica, storage, key, options)
    let db = HyperDB(parts, storage, options: options)
    await db.start()
    return db
  }

  /// Returns whether a feed's first block is the header of a hyperdb.
  public static func isHeader(_ block: [UInt8]) -> Bool {
    EntryMessageCodec().headerProtocol(block) == Array("hyperdb".utf8)
  }

  private static func open(
    on replica: isolated Replica, _ storage: any StorageProvider, _ key: PublicKey?,
    _ options: HyperDB.Options
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
    options: HyperDB.Options
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
    // What is stored is read now, so that every writer is known.
    for feed in core.feedKeys.indices { inspect(feed) }
    followUp()
  }

  // MARK: State

  /// True if this replica's own feed is one of the database's, so that others read what is written
  /// here.
  ///
  /// Until then writing is possible but stays here; others get all of it once the feed is authorized.
  public var isLocalAuthorized: Bool { core.isAuthorized(localKey) }

  /// True if anything of the database is here; a clone that has met no peer has nothing.
  public var hasContent: Bool {
    core.log(of: 0).length > 0 || core.local.map { core.log(of: $0).length > 1 } ?? false
  }

  /// The number of the database's feeds, this replica's own included.
  ///
  /// A feed counts once its first block is here: a key that a writer listed is not a feed yet.
  public var feedCount: Int { core.feedCount }

  /// The feeds of the database: their authority to write, and how much of each is here.
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

  /// The faults of entries that can't be read and are left out; the rest of the database works without them.
  public var issues: [HyperDBError] { core.issues + contentIssues }

  /// True if the key pair of the feed that is written here came without its blocks, so that writing has to wait
  /// for a peer that has them.
  public var isRestoring: Bool {
    core.local.map { feedSet.logs[core.feedKeys[$0]]?.core.isRestoring == true } ?? false
  }

  /// The error of a key that turned out to be no database's. Every call throws it, and closing leaves
  /// nothing behind.
  ///
  /// ``HyperDB/Options/onRefusal`` is notified when it is found. hyperdb has no such call.
  public var refusedAs: HyperDBError? { refusal }

  /// The reports of the feeds whose files opening found in disorder. hyperdb has no such call.
  public var repairReports: [(feed: PublicKey, report: RepairReport)] {
    core.feedKeys.compactMap { key in
      guard let report = feedSet.logs[key]?.core.report, !report.isHealthy else { return nil }
      return (key, report)
    }
  }

  /// The writers' feeds whose download is paused, and why: a limit of the disk is reached, or the storage
  /// failed. hyperdb has no such call.
  public var pausedFeeds: [(feed: PublicKey, pause: DownloadPause)] {
    core.feedKeys.compactMap { key in feedSet.logs[key]?.replicator.pause.map { (key, $0) } }
  }

  /// The bytes on disk of all feeds, as far as they were measured.
  public var diskUse: UInt64 { feedSet.diskUse }

  /// The feeds whose key has signed two histories, with the proof of it. Nothing more of them is accepted;
  /// what was read of them before stays valid.
  public var forks: [ForkEvidence] {
    core.feedKeys.compactMap { feedSet.logs[$0]?.replicator.forkEvidence }
  }

  /// Ends replication and releases the folder. Everything that waits fails.
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
    for view in views.values { await view.noteClosed() }
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
  /// Its known length in blocks, header included.
  public let length: UInt64
  /// The number of its blocks that are here.
  public let storedLength: UInt64
  /// True if the database's first writer lists it, or any writer that is so authorized.
  public let isAuthorized: Bool
  /// True if it is written here.
  public let isLocal: Bool
}
