public import Hypercore
public import HypercoreCrypto
public import RandomAccessStorage

/// An archive of hyperdrive 9: files and folders with all their versions, written by one owner and read by
/// anybody with the key.
///
/// ```swift
/// let archive = try await Archive.open(folder: "site")
/// try await archive.write("/hello.txt", Array("world".utf8))
/// for try await entry in archive.entries(in: "/") { print(entry.path) }
/// ```
///
/// It consists of two feeds: the metadata feed has an entry for each change and gives the archive its key, the
/// content feed has the bytes of all files ever written. What is here is returned at once. For the rest a call
/// waits until a peer brings it, the timeout passes, the task is cancelled or the archive closes.
public actor Archive {
  /// The isolation domain of the archive, its feeds and its connections.
  public nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  /// The archive's key, which is that of its metadata feed: whoever has it can read the archive.
  public nonisolated let key: PublicKey
  /// The name under which the archive is found in public; it doesn't reveal the key.
  public nonisolated var discoveryKey: DiscoveryKey { key.discoveryKey }
  /// The metadata feed.
  public nonisolated let metadata: Feed

  /// The options of an archive. Each stands for the hyperdrive option of a similar name.
  public struct Options: Sendable {
    /// The archive's key; nil for the stored one, or a new one.
    public var key: PublicKey?
    /// The metadata feed's key pair, to write an archive whose storage doesn't hold it.
    public var keyPair: KeyPair?
    /// The metadata feed's secret key, if the public key is known otherwise.
    public var secretKey: SecretKey?
    /// True to make an archive if none is stored and no key is given.
    public var createIfMissing = true
    /// True if the secret key is stored beside the metadata feed.
    public var storeSecretKey = true
    /// True if only requested content is downloaded.
    public var sparse = false
    /// True if only requested entries are downloaded.
    public var sparseMetadata = false
    /// True if only the content of the newest version is kept.
    public var latest = false
    /// True if content is discarded once it has been read: of an archive in memory that is only looked at.
    public var discardsContent = false
    /// The point at which a write counts as done.
    public var durability = Durability.buffered
    /// The limits of the disk space that peers' blocks take. The limit of a writer applies to each feed.
    public var disk = DiskLimits()
    /// The longest wait of a read for peers; nil for no limit.
    public var timeout: Duration?
    /// Bytes of decoded entries to cache.
    public var cacheBytes = ArchiveLimits.cacheBytes

    /// Makes the defaults: the stored archive, or a new one of a new key pair.
    public init() {}

    /// Makes the options to open the archive of a key.
    public init(key: PublicKey, sparse: Bool = false, sparseMetadata: Bool = false) {
      self.key = key
      self.sparse = sparse
      self.sparseMetadata = sparseMetadata
    }
  }

  let feeds: ArchiveFeeds
  let tree: ArchiveTree
  let options: Options
  /// The content feed; nil until the metadata's first block is here.
  public internal(set) var content: Feed?
  /// The ID that this archive announces to peers.
  let ownID: [UInt8]
  var sessions: [ArchiveSession] = []
  let nonces = NonceMemory()
  nonisolated let broadcast = Broadcast<ArchiveEventQueue>()
  let writing = WriteLock()
  /// The reason why the archive's content can't be read, such as a first block of another kind.
  var fault: ArchiveError?
  var firstContent: [CheckedContinuation<Void, Never>] = []
  /// In a sparse archive: the request for the newest entry.
  var newestAsked: UInt64?
  var toldVersion: UInt64 = 0
  /// The folder whose files are the archive's; nil for an archive that keeps its content itself.
  let files: ContentFiles?
  /// The progress of the folder towards the newest version.
  var reconciliation = Reconciliation()
  /// Another copy of the archive, which provides bytes that are not here.
  var fallback: Archive?
  var isClosed = false

  /// Opens the archive in a folder of its own: the stored one, a new one, or the one of
  /// `options.key`.
  ///
  /// - Parameter access: with `readOnly` nothing is written and no lock is taken.
  /// - Parameter folder: the folder of its feeds; it is created if it is missing.
  /// - Parameter options: the options of the archive.
  /// - Throws: ``ArchiveError``, or `FeedError` such as `anotherFeedStored`.
  ///
  /// Stands for `hyperdrive(folder, key, options)`.
  public static func open(
    folder: String, access: StorageAccess = .readWrite, options: Options = Options()
  ) async throws -> Archive {
    try await open(storage: FolderStorage(path: folder, access: access), options: options)
  }

  /// Opens an archive that is kept in memory.
  ///
  /// Stands for `hyperdrive(ram, key, options)`.
  public static func inMemory(options: Options = Options()) async throws -> Archive {
    try await open(storage: MemoryStorage(), options: options)
  }

  /// Opens the archive in a storage.
  ///
  /// - Parameter layout: the names of its files; nil for those that are stored.
  /// - Parameter replica: the isolation domain to open it in.
  /// - Parameter storage: the storage of its feeds.
  /// - Parameter options: the options of the archive.
  /// - Throws: ``ArchiveError``, or `FeedError`.
  public static func open(
    storage: any StorageProvider, layout: ArchiveLayout? = nil, options: Options = Options(),
    replica: Replica = Replica()
  ) async throws -> Archive {
    let archive = try await Archive(
      make(on: replica, storage, layout, options), options: options)
    try await archive.start()
    return archive
  }

  /// Returns whether a feed's first block is that of an archive.
  public static func isHeader(_ block: [UInt8]) -> Bool {
    ArchiveMessageCodec().decodeHeader(block)?.type == Array("hyperdrive".utf8)
  }

  private static func make(
    on replica: isolated Replica, _ storage: any StorageProvider, _ layout: ArchiveLayout?,
    _ options: Options
  ) throws -> OnReplica<ArchiveParts> {
    let feeds = try ArchiveFeeds(
      storage, layout ?? ArchiveLayout.find(in: storage), files: nil, options: options)
    return OnReplica(ArchiveParts(feeds, files: nil, on: replica), on: replica)
  }

  init(_ parts: OnReplica<ArchiveParts>, options: Options) throws {
    let (feeds, metadata) = (
      parts.take(on: parts.replica).feeds, parts.take(on: parts.replica).metadata
    )
    files = parts.take(on: parts.replica).files
    guard let key = feeds.metadata.core.key else {
      throw ArchiveError(.notAnArchive, "A static feed that is not finalized is no archive.")
    }
    replica = parts.replica
    self.feeds = feeds
    self.options = options
    self.key = key
    tree = ArchiveTree(FeedMetadata(feeds.metadata.core), cacheBytes: options.cacheBytes)
    self.metadata = metadata
    ownID = randomBytes(32)
  }

  func start() throws {
    try openContent()
    toldVersion = tree.version
    try startReconciling()
    // The feed's own listener was set when it was wrapped.
    let listen = feeds.metadata.onEvent
    feeds.metadata.onEvent = { [weak self, replica] event in
      listen?(event)
      let event = OnReplica(event, on: replica)
      self?.assumeIsolated { $0.metadataChanged(event.take(on: $0.replica)) }
    }
  }

  /// Opens the content feed if its key is known.
  func openContent() throws {
    guard try feeds.openContent(), let replicator = feeds.content else { return }
    content = Feed.wrapping(OnReplica(replicator, on: replica))
    let listen = replicator.onEvent
    replicator.onEvent = { [weak self, replica] event in
      listen?(event)
      let event = OnReplica(event, on: replica)
      self?.assumeIsolated { $0.contentChanged(event.take(on: $0.replica)) }
    }
    broadcast.send(.content)
    for waiter in firstContent { waiter.resume() }
    firstContent = []
  }

  // MARK: State

  /// The newest version, which is the known number of changes. 0 for an empty archive, and while nothing of
  /// it is known here.
  ///
  /// Stands for hyperdrive `version`.
  public var version: UInt64 { tree.version }

  /// True if files can be written here. Stands for hyperdrive `writable`.
  public var isWritable: Bool { feeds.isWritable && !isClosed }

  /// True if the archive's first block is here, and with it the content feed's key.
  public var hasContent: Bool { content != nil }

  /// The entries that were found unreadable, by their seq.
  public var issues: [UInt64: ArchiveError] { tree.issues }

  /// The proof that the archive's key, or its content's, signed two histories; nil while there is one. What is
  /// here can be read, and nothing is written or fetched any more.
  public var fork: ForkEvidence? { feeds.metadata.forkEvidence ?? feeds.content?.forkEvidence }

  /// The reason why downloading is paused, a limit of the disk or a storage that failed; nil if it isn't.
  public var downloadPause: DownloadPause? { feeds.metadata.pause ?? feeds.content?.pause }

  /// Ends replication, fails all waiting calls and releases the storage.
  ///
  /// Stands for hyperdrive `close()`.
  public func close() async throws {
    guard !isClosed else { return }
    isClosed = true
    for session in sessions { session.session.end() }
    for waiter in firstContent { waiter.resume() }
    firstContent = []
    wakeWaiters()
    defer {
      feeds.release()
      broadcast.finish(.close)
    }
    // The feeds first, so that their followers are notified of the end.
    try await content?.close()
    try await metadata.close()
  }

  func checkOpen() throws {
    if isClosed { throw ArchiveError(.closed, "The archive is closed.") }
    if let fault { throw fault }
  }
}

/// The parts of an archive. Made on the executor of its replica.
struct ArchiveParts {
  let feeds: ArchiveFeeds
  let metadata: Feed
  let files: ContentFiles?

  init(_ feeds: ArchiveFeeds, files: ContentFiles?, on replica: Replica) {
    self.feeds = feeds
    self.files = files
    metadata = Feed.wrapping(OnReplica(feeds.metadata, on: replica))
  }
}
