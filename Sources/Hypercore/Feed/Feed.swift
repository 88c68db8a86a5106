public import HypercoreCrypto
public import RandomAccessStorage

/// A hypercore: an append-only log of blocks, signed by one writer, that any reader can verify in part.
///
/// ```swift
/// let feed = try await Feed.open(folder: "numbers")
/// try await feed.append("one", as: .utf8)
/// print(try await feed.get(0, as: .utf8))
/// ```
///
/// Calls are safe from any task and run one at a time. Blocks that are here are returned without waiting. A
/// call for any other block waits until a peer brings it, the timeout passes, the task is cancelled or the
/// feed closes.
public actor Feed {
  /// The isolation domain that the feed belongs to.
  public nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  /// The feed's public key: anybody who has it can read the feed. Nil for a static feed that was not
  /// finalized when it was opened; ``currentKey`` has it afterwards. Stands for hypercore `key`.
  public nonisolated let key: PublicKey?
  /// The feed's public name; nil if ``key`` is nil. Stands for hypercore `discoveryKey`.
  public nonisolated let discoveryKey: DiscoveryKey?

  let core: FeedCore
  let replicator: Replicator
  /// The name of this feed in handshakes with peers.
  let ownID: [UInt8]
  nonisolated let hub = Broadcast<EventQueue>()
  nonisolated let appends = AppendQueue()
  nonisolated let latestLength = LatestLength()
  var sessions: [ObjectIdentifier: ReplicationSession] = [:]
  let nonces = NonceMemory()
  var onWrite: (@Sendable (ProposedBlock) throws -> Void)?
  var isClosed = false
  /// The task that waits for the feed to become idle.
  var idleWatch: Task<Void, Never>?

  /// Options for opening a feed. Each stands for the option of hypercore of about that name.
  public struct Options: Sendable {
    /// The feed's key; nil for the stored key, or a new one.
    public var key: PublicKey?
    /// The feed's secret key, to write a feed whose folder doesn't hold it.
    public var secretKey: SecretKey?
    /// True to create a feed if none is stored and no key is given.
    public var createIfMissing = true
    /// True to discard a feed that is stored there.
    public var overwrite = false
    /// True to store the secret key beside the feed.
    public var storeSecretKey = true
    /// True to download only blocks that are requested; false to download all.
    public var sparse = false
    /// False for a static feed: not signed, and named by the hash of its content once finalized.
    public var live = true
    /// The moment at which an append is acknowledged.
    public var durability = Durability.buffered
    /// The prefix of the names of the feed's files, such as `metadata.` in an old `.dat` folder.
    public var prefix = ""
    /// Limits on the disk space that data from peers may take.
    public var disk = DiskLimits()
    /// Called before any block is stored, whether it is appended here or comes from a peer, and then is verified.
    /// If it throws, the block is not stored: the append fails with ``FeedError/Code/refused``, and nothing of
    /// that call is written; or the connection that brought the block ends with that error. Its peer is not to
    /// blame, and may connect again. A block that is stored already is not shown.
    ///
    /// It runs on the feed's executor for every block, so it should be quick.
    ///
    /// Stands for the option `onwrite`, which is called with hashes as well, as a block that is null.
    public var onWrite: (@Sendable (ProposedBlock) throws -> Void)?
    /// The storage of the blocks' bytes, if not beside the feed's other files: they are in the file that is
    /// named for the feed's prefix and `data`. The content of an archive is kept so, in the user's files.
    ///
    /// The feed infers nothing from the state of such a storage: opening neither measures, cuts nor mends it,
    /// and each block is compared with its hash whenever it is read or sent. A block that is missing, or was
    /// changed, counts as not stored while the feed is open, and the record of it stays as it is.
    public var blockStorage: (any StorageProvider)?

    /// Creates the default options: the stored feed, or a new one with a new key pair.
    public init() {}

    /// Creates options that open the feed of a key.
    public init(key: PublicKey, sparse: Bool = false) {
      self.key = key
      self.sparse = sparse
    }

    /// True if a key pair without any stored block is known to be new. Otherwise the feed may have been
    /// written elsewhere: appending throws ``FeedError/Code/restoring`` until a peer has proven how long the
    /// feed is. hypercore has no such option: it starts a second history.
    public var isNew = false

    /// Creates options that open the feed of a key pair, to write it.
    ///
    /// - Parameter keyPair: the feed's keys.
    /// - Parameter isNew: true if nothing was ever written with them; see ``isNew``.
    public init(keyPair: KeyPair, isNew: Bool = false) {
      key = keyPair.publicKey
      secretKey = keyPair.secretKey
      self.isNew = isNew
    }

    func core() throws(FeedError) -> FeedOptions {
      var options = FeedOptions(
        key: key, secretKey: secretKey, createIfMissing: createIfMissing, overwrite: overwrite,
        storeSecretKey: storeSecretKey, isLive: live, durability: durability)
      options.isNew = isNew
      if let blockStorage {
        options.data = try FeedFile(prefix + "data", in: blockStorage).storage
      }
      return options
    }
  }

  /// Opens the feed in a folder, or creates one.
  ///
  /// - Parameter access: `readOnly` changes no byte and takes no lock, as is necessary on read-only media.
  /// - Parameter options: which feed, and how it is kept.
  /// - Parameter folder: the folder of its files, created if there is none.
  /// - Throws: ``FeedError``, such as `anotherFeedStored`, or `storage` if another process has locked the
  ///   folder.
  ///
  /// Stands for `hypercore(folder, key, options)`.
  public static func open(
    folder: String, access: StorageAccess = .readWrite, options: Options = Options()
  ) async throws -> Feed {
    try await open(storage: FolderStorage(path: folder, access: access), options: options)
  }

  /// Opens a new feed that is kept in memory.
  ///
  /// Stands for `hypercore(ram, key, options)`.
  public static func inMemory(options: Options = Options()) async throws -> Feed {
    try await open(storage: MemoryStorage(), options: options)
  }

  /// Opens the feed in a storage, or creates one.
  ///
  /// - Parameter replica: the isolation domain to open it in; calls of feeds in one domain run one at a time.
  /// - Parameter storage: the storage of its files.
  /// - Parameter options: which feed, and how it is kept.
  /// - Throws: ``FeedError``.
  ///
  /// Stands for hypercore `hypercore(createStorage, key, options)`.
  public static func open(
    storage: any StorageProvider, options: Options = Options(), replica: Replica = Replica()
  ) async throws -> Feed {
    try await open(on: replica, storage, options)
  }

  private static func open(
    on replica: isolated Replica, _ storage: any StorageProvider, _ options: Options
  ) throws -> Feed {
    let core = try FeedCore.open(in: storage, prefix: options.prefix, options: options.core())
    var disk = options.disk
    if disk.inAll != nil {
      disk.budget = DiskBudget(limit: disk.inAll, name: "this feed", within: disk.budget)
    }
    let replicator = Replicator(core: core, isSparse: options.sparse, disk: disk)
    let feed = wrapping(OnReplica(replicator, on: replica))
    if let onWrite = options.onWrite {
      replicator.onWrite = { index, block, peer in
        try onWrite(ProposedBlock(index: index, bytes: block, isLocal: false, peer: peer?.publicID))
      }
      feed.assumeIsolated { $0.onWrite = onWrite }
    }
    return feed
  }

  /// Returns an actor for a feed that is open already. Called on the executor of its replica.
  package static func wrapping(_ replicator: OnReplica<Replicator>) -> Feed {
    let feed = Feed(replicator, key: replicator.take(on: replicator.replica).core.key)
    feed.assumeIsolated {
      $0.follow()
      $0.noteUse()
    }
    return feed
  }

  private init(_ replicator: OnReplica<Replicator>, key: PublicKey?) {
    replica = replicator.replica
    let replicator = replicator.take(on: replicator.replica)
    core = replicator.core
    self.replicator = replicator
    self.key = key
    discoveryKey = key?.discoveryKey
    ownID = randomBytes(32)
  }

  // MARK: State

  /// The feed's key, including that of a static feed that was finalized since. Stands for hypercore `key`.
  public var currentKey: PublicKey? { core.key }

  /// The number of blocks that the feed is known to have, stored here or not. Stands for hypercore `length`.
  public var length: UInt64 { core.length }

  /// The total size of these blocks in bytes. Stands for hypercore `byteLength`.
  public var byteLength: UInt64 { core.byteLength }

  /// True if ``append(_:)-([UInt8])`` is possible here. Stands for hypercore `writable`.
  public var isWritable: Bool { core.isWritable }

  /// True if the key pair is here without any block: nothing is written before a peer has proven how long the
  /// feed is. hypercore has no such state.
  public var isRestoring: Bool { core.isRestoring }

  /// True if the secret key is here, so that the feed can be written when it is opened for writing. Stands
  /// for the presence of hypercore's `secretKey`.
  public var isOwned: Bool { core.isOwned }

  /// True if the feed is signed; a static feed is named by its content instead. Stands for hypercore `live`.
  public var isLive: Bool { core.isLive }

  /// The faults that opening the feed found, and the repairs. hypercore has no such call: it does not look.
  public var repairReport: RepairReport { core.report }

  /// The reason why downloading is paused; nil if it isn't. hypercore has no such call.
  public var downloadPause: DownloadPause? { replicator.pause }

  /// Both histories, if the feed's key has signed two: found while it was open, or before. Such a feed is
  /// never written again. The evidence stays beside the feed as `fork.json`. hypercore has no such call.
  public var forkEvidence: ForkEvidence? { replicator.forkEvidence }

  /// True if nothing is written or downloaded until the feed is opened anew, or ever again: a write failed,
  /// or the history here contradicts another one. hypercore has no such state.
  public var isStopped: Bool { core.stopReason != nil }

  /// The hash over all roots, which the writer signs: hypercore's `crypto.tree` of its `rootHashes`.
  public var treeHash: Digest { core.treeHash }

  /// Ends replication, fails every waiting call, writes what is pending and unlocks the folder.
  ///
  /// Stands for hypercore `close()`.
  public func close() async throws {
    guard !isClosed else { return }
    writeAppends()
    isClosed = true
    idleWatch?.cancel()
    for session in Array(sessions.values) { session.end() }
    replicator.close()
    defer { hub.finish(.close) }
    try core.close()
  }

  /// Notes that the owner of a feed that is wrapped here has closed it.
  package func noteClosed() {
    guard !isClosed else { return }
    isClosed = true
    idleWatch?.cancel()
    hub.finish(.close)
  }

  func checkOpen() throws {
    if isClosed { throw FeedError.closed }
    noteUse()
  }

  deinit { idleWatch?.cancel() }
}
