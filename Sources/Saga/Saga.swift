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
/// The same on disk and on the wire as the Saga class of the "building web apps using Dat" workshop, so
/// its peers and these share rooms.
public actor Saga {
  /// The executor of the room and its database: one serial queue for both.
  public nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  /// The room's database.
  public nonisolated let db: HyperDB
  /// The name shown to others.
  public nonisolated let username: String
  /// Since when this user is here, in milliseconds since 1970.
  public nonisolated let timestamp: Int64

  let options: SagaOptions
  /// What the keys of the room's entries begin with.
  private let prefix: [UInt8]
  var log = MessageLog()
  var roster = Roster()
  var ids: MessageIDGenerator
  var random = SystemRandomNumberGenerator()
  var subscribers: [UInt64: SagaEventQueue] = [:]
  var lastSubscriber: UInt64 = 0
  var reader: Task<Void, Never>?
  var isReady = false
  var readyWaiters: [CheckedContinuation<Void, Never>] = []
  /// How far each feed has been taken into the log.
  var taken: [PublicKey: UInt64] = [:]
  var ownWaiters: [(seq: UInt64, CheckedContinuation<Void, Never>)] = []
  /// Newcomers of whom it is still to be decided, by the key they claim.
  var newcomers: [PublicKey: Newcomer] = [:]
  var refused: Set<PublicKey> = []
  /// The feeds that are not to be shown here; only noted, nothing is left out.
  public internal(set) var muted: Set<PublicKey>
  var burst = BurstLimit()
  var authorizer: Task<Void, Never>?
  var isAuthorized: Bool
  /// The feeds of the room whose key has signed two histories, with the proof; see ``SagaEvent/forked(_:)``.
  public internal(set) var forks: [ForkEvidence] = []
  var isClosed = false

  /// The room's key: whoever has it can read the room and ask to write.
  public nonisolated var key: PublicKey { db.key }

  /// Opens the room in a folder: the one that is stored there, or a new one, or the one of `key`.
  public static func open(
    folder: String, key: PublicKey? = nil, username: String, options: SagaOptions = SagaOptions()
  ) async throws -> Saga {
    try await open(
      storage: FolderStorage(path: folder), key: key, username: username, options: options)
  }

  /// Opens the room in a storage.
  ///
  /// - Parameters:
  ///   - key: the room to join; nil for the stored one or a new one.
  ///   - username: the name shown to others; a label, not an identity.
  ///   - options: who may write, and how the database is kept.
  ///   - storage: where its files are kept.
  public static func open(
    storage: any StorageProvider, key: PublicKey? = nil, username: String,
    options: SagaOptions = SagaOptions()
  ) async throws -> Saga {
    let db = try await HyperDB.open(storage, key: key, options: options.database)
    let saga = await Saga(db: db, username: username, options: options)
    await saga.initialize()
    return saga
  }

  /// A room on a database that is open already. Call ``initialize()`` before anything else.
  public init(db: HyperDB, username: String, options: SagaOptions = SagaOptions()) async {
    self.db = db
    replica = db.replica
    self.username = username
    self.options = options
    prefix = Array(options.kind.prefix.utf8)
    muted = options.muted
    timestamp = options.now()
    ids = MessageIDGenerator(random: &random)
    isAuthorized = await db.isLocalAuthorized
  }

  /// Starts following the database. Returns when every stored message is in ``messages``.
  public func initialize() async {
    if reader == nil {
      reader = Task { [weak self, db] in
        for await update in db.updates(valuesUpTo: MessageContent.valueLimit) {
          guard let self, await self.handle(update) else { return }
        }
        await self?.databaseEnded()
      }
    }
    if !isReady { await withCheckedContinuation { readyWaiters.append($0) } }
  }

  /// What this side says about its user when it connects.
  public nonisolated var userData: UserData {
    UserData(key: db.localKey, username: username, timestamp: timestamp)
  }

  // MARK: Reading

  /// All messages, sorted by time, then key; none in a room of operations.
  public var messages: [Message] {
    guard options.kind == .messages else { return [] }
    log.sortIn()
    return log.messages
  }

  /// The messages of a stretch of ``messages``, for showing a long room in pages.
  public func messages(_ range: Range<Int>) -> [Message] {
    let messages = messages
    return Array(messages[range.clamped(to: 0..<messages.count)])
  }

  /// How many messages there are.
  public var messageCount: Int { options.kind == .messages ? log.count : 0 }

  /// Whether every stored entry of the room's feeds is in ``messages``.
  public var isCaughtUp: Bool {
    get async {
      await db.feeds.allSatisfy { $0.length < 2 || taken[$0.key, default: 0] >= $0.length - 1 }
    }
  }

  /// The message of a key.
  public func message(_ key: String) -> Message? { options.kind == .messages ? log[key] : nil }

  /// The messages with these words in their text or name, whatever the case and accents, newest first.
  public func search(_ words: String, limit: Int = 50) -> [Message] {
    let options: String.CompareOptions = [.caseInsensitive, .diacriticInsensitive]
    return Array(
      messages.lazy.reversed().filter {
        $0.text.range(of: words, options: options) != nil
          || $0.username.range(of: words, options: options) != nil
      }.prefix(limit))
  }

  /// The other users who are connected now.
  public var users: [UserData] { roster.users }

  // MARK: Writing

  /// Writes a message. When it returns, the message is in ``messages`` and its event was sent.
  ///
  /// - Returns: its key, `messages/<id>`.
  /// - Throws: ``SagaError`` with `tooLarge` beyond 64 KiB of text, `wrongKind` in a room of
  ///   operations; what the database throws.
  @discardableResult
  public func writeMessage(_ text: String) async throws -> String {
    let key = newKey()
    try await write(text, key: key)
    return key
  }

  /// Replaces the text of one's own message.
  ///
  /// - Throws: as ``writeMessage(_:)``.
  public func edit(_ key: String, to text: String) async throws {
    try await write(text, key: key)
  }

  /// Deletes one's own message or operation: readers of this project stop showing it, the block stays.
  public func delete(_ key: String) async throws {
    let node = try await db.delete(key)
    await takenIn(node.seq)
  }

  private func write(_ text: String, key: String) async throws {
    try check(.messages)
    guard text.utf8.count <= MessageContent.textLimit else {
      throw SagaError(
        .tooLarge, "A message can have 64 KiB of text; this one has \(text.utf8.count) bytes.")
    }
    let content = MessageContent(text: text, username: username, timestamp: options.now())
    try await write(content.value(key: key), key: key)
  }

  func write(_ value: [UInt8], key: String) async throws {
    if isClosed { throw SagaError(.closed, "The room is closed.") }
    let node = try await db.put(key, value)
    await takenIn(node.seq)
  }

  func newKey() -> String {
    options.kind.prefix + (options.makeID?() ?? ids.next(random: &random))
  }

  func check(_ kind: RoomKind) throws {
    guard options.kind != kind else { return }
    throw SagaError(
      .wrongKind, "This room was opened for \(options.kind); to write others open it for \(kind).")
  }

  /// Waits until an entry of one's own is in the log.
  private func takenIn(_ seq: UInt64) async {
    if taken[db.localKey, default: 0] >= seq || isClosed { return }
    await withCheckedContinuation { ownWaiters.append((seq, $0)) }
  }

  // MARK: Following the database

  /// - Returns: whether to go on.
  private func handle(_ update: DatabaseUpdate) -> Bool {
    if isClosed { return false }
    switch update {
    case .entries(let entries):
      var changes: [MessageLog.Change] = []
      for entry in entries { changes += take(entry) }
      // What was there before is told to each reader sorted, once all of it is read.
      if isReady { tell(changes.map { SagaEvent($0, in: options.kind) }) }
      tryNewcomers()
    case .caughtUp:
      isReady = true
      for waiter in readyWaiters { waiter.resume() }
      readyWaiters = []
      tell(.ready)
    case .authorized:
      isAuthorized = true
      tell(.authorized)
      tryNewcomers()
    case .uploaded(let seq): tell(.sent(seq: seq))
    case .forked(let evidence):
      forks.append(evidence)
      tell(.forked(evidence))
    case .restored: tell(.restored)
    case .issue(let error): tell(.error(SagaError(.database, error.reason)))
    }
    return true
  }

  private func take(_ entry: DatabaseNode) -> [MessageLog.Change] {
    defer {
      taken[entry.feed] = entry.seq
      if entry.feed == db.localKey, !ownWaiters.isEmpty {
        let done = ownWaiters.filter { $0.seq <= entry.seq }
        ownWaiters.removeAll { $0.seq <= entry.seq }
        for waiter in done { waiter.1.resume() }
      }
    }
    // Keys are kept for as long as the room is open, so a writer of huge ones would fill memory. No
    // sound writer makes them.
    guard options.keepsMessages, entry.keyBytes.count <= HyperDBLimits.keyBytes,
      entry.keyBytes.starts(with: prefix)
    else { return [] }
    return log.add(
      MessageLog.Entry(
        key: entry.key, feed: entry.feed,
        feedNumber: entry.feedNumber, seq: entry.seq, clock: entry.rawClock,
        content: entry.value.flatMap(options.kind.content), isDeletion: entry.isDeleted))
  }

  private func databaseEnded() {
    for waiter in readyWaiters { waiter.resume() }
    readyWaiters = []
    for waiter in ownWaiters { waiter.1.resume() }
    ownWaiters = []
  }

  // MARK: Events

  /// What happens from now on, after the messages that are here already.
  ///
  /// - Parameter stored: whether those are told at all.
  public nonisolated func events(stored: Bool = true) -> SagaEvents {
    SagaEvents(saga: self, stored: stored)
  }

  /// The same, of which nothing is missed from this call on, however late the reading begins. To be
  /// iterated over once.
  public func listen(stored: Bool = true) -> SagaEvents {
    SagaEvents(saga: self, stored: stored, queue: subscribe(stored: stored))
  }

  func subscribe(stored: Bool) -> UInt64 {
    lastSubscriber += 1
    var queue = SagaEventQueue(wantsStored: stored)
    if isReady {
      log.sortIn()
      queue.add(stored: log.messages, options.kind)
      queue.add(.ready)
    }
    for fork in forks { queue.add(.forked(fork)) }
    for user in roster.users { queue.add(.join(user)) }
    for user in requests { queue.add(.request(user)) }
    if isClosed { queue.close() }
    subscribers[lastSubscriber] = queue
    return lastSubscriber
  }

  /// The events that wait for a reader; waits for some. Nil at the end.
  func nextEvents(_ number: UInt64) async -> [SagaEvent]? {
    while true {
      if let events = subscribers[number]?.take() { return events }
      guard let queue = subscribers[number], !queue.isClosed, !Task.isCancelled else {
        subscribers[number] = nil
        return nil
      }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          if Task.isCancelled {
            continuation.resume()
          } else {
            subscribers[number]?.waiter = continuation
          }
        }
      } onCancel: {
        Task { await self.wake(number) }
      }
    }
  }

  private func wake(_ number: UInt64) {
    let waiter = subscribers[number]?.waiter
    subscribers[number]?.waiter = nil
    waiter?.resume()
  }

  func tell(_ event: SagaEvent) { tell([event]) }

  private func tell(_ events: [SagaEvent]) {
    if events.isEmpty { return }
    for number in Array(subscribers.keys) {
      for event in events {
        if case .ready = event {
          log.sortIn()
          subscribers[number]?.add(stored: log.messages, options.kind)
        }
        subscribers[number]?.add(event)
      }
      wake(number)
    }
  }

  /// Closes the room and its database.
  public func close() async {
    guard !isClosed else { return }
    isClosed = true
    reader?.cancel()
    authorizer?.cancel()
    for number in Array(subscribers.keys) {
      subscribers[number]?.close()
      wake(number)
    }
    databaseEnded()
    await db.close()
  }
}

/// How a room is opened.
public struct SagaOptions: Sendable {
  /// What its entries are.
  public var kind = RoomKind.messages
  /// How its database is kept: with a small cache, since a room is read in order and written at its end.
  public var database: HyperDBOptions = {
    var options = HyperDBOptions()
    options.cacheBytes = 4 * 1024 * 1024
    return options
  }()
  /// Who may write.
  public var authorization = AuthorizationPolicy.open
  /// What bounds that.
  public var limits = AuthorizationLimits()
  /// False for a program that only keeps the room going: ``Saga/messages`` stays empty, and no event
  /// tells of messages. They are stored and passed on all the same.
  public var keepsMessages = true
  /// Whose messages are not to be shown here, from an earlier run.
  public var muted: Set<PublicKey> = []
  /// The time, in milliseconds since 1970.
  public var now: @Sendable () -> Int64 = { Int64((Date().timeIntervalSince1970 * 1000).rounded()) }
  /// Makes the ids of new messages, to repeat recorded ones; nil for random ones.
  package var makeID: (@Sendable () -> String)?

  /// The defaults.
  public init() {}
}
