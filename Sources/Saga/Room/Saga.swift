internal import Foundation
public import HyperDB
public import Hypercore
public import HypercoreCrypto
public import RandomAccessStorage

/// A chat room: a database that everybody in the room writes, and the users who are there.
///
/// ```swift
/// let saga = try await Saga.open(folder: "room", username: "ana")
/// print("share this key:", saga.key)
/// try await saga.writeMessage("hello")
/// for await event in saga.events() {
///   if case .message(let message) = event { print(message.username, message.text) }
/// }
/// ```
///
/// It is the same on disk and on the wire as the Saga class of the "building web apps using Dat" workshop, so
/// its peers and these share rooms.
public actor Saga {
  /// The executor of the room and its database: one serial queue for both.
  public nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  /// The room's database.
  public nonisolated let db: HyperDB
  /// The name that is shown to others.
  public nonisolated let username: String
  /// The time since which this user is here, in milliseconds since 1970.
  public nonisolated let timestamp: Int64

  let options: Saga.Options
  /// The prefix of the keys of the room's entries.
  let prefix: [UInt8]
  var index = RoomIndex()
  var recent = RecentTexts()
  /// The index beside the database; nil if none is kept.
  let indexFile: RoomIndexFile?
  var roster = Roster()
  var ids: MessageIDGenerator
  var random = SystemRandomNumberGenerator()
  nonisolated let broadcast = Broadcast<RoomQueue>()
  var reader: Task<Void, Never>?
  var isReady = false
  var readyWaiters: [CheckedContinuation<Void, Never>] = []
  /// By feed, the last block that is in the index.
  var taken: [PublicKey: UInt64] = [:]
  /// The number of blocks read since the feeds last released their caches.
  var blocksRead = 0
  /// The number of entries added since the index was last written.
  var unwritten = 0
  /// The number of entries read while the room opened, and the number that readers were notified of.
  var loaded: UInt64 = 0
  var toldLoaded: UInt64 = 0
  var ownWaiters: [(seq: UInt64, CheckedContinuation<Void, Never>)] = []
  /// Newcomers that are not decided on yet, by the key they claim.
  var newcomers = Newcomers()
  /// Newcomers that wait for the user's answer.
  var asking: WriteRequests
  var lastConnection: UInt64 = 0
  /// The feeds that are not to be shown here. They are only noted; nothing is left out.
  public internal(set) var muted: Set<PublicKey>
  var burst = BurstLimit()
  /// Limits how often it is reported that a newcomer has to wait.
  var waits = BurstLimit()
  var authorizer: Task<Void, Never>?
  var isAuthorized: Bool
  /// The feeds of the room whose key has signed two histories, with the proof; see ``SagaEvent/forked(_:)``.
  public internal(set) var forks: [ForkEvidence] = []
  var isClosed = false

  /// The room's key: whoever has it can read the room and ask to write.
  public nonisolated var key: PublicKey { db.key }

  /// Opens the room in a folder: the stored one, a new one, or the one of `key`.
  public static func open(
    folder: String, key: PublicKey? = nil, username: String, options: Saga.Options = Saga.Options()
  ) async throws -> Saga {
    try await open(
      storage: FolderStorage(path: folder), key: key, username: username, options: options)
  }

  /// Opens the room in a storage.
  ///
  /// - Parameters:
  ///   - key: the room to join; nil for the stored one or a new one.
  ///   - username: the name that is shown to others; a label, not an identity.
  ///   - options: the options of the room and its database.
  ///   - storage: the storage of its files.
  public static func open(
    storage: any StorageProvider, key: PublicKey? = nil, username: String,
    options: Saga.Options = Saga.Options()
  ) async throws -> Saga {
    var options = options
    let file = options.usesIndexFile ? RoomIndexFile(storage, options.kind) : nil
    let stored = file?.read()
    if let stored { options.database.knownFeeds = stored.feeds }
    // Every entry is read here.
    options.database.readsAllEntries = options.keepsMessages
    let db = try await HyperDB.open(storage, key: key, options: options.database)
    let saga = await Saga(db: db, username: username, options: options, file, stored)
    if options.waitsForMessages {
      await saga.initialize()
    } else {
      await saga.startFollowing()
    }
    return saga
  }

  /// Makes a room on a database that is already open. Call ``initialize()`` before anything else.
  public init(db: HyperDB, username: String, options: Saga.Options = Saga.Options()) async {
    await self.init(db: db, username: username, options: options, nil, nil)
  }

  private init(
    db: HyperDB, username: String, options: Saga.Options, _ file: RoomIndexFile?,
    _ stored: StoredIndex?
  ) async {
    self.db = db
    replica = db.replica
    self.username = username
    self.options = options
    indexFile = file
    prefix = Array(options.kind.prefix.utf8)
    muted = options.muted
    asking = WriteRequests(
      limits: .init(
        proven: options.limits.requests, provenOfAddress: options.limits.requestsPerAddress,
        unproven: options.limits.unproven, unprovenOfAddress: options.limits.unprovenPerAddress))
    timestamp = options.now()
    ids = MessageIDGenerator(random: &random)
    isAuthorized = await db.isLocalAuthorized
    if let stored { await use(stored) }
  }

  /// Starts following the database. Returns once every stored message is in the room.
  public func initialize() async {
    startFollowing()
    if !isReady, !isClosed { await withCheckedContinuation { readyWaiters.append($0) } }
  }

  private func startFollowing() {
    guard reader == nil else { return }
    let updates = db.updates(after: taken, valuesUpTo: MessageContent.valueLimit)
    reader = Task { [weak self] in
      for await update in updates {
        guard let self, await self.handle(update) else { return }
      }
      await self?.databaseEnded()
    }
  }

  /// The data about its user that this side sends when it connects.
  public nonisolated var userData: UserData {
    UserData(key: db.localKey, username: username, timestamp: timestamp)
  }

  // MARK: Reading

  /// True if every stored entry of the room's feeds has been added to the room.
  public var isCaughtUp: Bool {
    get async {
      await db.feeds.allSatisfy { $0.length < 2 || taken[$0.key, default: 0] >= $0.length - 1 }
    }
  }

  /// The other users who are connected now.
  public var users: [UserData] { roster.users }

  // MARK: Writing

  /// Writes a message. When it returns, the message is in the room and its event was sent.
  ///
  /// - Returns: its name: the key `messages/<id>`, and the local feed.
  /// - Throws: ``SagaError`` with `tooLarge` beyond 64 KiB of text, `wrongKind` in a room of
  ///   operations; the errors of the database.
  @discardableResult
  public func writeMessage(_ text: String) async throws -> Message.ID {
    try await write(text, key: newKey())
  }

  /// Replaces the text of a message of the local user.
  ///
  /// - Throws: ``SagaError`` with `noMessage` if the message is another user's or doesn't exist, and the errors
  ///   of ``writeMessage(_:)``. In each case nothing was written.
  public func edit(_ id: Message.ID, to text: String) async throws {
    try check(.messages)
    _ = try await write(text, key: ownKey(of: id))
  }

  /// Deletes a message or operation of the local user. Readers of this project stop showing it; its block
  /// stays.
  ///
  /// - Throws: ``SagaError`` with `noMessage` if the message is another user's or doesn't exist; the errors of
  ///   the database. In each case nothing was written.
  public func delete(_ id: Message.ID) async throws {
    if isClosed { throw SagaError(.closed, "The room is closed.") }
    let node = try await db.delete(try ownKey(of: id))
    await untilAdded(node.seq)
  }

  /// Returns the key under which a message of the local user can be overwritten.
  private func ownKey(of id: Message.ID) throws -> String {
    guard id.feed == db.localKey, let record = index.find(id), index.record(record).isShown,
      let key = String(validating: id.keyBytes, as: UTF8.self)
    else {
      throw SagaError(
        .noMessage,
        "You have no message \(id.key.prefix(100)): messages are edited and deleted by their authors alone."
      )
    }
    return key
  }

  private func write(_ text: String, key: String) async throws -> Message.ID {
    try check(.messages)
    guard text.utf8.count <= MessageContent.textLimit else {
      throw SagaError(
        .tooLarge, "A message can have 64 KiB of text; this one has \(text.utf8.count) bytes.")
    }
    let content = MessageContent(text: text, username: username, timestamp: options.now())
    return try await write(content.value(key: key), key: key)
  }

  func write(_ value: [UInt8], key: String) async throws -> Message.ID {
    if isClosed { throw SagaError(.closed, "The room is closed.") }
    let node = try await db.put(key, value)
    await untilAdded(node.seq)
    return Message.ID(keyBytes: node.keyBytes, feed: node.feed)
  }

  func newKey() -> String {
    options.kind.prefix + (options.makeID?() ?? ids.next(random: &random))
  }

  func check(_ kind: RoomKind) throws {
    guard options.kind != kind else { return }
    throw SagaError(
      .wrongKind, "This room was opened for \(options.kind); to write others open it for \(kind).")
  }

  /// Waits until an entry of the local feed is in the room.
  private func untilAdded(_ seq: UInt64) async {
    if taken[db.localKey, default: 0] >= seq || isClosed { return }
    await withCheckedContinuation { ownWaiters.append((seq, $0)) }
  }

  /// Closes the room and its database.
  public func close() async {
    guard !isClosed else { return }
    isClosed = true
    reader?.cancel()
    authorizer?.cancel()
    if unwritten > 0 { writeIndex() }
    broadcast.finish()
    databaseEnded()
    await db.close()
  }
}
