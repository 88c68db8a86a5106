internal import HypercoreProtocol

extension FeedPeer {
  /// True if only the passing of time can show that nothing is left to do, in a session that ends
  /// by itself.
  var endsWhenIdle: Bool {
    guard !session.isLive, !isClosed else { return false }
    // Without this, a feed that the remote does not know would be waited for forever.
    if !session.connection.isOpenRemotely(channel) { return true }
    switch ending.fetching {
    case .on:
      return replicator.plan.isSparse && replicator.plan.endsWhenIdle
        && download.requests.activeCount == 0
    // The remote may not know that it has nothing to fetch.
    case .never: return ending.remoteIsFetching && !upload.hasQueue
    case .neverRepeated, .over: return false
    }
  }

  /// The time after which nothing more is expected, if nothing has happened until then.
  var idleDeadline: Moment {
    let isKnown = session.connection.isOpenRemotely(channel)
    return (isKnown ? ending.lastActivity : max(ending.lastActivity, session.lastReceived))
      + ReplicationLimits.idleEnd
  }

  /// Ends what has been idle for too long.
  func endIdle() {
    take(ending.idled(isKnown: session.connection.isOpenRemotely(channel)))
  }

  private func take(_ step: PeerEnding.Step) {
    switch step {
    case .wait: return
    case .finish(let closes):
      send(.info(uploading: true, downloading: false))
      if closes { close() }
    case .remind:
      send(.info(uploading: true, downloading: false))
      replicator.needsUpdate()
    case .leave:
      send(.info(uploading: false, downloading: false))
      close()
    case .close: close()
    }
  }

  /// Returns whether everything that is selected and that this peer has is here.
  private func hasNothingToFetch() throws -> Bool {
    if comparison.question != nil { return false }
    if !isDownloading || replicator.gate.isPaused { return true }
    if replicator.plan.isSparse || remote.isAsked || download.requests.activeCount > 0 {
      return false
    }
    if try replicator.waits(for: self) { return false }
    return !replicator.wantsAnything(from: self)
  }

  /// In a session that isn't live, says that this side is done once it is, and closes the channel
  /// once both are.
  func updateEnd() throws {
    guard !session.isLive, !isClosed, try hasNothingToFetch() else { return }
    take(ending.finished(hasQueue: upload.hasQueue))
  }

  /// Ends the feed on this connection.
  func close() {
    guard ending.close() else { return }
    dropRequests()
    remote.removeAll()
    download.removeAll()
    upload.remoteTree.removeAll()
    replicator.remove(self)
    session.connection.close(channel)
    session.peerClosed(self)
  }
}
