public import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

/// One connection of a database: opens feeds on it as they become known.
final class DatabaseSession {
  let session: ReplicationSession
  let options: ReplicationOptions
  /// Feeds opened so far, as a number of those authorized.
  var openedCount = 0
  private(set) var isClosed = false

  init(session: ReplicationSession, options: ReplicationOptions) {
    self.session = session
    self.options = options
  }

  func close() { isClosed = true }
}

extension HyperDB {
  /// Starts replicating with one peer: all authorized feeds, and those that are authorized while
  /// the connection lasts.
  ///
  /// - Returns: the connection, which a transport drives.
  ///
  /// Stands for hyperdb `replicate(options)`.
  public func replicate(_ options: ReplicationOptions = ReplicationOptions()) async throws
    -> ReplicationStream
  {
    try checkOpen()
    let connection = Connection(options: options.connectionOptions(defaultID: ownID), now: .now)
    let session = ReplicationSession(
      connection: connection, expectedFeeds: max(core.authorized.count, 1), now: .now)
    let entry = DatabaseSession(session: session, options: options)
    let id = ObjectIdentifier(session)
    session.onFinish = { [weak self] in
      self?.assumeIsolated { $0.mayFinish(id) } ?? true
    }
    session.onClose = { [weak self] _ in
      self?.assumeIsolated { $0.sessions.removeValue(forKey: id)?.close() }
    }
    sessions[id] = entry
    try openFeeds(entry)
    return await ReplicationStream(OnReplica(session, on: replica))
  }

  /// Opens what is authorized and not open on this connection yet, the source first.
  private func openFeeds(_ entry: DatabaseSession) throws {
    while !entry.isClosed, entry.openedCount < core.authorized.count {
      let number = core.authorized[entry.openedCount]
      entry.openedCount += 1
      guard let log = feedSet.logs[core.feedKeys[number]] else { continue }
      try entry.session.open(
        log.replicator, download: entry.options.download ?? !log.core.isOwned,
        upload: entry.options.upload)
    }
  }

  /// Whether a connection that has exchanged what it knew of may end: not if that brought new
  /// feeds.
  private func mayFinish(_ id: ObjectIdentifier) -> Bool {
    guard let entry = sessions[id] else { return true }
    let before = entry.openedCount
    settle()
    let added = entry.openedCount - before
    if added == 0 { return true }
    entry.session.expectedFeeds += added
    return false
  }

  /// Whether every feed is as long here as any connected peer says, with at least one connected.
  ///
  /// Tells a program that it has caught up; peers may have more to say a moment later.
  public var isSynced: Bool {
    guard core.authorized.count > 0 else { return false }
    return core.authorized.allSatisfy { number in
      guard let log = feedSet.logs[core.feedKeys[number]] else { return false }
      return log.core.isOwned ? !log.replicator.peers.isEmpty : log.replicator.isSynced
    }
  }

  // MARK: What the feeds tell

  func feedChanged(_ key: PublicKey, _ event: ReplicatorEvent) {
    guard !isClosed else { return }
    switch event {
    case .stored:
      if let number = core.number(of: key) { inspect(number) }
      settle()
    case .uploaded(let index, _, _):
      if key == localKey, index + 1 > uploadedLength {
        uploadedLength = index + 1
        for reader in readers.values { reader.wake() }
      }
    default: break
    }
  }

  /// Reads what is stored of a feed and was not looked at yet: the lists in it name more feeds.
  func inspect(_ number: Int) {
    guard let log = feedSet.logs[core.feedKeys[number]] else { return }
    while log.inspected < log.length, log.has(log.inspected) {
      let seq = log.inspected
      log.inspected += 1
      guard seq > 0 else { continue }
      do { try core.inspect(feed: number, seq: seq) } catch { continue }
    }
  }

  /// Follows up on feeds that were opened or authorized, and wakes those who follow the database.
  func settle() {
    while knownFeedChanges != core.feedChanges {
      knownFeedChanges = core.feedChanges
      for number in core.feedKeys.indices { inspect(number) }
      for entry in Array(sessions.values) {
        entry.session.perform { try openFeeds(entry) }
        entry.session.perform { try entry.session.process() }
      }
    }
    if !wasAuthorized, isLocalAuthorized {
      wasAuthorized = true
      for number in readers.keys { readers[number]?.authorizedIsDue = true }
    }
    if hasContent, !firstContent.isEmpty {
      for waiter in firstContent { waiter.resume() }
      firstContent = []
    }
    for reader in readers.values { reader.wake() }
    for watcher in watchers.values { watcher.changed() }
  }

  func flush(_ log: ReplicatedFeed) {
    // What fails here belongs to peers and to storage that fails again at the next write.
    try? log.replicator.flush()
  }

  /// Waits, on a clone that has nothing yet, for the first block of the database.
  func untilFirstContent() async throws {
    if hasContent || isClosed { return }
    await withCheckedContinuation { firstContent.append($0) }
    try checkOpen()
  }
}
