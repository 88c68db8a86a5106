internal import HyperDB
internal import Hyperdrive
internal import Hypercore
internal import HypercoreCrypto
internal import Logging
internal import RandomAccessStorage
internal import Saga

/// One key of a host: the room, database or feed behind it, open and stored.
actor HostedReplica {
  let key: PublicKey
  /// The present kind. `unknown` also for a database that may still turn out to be a room.
  private(set) var kind: HostedKind
  private let folder: String
  private let options: ReplicaHost.Options
  private let logger: Logger
  /// Called when the kind becomes known.
  private let found: @Sendable (HostedKind) async -> Void
  private(set) var content = Content.closed
  private var watcher: Task<Void, Never>?
  private var isClosed = false

  enum Content {
    /// Closed, for good or before something else is opened.
    case closed
    /// The first block is awaited.
    case probe(Feed)
    case feed(Feed)
    case archive(Archive)
    case database(HyperDB)
    case room(Saga)
  }

  init(
    _ key: HostedKey, folder: String, options: ReplicaHost.Options, logger: Logger,
    found: @escaping @Sendable (HostedKind) async -> Void
  ) {
    self.key = key.key
    kind = key.kind
    self.folder = folder
    self.options = options
    self.logger = logger
    self.found = found
  }

  // MARK: Opening

  /// Opens what is stored, or creates it.
  ///
  /// - Parameter stored: the kind of what the folder holds.
  func open(stored: HostedKind?) async {
    do {
      switch (kind, stored) {
      case (.room, _): try await openRoom()
      case (.database, _), (.unknown, .database), (.unknown, .room): try await openDatabase()
      case (.feed, _), (.unknown, .feed): try await openFeed()
      case (.archive, _), (.unknown, .archive): try await openArchive()
      case (.unknown, .unknown), (.unknown, nil): try await openProbe()
      }
    } catch {
      failed(error)
    }
  }

  private func openFeed() async throws {
    let feed = try await Feed.open(folder: folder, options: feedOptions)
    log(await feed.repairReport, of: key)
    content = .feed(feed)
    let events = feed.events()
    if let fork = await feed.forkEvidence { forked(fork.key) }
    watcher = Task { [weak self, key] in
      for await event in events {
        switch event {
        case .pause(let pause): await self?.paused(key, pause)
        case .resume: await self?.paused(key, nil)
        case .fork: await self?.forked(key)
        default: continue
        }
      }
    }
  }

  private func openArchive() async throws {
    var options = Archive.Options(key: key)
    options.durability = self.options.durability
    // A host keeps the newest version's files, like everybody who shares a folder.
    options.latest = true
    options.disk = self.options.disk
    // Both feeds are one writer's, who has the archive to itself: the limit in all is the archive's.
    options.disk.perWriter = nil
    let archive = try await Archive.open(folder: folder, options: options)
    log(await archive.metadata.repairReport, of: key)
    content = .archive(archive)
    let events = archive.events()
    await look(at: archive)
    watcher = Task { [weak self] in
      for await event in events where event == .trouble { await self?.look(at: archive) }
    }
  }

  /// Looks whether something is the matter with an archive.
  private func look(at archive: Archive) async {
    if let fork = await archive.fork { forked(fork.key) }
    let pause = await archive.downloadPause
    if pauses[key] != pause { paused(key, pause) }
  }

  /// Logs what opening a feed found amiss.
  private func log(_ report: RepairReport, of feed: PublicKey) {
    for finding in report.findings {
      logger.warning("\(finding)", metadata: ["discoveryKey": "\(feed.discoveryKey)"])
    }
  }

  private var feedOptions: Feed.Options {
    var options = Feed.Options(key: key)
    options.durability = self.options.durability
    options.disk = self.options.disk
    return options
  }

  /// The feeds whose download is paused.
  private(set) var pauses: [PublicKey: DownloadPause] = [:]

  private func paused(_ feed: PublicKey, _ pause: DownloadPause?) {
    pauses[feed] = pause
    let metadata: Logger.Metadata = ["discoveryKey": "\(key.discoveryKey)", "feed": "\(feed)"]
    if let pause {
      logger.warning("\(pause)", metadata: metadata)
    } else {
      logger.info("fetching goes on", metadata: metadata)
    }
  }

  /// The feeds that have two histories.
  private(set) var forks: Set<PublicKey> = []

  private func forked(_ feed: PublicKey) {
    guard forks.insert(feed).inserted else { return }
    logger.warning(
      "A feed has two histories, both signed with its key; nothing newer of it is taken.",
      metadata: ["discoveryKey": "\(key.discoveryKey)", "feed": "\(feed)"])
  }

  private var onPause: @Sendable (PublicKey, DownloadPause?) -> Void {
    { [weak self] feed, pause in Task { await self?.paused(feed, pause) } }
  }

  private func openRoom() async throws {
    var options = Saga.Options()
    options.authorization = self.options.authorization
    options.keepsMessages = false
    options.database = databaseOptions
    let saga = try await Saga.open(
      folder: folder, key: key, username: self.options.name, options: options)
    for (feed, report) in await saga.db.repairReports { log(report, of: feed) }
    await saga.db.releaseCaches()
    content = .room(saga)
  }

  private var databaseOptions: HyperDB.Options {
    var options = HyperDB.Options()
    options.cacheBytes = self.options.cacheBytes
    options.durability = self.options.durability
    options.disk = self.options.disk
    options.onPause = onPause
    options.onRefusal = { [weak self] refusal in Task { await self?.refused(refusal) } }
    return options
  }

  private func openDatabase() async throws {
    var options = databaseOptions
    options.contentFeed = true
    let database = try await HyperDB.open(folder: folder, key: key, options: options)
    for (feed, report) in await database.repairReports { log(report, of: feed) }
    await database.releaseCaches()
    content = .database(database)
    guard kind == .unknown else { return }
    watcher = Task { [weak self] in
      for await update in database.updates(valuesUpTo: 0) {
        guard case .entries(let entries) = update else { continue }
        if entries.contains(where: Self.isOfRoom) {
          await self?.becomeRoom()
          return
        }
      }
    }
  }

  /// Returns whether only a room would have the entry: one that the workshop's class or the later
  /// @geut/saga writes.
  private static func isOfRoom(_ entry: DatabaseNode) -> Bool {
    entry.keyBytes.starts(with: "messages/".utf8) || entry.keyBytes.starts(with: "operations/".utf8)
  }

  // MARK: Probing

  /// Waits for the first block, which tells whether this is a hyperdb. It is kept in memory: its location
  /// on disk depends on the answer.
  private func openProbe() async throws {
    let feed = try await Feed.inMemory(options: Feed.Options(key: key, sparse: true))
    content = .probe(feed)
    watcher = Task { [weak self] in
      guard let block = try? await feed.get(0) else { return }
      await self?.probed(block)
    }
  }

  private func probed(_ block: [UInt8]) async {
    guard !isClosed, case .probe(let feed) = content else { return }
    content = .closed
    // Its connections end; the peers come back, and find the right kind.
    try? await feed.close()
    guard !isClosed else { return }
    do {
      if HyperDB.isHeader(block) {
        try await openDatabase()
      } else if Archive.isHeader(block) {
        kind = .archive
        try await openArchive()
        await found(.archive)
      } else {
        kind = .feed
        try await openFeed()
        await found(.feed)
      }
    } catch {
      failed(error)
    }
    if isClosed { await closeContent() }
  }

  private func becomeRoom() async {
    guard !isClosed, case .database(let database) = content else { return }
    kind = .room
    content = .closed
    await database.close()
    guard !isClosed else { return }
    do { try await openRoom() } catch { failed(error) }
    await found(.room)
    if isClosed { await closeContent() }
  }

  /// Handles a key that is neither a room's nor a database's: it stays in the list, with an error, until its
  /// removal.
  private func refused(_ refusal: HyperDBError) async {
    failed(refusal)
    await closeContent()
  }

  private func failed(_ error: any Error) {
    logger.error(
      "A replica could not be opened: \(error)", metadata: ["discoveryKey": "\(key.discoveryKey)"])
    failure = "\(error)"
  }

  /// The reason why it is not open.
  private(set) var failure: String?

  // MARK: Peers

  /// Starts a connection with a peer.
  func replicate() async throws -> ReplicationStream {
    switch content {
    case .closed:
      throw HostError(.closed, failure ?? "The replica is being opened or closed.")
    case .probe(let feed), .feed(let feed): return try await feed.replicate(.live)
    case .archive(let archive): return try await archive.replicate(.live)
    case .database(let database): return try await database.replicate(.live)
    case .room(let saga): return try await saga.replicate()
    }
  }

  /// Follows a connection to its end: in a room, meets the user.
  ///
  /// - Parameter address: the address of the other end, without port.
  func meet(_ stream: ReplicationStream, from address: String) async {
    do {
      if case .room(let saga) = content {
        try await saga.connect(stream, from: address)
      } else {
        try await stream.finished()
      }
    } catch {
      logger.debug("A connection ended: \(error)")
    }
  }

  // MARK: State

  /// Returns the present status.
  func status() async -> HostedStatus {
    var forks = self.forks
    var status = HostedStatus(key: key, kind: kind, folder: folder)
    switch content {
    case .closed: status.state = .failed
    case .probe: status.state = .waiting
    case .feed(let feed):
      status.length = await feed.length
      status.stored = await feed.downloaded()
      status.feeds = 1
    case .archive(let archive):
      status.length = await archive.metadata.length
      status.stored = await archive.metadata.downloaded()
      status.feeds = 1
      if let content = await archive.content {
        status.length += await content.length
        status.stored += await content.downloaded()
        status.feeds += 1
      }
    case .database(let database):
      if kind == .unknown { status.kind = .database }
      await Self.add(database, to: &status)
      forks.formUnion(await database.forks.map(\.key))
    case .room(let saga):
      await Self.add(saga.db, to: &status)
      forks.formUnion(await saga.db.forks.map(\.key))
      status.isWriter = await saga.db.isLocalAuthorized
    }
    status.problem = failure
    if failure == nil, let fork = forks.min(by: { $0.hex < $1.hex }) {
      status.problem =
        "Feed \(fork) has two histories, both signed with its key: nothing newer of it is taken."
    } else if failure == nil, let pause = pauses.min(by: { $0.key.hex < $1.key.hex }) {
      let more = pauses.count > 1 ? " (and \(pauses.count - 1) more)" : ""
      status.problem = "Feed \(pause.key)\(more): \(pause.value)"
    }
    // For good, unlike a pause.
    if failure == nil, let fork = await fork { status.problem = FeedError.forked(fork).reason }
    return status
  }

  /// The first feed whose key has signed two histories.
  private var fork: ForkEvidence? {
    get async {
      switch content {
      case .closed: nil
      case .probe(let feed), .feed(let feed): await feed.forkEvidence
      case .archive(let archive): await Self.fork(of: archive)
      case .database(let database): await database.forks.first
      case .room(let saga): await saga.forks.first
      }
    }
  }

  private static func fork(of archive: Archive) async -> ForkEvidence? {
    if let fork = await archive.metadata.forkEvidence { return fork }
    return await archive.content?.forkEvidence
  }

  private static func add(_ database: HyperDB, to status: inout HostedStatus) async {
    for feed in await database.feeds where feed.isAuthorized {
      status.feeds += 1
      status.length += feed.length
      status.stored += feed.storedLength
    }
  }

  /// Ends its connections and releases its folder.
  func close() async {
    isClosed = true
    watcher?.cancel()
    await closeContent()
  }

  private func closeContent() async {
    let last = content
    content = .closed
    do {
      switch last {
      case .closed: break
      case .probe(let feed), .feed(let feed): try await feed.close()
      case .archive(let archive): try await archive.close()
      case .database(let database): await database.close()
      case .room(let saga): await saga.close()
      }
    } catch {
      logger.error(
        "A feed could not be closed: \(error)",
        metadata: ["discoveryKey": "\(key.discoveryKey)"])
    }
  }
}
