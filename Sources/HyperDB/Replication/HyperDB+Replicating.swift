public import Hypercore
package import HypercoreCrypto
package import HypercoreProtocol

/// One connection of a database: opens feeds on it as they become known.
final class DatabaseSession {
  let session: ReplicationSession
  let options: ReplicationOptions
  /// The feeds opened so far.
  var opened: Set<PublicKey> = []
  /// The writers whose content feeds were opened so far.
  var openedContents: Set<PublicKey> = []
  /// Chooses among candidates, if there are many.
  var random: any RandomNumberGenerator
  private(set) var isClosed = false

  init(
    session: ReplicationSession, options: ReplicationOptions, random: any RandomNumberGenerator
  ) {
    self.session = session
    self.options = options
    self.random = random
  }

  func close() { isClosed = true }
}

extension HyperDB {
  /// Starts replicating with one peer: all authorized feeds, and any that are authorized during the
  /// connection.
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

  /// The keys of this side's own feed; nil if they are not here.
  package var localIdentity: KeyPair? {
    feedSet.logs[localKey]?.core.secretKey.map { KeyPair(publicKey: localKey, secretKey: $0) }
  }

  /// One end of a connection without a transport, started at `now`.
  package func session(
    _ options: ReplicationOptions, _ connection: Connection.Options, now: ContinuousClock.Instant
  ) throws -> OnReplica<ReplicationSession> {
    try checkOpen()
    let session = ReplicationSession(
      connection: Connection(options: connection, now: now), expectedFeeds: 0, now: now,
      nonces: nonces)
    session.identity = options.identity
    let entry = DatabaseSession(
      session: session, options: options, random: self.options.makeRandom())
    let id = ObjectIdentifier(session)
    session.hooks.onFinish = { [weak self] in
      self?.assumeIsolated { $0.mayFinish(id) } ?? true
    }
    session.hooks.onQuiet = { [weak self] in self?.assumeIsolated { $0.quiet(id) } }
    session.hooks.onClose = { [weak self] _ in self?.assumeIsolated { $0.ended(id) } }
    sessions.append(entry)
    try openFeeds(entry)
    return OnReplica(session, on: replica)
  }

  /// Releases memory if no feed was used between two keep-alives of the connection that is open for the longest.
  private func quiet(_ id: ObjectIdentifier) {
    guard index(of: id) == 0 else { return }
    let uses = feedSet.uses
    if uses == usesWhenQuiet { releaseCaches() }
    usesWhenQuiet = uses
  }

  private func ended(_ id: ObjectIdentifier) {
    guard let index = index(of: id) else { return }
    let entry = sessions.remove(at: index)
    entry.close()
    releaseCandidates(of: entry)
  }

  private func index(of id: ObjectIdentifier) -> Int? {
    sessions.firstIndex { ObjectIdentifier($0.session) == id }
  }

  /// Opens what is authorized and not open on this connection yet, the source first, each content feed
  /// after its writer's own; then some candidates. The connection expects each of them to end.
  private func openFeeds(_ entry: DatabaseSession) throws {
    for number in core.authorized where !entry.isClosed {
      let key = core.feedKeys[number]
      if let log = feedSet.logs[key] { try open(log, entry) }
      if let content = contents[number], entry.session.freeChannels > 0,
        entry.openedContents.insert(key).inserted
      {
        entry.session.expectedFeeds += 1
        try entry.session.open(
          content.replicator, download: entry.options.download ?? content.download,
          upload: entry.options.upload)
      }
    }
    try openCandidates(entry)
  }

  /// Opens a feed on a connection, once, if a channel is free.
  func open(_ log: ReplicatedFeed, _ entry: DatabaseSession) throws {
    guard !entry.isClosed, entry.session.freeChannels > 0, entry.opened.insert(log.key).inserted
    else { return }
    entry.session.expectedFeeds += 1
    try entry.session.open(
      log.replicator, download: entry.options.download ?? log.core.wantsBlocks,
      upload: entry.options.upload)
  }

  /// Returns whether a connection that has exchanged the feeds that it knew of may end: not if that
  /// brought new feeds.
  private func mayFinish(_ id: ObjectIdentifier) -> Bool {
    guard let entry = index(of: id).map({ sessions[$0] }) else { return true }
    followUp()
    return entry.session.expectedFeeds == 0
  }

  /// True if every feed is as long here as any connected peer announces, with at least one connected.
  ///
  /// So a program sees that it has caught up; peers may announce more a moment later.
  public var isSynced: Bool {
    guard core.authorized.count > 0 else { return false }
    let areWritersSynced = core.authorized.allSatisfy { number in
      guard let log = feedSet.logs[core.feedKeys[number]] else { return false }
      return log.core.isOwned ? !log.replicator.peers.isEmpty : log.replicator.isSynced
    }
    return areWritersSynced
      && core.candidates.allSatisfy { key in
        // A feed that no peer has open may not exist.
        guard let log = feedSet.logs[key], log.replicator.isOpenRemotely else { return true }
        return log.replicator.isSynced
      }
  }

  // MARK: Events of the feeds

  func feedChanged(_ key: PublicKey, _ event: ReplicatorEvent) {
    guard !isClosed else { return }
    switch event {
    case .stored(let ranges, _):
      if let number = core.number(of: key) {
        arrivals.add(ranges, of: number)
        lookForArrivals()
        inspect(number, ranges)
      } else {
        admit(key)
      }
      followUp()
    case .peerAdded:
      if options.sparse, let log = feedSet.logs[key] { askForNewest(log, isNewPeer: true) }
    case .remoteUpdate:
      if options.sparse, let log = feedSet.logs[key] { askForNewest(log, isNewPeer: false) }
    case .uploaded(let range, _):
      if key == localKey, range.upperBound > uploadedLength {
        uploadedLength = range.upperBound
        followers.send(.changed)
      }
    case .forked: followers.send(.forked)
    case .restored: followers.send(.restored)
    case .failed(let error) where error.code == .wrongKind: refuse(error)
    case .paused(let pause): options.onPause?(key, pause)
    case .resumed:
      options.onPause?(key, nil)
      if let number = core.number(of: key) { inspect(number) }
      followUp()
    default: break
    }
  }

  /// Refuses the key, which is that of something else.
  private func refuse(_ error: FeedError) {
    guard refusal == nil else { return }
    let refusal = HyperDBError(.notADatabase, error.reason, cause: error)
    self.refusal = refusal
    for waiter in firstContent { waiter.resume(.failure(refusal)) }
    firstContent = []
    options.onRefusal?(refusal)
  }

  /// Reads what is stored of a feed without a gap and was not read yet: the lists in it name more
  /// feeds.
  func inspect(_ number: Int) {
    guard let log = feedSet.logs[core.feedKeys[number]] else { return }
    if log.inspected == 0, !options.sparse, let known = options.knownFeeds[log.key],
      Self.holds(known, log.core)
    {
      for seq in known.lists { inspect(number, Int(clamping: seq)) }
      log.inspected = Int(clamping: known.length)
    } else if log.inspected == 0, !options.sparse, options.readsAllEntries {
      log.inspected = log.log.firstMissing(from: 0)
      inspect(number, log.inspected - 1)
    }
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
      // A storage that fails: the reads that need the block report it.
      return
    }
  }

  /// In a sparse database, asks for the newest block that a peer announces. It brings the signed length,
  /// and no call waits for it.
  private func askForNewest(_ log: ReplicatedFeed, isNewPeer: Bool) {
    guard !log.core.isOwned else { return }
    var announced = log.replicator.peers.map(\.remoteLength).max() ?? 0
    // A request makes a new peer announce what it has.
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

  /// Follows up on feeds that were opened or authorized, and wakes the followers of the database.
  func followUp() {
    attachContents()
    while knownFeedChanges != core.feedChanges + contentChanges {
      knownFeedChanges = core.feedChanges + contentChanges
      for number in core.feedKeys.indices { inspect(number) }
      assignPlaces()
      attachContents()
      for entry in sessions {
        entry.session.perform { try openFeeds(entry) }
        entry.session.perform { try entry.session.process() }
      }
    }
    if !wasAuthorized, isLocalAuthorized {
      wasAuthorized = true
      followers.send(.authorized)
    }
    if hasContent, !firstContent.isEmpty {
      for waiter in firstContent { waiter.resume() }
      firstContent = []
    }
    followers.send(.changed)
    watchers.send(())
  }

  func flush(_ log: ReplicatedFeed) {
    // A failure here is a peer's, or that of a storage that fails again at the next write.
    try? log.replicator.flush()
  }
}
