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
/// Calls are safe from any task and run one at a time. What is here is answered without waiting;
/// a block that isn't is waited for until a peer brings it, the timeout passes, the task is cancelled
/// or the feed closes.
public actor Feed {
  /// The isolation domain that the feed belongs to.
  public nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  /// The feed's public key: whoever has it can read the feed. Nil for a static feed that was not
  /// finalized when it was opened; ``currentKey`` has it afterwards. Stands for hypercore `key`.
  public nonisolated let key: PublicKey?
  /// What the feed is called in public; nil where ``key`` is. Stands for hypercore `discoveryKey`.
  public nonisolated let discoveryKey: DiscoveryKey?

  let core: FeedCore
  let replicator: Replicator
  /// What this feed calls itself towards peers.
  let ownID: [UInt8]
  nonisolated let hub = Broadcast<EventQueue>()
  nonisolated let appends = AppendQueue()
  var sessions: [ObjectIdentifier: ReplicationSession] = [:]
  let nonces = NonceMemory()
  var isClosed = false
  /// Waits for the feed to be idle.
  var idleWatch: Task<Void, Never>?

  /// How a feed is opened. Each stands for the option of hypercore of about that name.
  public struct Options: Sendable {
    /// The feed's key; nil for the stored one, or a new one.
    public var key: PublicKey?
    /// The feed's secret key, to write a feed whose folder doesn't hold it.
    public var secretKey: SecretKey?
    /// Whether to make a feed where none is stored and no key is given.
    public var createIfMissing = true
    /// Whether to forget a feed that is stored there.
    public var overwrite = false
    /// Whether the secret key is stored beside the feed.
    public var storeSecretKey = true
    /// Whether only blocks that are asked for are downloaded; otherwise all of them.
    public var sparse = false
    /// False for a static feed: not signed, and named by the hash of its content once finalized.
    public var live = true
    /// When an append counts as done.
    public var durability = Durability.buffered
    /// What the names of the feed's files start with, such as `metadata.` in an old `.dat` folder.
    public var prefix = ""
    /// How much of the disk may be taken by what peers bring.
    public var disk = DiskLimits()
    /// Where the blocks' bytes are kept, if not beside the feed's other files: the file of the feed's prefix and
    /// `data` in this storage. The content of an archive is kept so, in its user's files.
    ///
    /// Nothing is inferred from such a storage: opening neither measures, cuts nor mends it, and a block is
    /// compared with its hash each time it is read or sent. One that is missing, or was changed, counts as not
    /// stored for as long as the feed is open, and the record of it stays as it is.
    public var blockStorage: (any StorageProvider)?

    /// The defaults: the stored feed, or a new one of a new key pair.
    public init() {}

    /// Opens the feed of a key.
    public init(key: PublicKey, sparse: Bool = false) {
      self.key = key
      self.sparse = sparse
    }

    /// Whether a key pair without any stored block is known to be new. Otherwise it may have been written
    /// elsewhere: appending throws ``FeedError/Code/restoring`` until a peer has proven how long the feed is.
    /// hypercore has no such option: it starts a second history.
    public var isNew = false

    /// Opens the feed of a key pair, to write it.
    ///
    /// - Parameter keyPair: the feed's keys.
    /// - Parameter isNew: whether nothing was ever written with them, see ``isNew``.
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

  /// Opens the feed in a folder, or makes one.
  ///
  /// - Parameter access: with `readOnly` no byte changes and no lock is taken, as it has to be on
  ///   read-only media.
  /// - Parameter options: which feed, and how it is kept.
  /// - Parameter folder: where its files are; made where there is none.
  /// - Throws: ``FeedError``, such as `anotherFeedStored`, or `storage` with a locked folder's owner.
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

  /// Opens the feed in a storage, or makes one.
  ///
  /// - Parameter replica: the isolation domain to open it in; feeds of one run one at a time.
  /// - Parameter storage: where its files are kept.
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
    return wrapping(OnReplica(replicator, on: replica))
  }

  /// A feed that is open already, as an actor. Called on the executor of its replica.
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

  /// The feed's key, also of a static feed that was finalized since. Stands for hypercore `key`.
  public var currentKey: PublicKey? { core.key }

  /// How many blocks the feed is known to have, stored here or not. Stands for hypercore `length`.
  public var length: UInt64 { core.length }

  /// How many bytes these blocks have together. Stands for hypercore `byteLength`.
  public var byteLength: UInt64 { core.byteLength }

  /// Whether ``append(_:)-([UInt8])`` is possible here. Stands for hypercore `writable`.
  public var isWritable: Bool { core.isWritable }

  /// Whether the key pair is here without any block, and nothing is written before a peer has proven how long
  /// the feed is. hypercore has no such state.
  public var isRestoring: Bool { core.isRestoring }

  /// Whether the secret key is here, so that the feed can be written where it is opened for that. Stands
  /// for hypercore's `secretKey` being there.
  public var isOwned: Bool { core.isOwned }

  /// Whether the feed is signed; a static one is named by its content. Stands for
  /// hypercore `live`.
  public var isLive: Bool { core.isLive }

  /// What opening the feed found amiss, and mended. hypercore has no such call: it does not look.
  public var repairReport: RepairReport { core.report }

  /// Why nothing more is fetched of the feed for the time being; nil while it is. hypercore has no such call.
  public var downloadPause: DownloadPause? { replicator.pause }

  /// Both histories, where the feed's key has signed two: found while it was open, or before. Nothing is
  /// written to such a feed any more. The evidence stays beside the feed as `fork.json`. hypercore has no
  /// such call.
  public var forkEvidence: ForkEvidence? { replicator.forkEvidence }

  /// Whether nothing more is written or downloaded before the feed is opened anew, or ever: a write failed, or
  /// the history here contradicts another one. hypercore has no such state.
  public var isStopped: Bool { core.stopReason != nil }

  /// The hash over all roots: what the writer signs, and hypercore's `crypto.tree` of its `rootHashes`.
  public var treeHash: Digest { core.treeHash }

  /// Ends replication, fails whatever waits, writes what is to be written and gives the folder back.
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

  func checkOpen() throws {
    if isClosed { throw FeedError.closed }
    noteUse()
  }

  deinit { idleWatch?.cancel() }
}
