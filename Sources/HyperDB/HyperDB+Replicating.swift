public import Hypercore
internal import HypercoreCrypto
package import HypercoreProtocol

/// One connection of a database: opens feeds on it as they become known.
final class DatabaseSession {
  let session: ReplicationSession
  let options: ReplicationOptions
  /// Feeds opened so far, by number.
  var opened: Set<Int> = []
  var openedContents: Set<Int> = []
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
    await ReplicationStream(
      try session(options, options.connectionOptions(defaultID: ownID), now: .now))
  }

  /// One end of a connection without a transport, which starts at `now`.
  package func session(
    _ options: ReplicationOptions, _ connection: Connection.Options, now: ContinuousClock.Instant
  ) throws -> OnReplica<ReplicationSession> {
    try checkOpen()
    let session = ReplicationSession(
      connection: Connection(options: connection, now: now), expectedFeeds: 0, now: now,
      nonces: nonces)
    let entry = DatabaseSession(session: session, options: options)
    let id = ObjectIdentifier(session)
    session.onFinish = { [weak self] in
      self?.assumeIsolated { $0.mayFinish(id) } ?? true
    }
    session.onClose = { [weak self] _ in self?.assumeIsolated { $0.ended(id) } }
    sessions.append(entry)
    try openFeeds(entry)
    return OnReplica(session, on: replica)
  }

  private func ended(_ id: ObjectIdentifier) {
    guard let place = place(of: id) else { return }
    sessions.remove(at: place).close()
  }

  private func place(of id: ObjectIdentifier) -> Int? {
    sessions.firstIndex { ObjectIdentifier($0.session) == id }
  }

  /// Opens what is authorized and not open on this connection yet, the source first, each content feed
  /// after its writer's own. The connection expects each of them to end.
  private func openFeeds(_ entry: DatabaseSession) throws {
    for number in core.authorized where !entry.isClosed {
      if let log = feedSet.logs[core.feedKeys[number]], entry.opened.insert(number).inserted {
        entry.session.expectedFeeds += 1
        try entry.session.open(
          log.replicator, download: entry.options.download ?? log.core.wantsBlocks,
          upload: entry.options.upload)
      }
      if let content = contents[number], entry.openedContents.insert(number).inserted {
        entry.session.expectedFeeds += 1
        try entry.session.open(
          content.replicator, download: entry.options.download ?? content.download,
          upload: entry.options.upload)
      }
    }
  }

  /// Whether a connection that has exchanged what it knew of may end: not if that brought new
  /// feeds.
  private func mayFinish(_ id: ObjectIdentifier) -> Bool {
    guard let entry = place(of: id).map({ sessions[$0] }) else { return true }
    settle()
    return entry.session.expectedFeeds == 0
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
    case .stored(let ranges):
      if let number = core.number(of: key) {
        arrivals.add(ranges, of: number)
        lookForArrivals()
        inspect(number, ranges)
      }
      settle()
    case .peerAdded:
      if options.sparse, let log = feedSet.logs[key] { askForNewest(log, isNewPeer: true) }
    case .remoteUpdate:
      if options.sparse, let log = feedSet.logs[key] { askForNewest(log, isNewPeer: false) }
    case .uploaded(let range, _):
      if key == localKey, range.upperBound > uploadedLength {
        uploadedLength = range.upperBound
        for reader in readers.values { reader.wake() }
      }
    case .forked:
      for reader in readers.values {
        reader.forksAreDue = true
        reader.wake()
      }
    case .restored:
      for reader in readers.values {
        reader.restoredIsDue = true
        reader.wake()
      }
    default: break
    }
  }

  /// Reads what is stored of a feed without a gap and was not looked at yet: the lists in it name more
  /// feeds.
  func inspect(_ number: Int) {
    guard let log = feedSet.logs[core.feedKeys[number]] else { return }
    while log.inspected < log.length, log.has(log.inspected) {
      let seq = log.inspected
      log.inspected += 1
      inspect(number, seq)
    }
  }

  private func inspect(_ number: Int, _ ranges: [Range<UInt64>]) {
    inspect(number)
    guard options.sparse else { return }
    for range in ranges {
      for seq in range { inspect(number, Int(clamping: seq)) }
    }
  }

  private func inspect(_ number: Int, _ seq: Int) {
    guard seq > 0 else { return }
    do { try core.inspect(feed: number, seq: seq) } catch let missing as MissingBlock {
      if options.sparse { prefetch(missing) }
    } catch {
      // A storage that fails: reads that need the block say so.
      return
    }
  }

  /// In a sparse database: asks for the newest block that a peer announces. It brings the length with a
  /// signature, and nobody waits for it.
  private func askForNewest(_ log: ReplicatedFeed, isNewPeer: Bool) {
    guard !log.core.isOwned else { return }
    var announced = log.replicator.peers.map(\.remoteLength).max() ?? 0
    // A question makes a new peer tell what it has.
    if isNewPeer { announced = max(announced, log.core.length + 1) }
    guard announced > log.core.length else { return }
    if let last = newestAsked.removeValue(forKey: log.key) {
      log.replicator.cancel(last, FeedError(code: .cancelled, reason: "There is a newer block."))
    }
    newestAsked[log.key] = log.replicator.update(to: announced) { _ in }
    if log.key == key, options.contentFeed, core.contentKey(of: 0) == nil, announced > 1 {
      prefetch(MissingBlock(feed: 0, seq: 1))
    }
  }

  /// Follows up on feeds that were opened or authorized, and wakes those who follow the database.
  func settle() {
    attachContents()
    while knownFeedChanges != core.feedChanges + contentChanges {
      knownFeedChanges = core.feedChanges + contentChanges
      for number in core.feedKeys.indices { inspect(number) }
      attachContents()
      for entry in sessions {
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
}
