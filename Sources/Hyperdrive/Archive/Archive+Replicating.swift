public import Hypercore
package import HypercoreProtocol

/// One connection of an archive: the metadata feed first, the content feed once its key is known.
final class ArchiveSession {
  let session: ReplicationSession
  let options: ReplicationOptions
  var hasContent = false

  init(session: ReplicationSession, options: ReplicationOptions) {
    self.session = session
    self.options = options
  }
}

extension Archive {
  /// Starts replicating with one peer: the metadata feed, and the content feed as soon as its key is known.
  ///
  /// - Returns: the connection, which a transport drives.
  ///
  /// Stands for hyperdrive `replicate(options)`.
  public func replicate(_ options: ReplicationOptions = ReplicationOptions()) async throws
    -> ReplicationStream
  {
    await ReplicationStream(
      try session(options, options.connectionOptions(defaultID: ownID), now: .now))
  }

  /// Returns one end of a connection without a transport, started at `now`.
  package func session(
    _ options: ReplicationOptions, _ connection: Connection.Options, now: ContinuousClock.Instant
  ) throws -> OnReplica<ReplicationSession> {
    try checkOpen()
    if files != nil, reconciliation.version == nil {
      do { try reconcile() } catch { noteFailure(error) }
    }
    let session = ReplicationSession(
      connection: Connection(options: connection, now: now), expectedFeeds: 1, now: now,
      nonces: nonces)
    let entry = ArchiveSession(session: session, options: options)
    let id = ObjectIdentifier(session)
    session.hooks.onFinish = { [weak self] in
      guard let self else { return true }
      return try self.assumeIsolated { try $0.mayFinish(id) }
    }
    session.hooks.onClose = { [weak self] _ in
      self?.assumeIsolated { archive in
        archive.sessions.removeAll { ObjectIdentifier($0.session) == id }
      }
    }
    sessions.append(entry)
    let metadata = feeds.metadata
    try session.open(
      metadata, download: options.download ?? metadata.core.wantsBlocks, upload: options.upload)
    try openContent(on: entry)
    return OnReplica(session, on: replica)
  }

  /// Opens the content feed on a connection, once its key is known.
  ///
  /// On a connection that ends by itself it is opened only once all entries are here: before that it is unknown
  /// what to fetch, and a feed of which nothing is wanted would end.
  private func openContent(on entry: ArchiveSession) throws {
    guard let content = feeds.content, !entry.hasContent, !entry.session.hasEnded else { return }
    if !entry.options.live, !feeds.metadata.core.isOwned, !options.sparseMetadata,
      !feeds.metadata.core.has(0..<feeds.metadata.core.length)
    {
      return
    }
    entry.hasContent = true
    entry.session.expectedFeeds += 1
    try entry.session.open(
      content, download: entry.options.download ?? content.core.wantsBlocks,
      upload: entry.options.upload)
  }

  private func openContents() {
    for entry in sessions {
      entry.session.perform { try openContent(on: entry) }
      entry.session.perform { try entry.session.process() }
    }
  }

  /// Returns whether a connection that has exchanged the feeds that it knew of may end: not if that brought the
  /// content feed's key.
  private func mayFinish(_ id: ObjectIdentifier) throws -> Bool {
    guard let entry = sessions.first(where: { ObjectIdentifier($0.session) == id }) else {
      return true
    }
    try openContent(on: entry)
    return entry.session.expectedFeeds == 0
  }

  /// Ends all waiting for files while nothing is fetched, such as on a full disk.
  private func notePause() {
    broadcast.send(.trouble)
    wakeWaiters()
  }

  // MARK: Events of the feeds

  func metadataChanged(_ event: ReplicatorEvent) {
    guard !isClosed else { return }
    switch event {
    case .stored, .appended:
      if content == nil, fault == nil {
        do { try openContent() } catch {
          // Another kind of feed: nothing more of it is wanted.
          fault = error as? ArchiveError ?? ArchiveError(.feed, "\(error)", cause: error)
          for entry in sessions { entry.session.close(error) }
          for waiter in firstContent { waiter.resume() }
          firstContent = []
        }
      }
      openContents()
      notifyOfVersion()
      reconcileSoon()
    case .forked: broadcast.send(.trouble)
    case .peerAdded: askForNewest(isNewPeer: true)
    case .remoteUpdate: askForNewest(isNewPeer: false)
    case .paused, .resumed: notePause()
    default: break
    }
  }

  func contentChanged(_ event: ReplicatorEvent) {
    guard !isClosed else { return }
    switch event {
    case .synced where !options.latest: broadcast.send(.sync(version: tree.version))
    case .stored(let ranges, _):
      if isFollowing { reconciliation.arrived += ranges }
      reconcileSoon()
    case .forked: broadcast.send(.trouble)
    case .paused, .resumed: notePause()
    default: break
    }
    if !reconciliation.waiters.isEmpty, files == nil { wakeWaiters() }
  }

  private func notifyOfVersion() {
    guard tree.version != toldVersion else { return }
    toldVersion = tree.version
    broadcast.send(.update(version: toldVersion))
  }

  /// In an archive with sparse metadata, asks for the newest entry that a peer announces. It brings the
  /// signed length, and no call waits for it.
  private func askForNewest(isNewPeer: Bool) {
    let metadata = feeds.metadata
    guard options.sparseMetadata, !metadata.core.isOwned else { return }
    var announced = metadata.peers.map(\.remoteLength).max() ?? 0
    // A request makes a new peer announce what it has.
    if isNewPeer { announced = max(announced, metadata.core.length + 1) }
    guard announced > metadata.core.length else { return }
    if let newestAsked {
      metadata.cancel(newestAsked, FeedError(code: .cancelled, reason: "There is a newer entry."))
    }
    newestAsked = metadata.update(to: announced) { _ in }
    if content == nil { _ = metadata.get(0) { _ in } }
  }
}
