internal import HypercoreProtocol

extension FeedPeer {
  /// True if only the passing of time can show that nothing is left to do, in a session that ends
  /// by itself.
  var endsWhenIdle: Bool {
    guard !session.isLive, !isClosed else { return false }
    // Without this, a feed that the remote does not know would be waited for forever.
    if !session.connection.isOpenRemotely(channel) { return true }
    if everDownloaded, isDownloading {
      return replicator.isSparse && replicator.endsWhenIdle && requests.activeCount == 0
    }
    // The remote may not know that it has nothing to fetch.
    return !everDownloaded && remoteIsDownloading && !sentFinalInfo && !hasQueuedAnswers
  }

  /// The time after which nothing more is expected, if nothing has happened until then.
  var idleDeadline: Moment {
    let isKnown = session.connection.isOpenRemotely(channel)
    return (isKnown ? lastActivity : max(lastActivity, session.lastReceived))
      + ReplicationLimits.idleEnd
  }

  /// Ends what has been idle for too long.
  func endIdle() {
    if !session.connection.isOpenRemotely(channel) {
      close()
    } else if isDownloading, everDownloaded {
      stopDownloading()
    } else {
      sentFinalInfo = true
      send(.info(uploading: true, downloading: false))
      replicator.needsUpdate()
    }
  }

  /// Says that this side requests nothing more, and ends if the remote has said so, too.
  private func stopDownloading() {
    isDownloading = false
    send(.info(uploading: true, downloading: false))
    if !remoteIsDownloading { close() }
  }

  /// Returns whether everything that is selected and that this peer has is here.
  private func hasNothingToFetch() throws -> Bool {
    if comparison.question != nil { return false }
    if !everDownloaded || !isDownloading || replicator.pause != nil { return true }
    if replicator.isSparse || openWants > 0 || requests.activeCount > 0 { return false }
    if try replicator.waits(for: self) { return false }
    return !replicator.wantsAnything(from: self)
  }

  /// In a session that isn't live, says that this side is done once it is, and closes the channel
  /// once both are.
  ///
  /// Source: hypercore `lib/replicate.js`, `_updateEnd` and `oninfo`, with their deadlocks removed:
  /// the channel also closes if the remote was done first, and every peer of a feed ends, not only
  /// the one that brought the last block.
  func updateEnd() throws {
    guard !session.isLive, !isClosed, try hasNothingToFetch() else { return }
    if isDownloading {
      stopDownloading()
      return
    }
    guard !remoteIsDownloading, !hasQueuedAnswers else { return }
    if !everDownloaded { send(.info(uploading: false, downloading: false)) }
    close()
  }

  /// Ends the feed on this connection.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    dropRequests()
    remoteBlocks.removeAll()
    promisedNodes.removeAll()
    remoteTree.removeAll()
    replicator.remove(self)
    session.connection.close(channel)
    session.peerClosed(self)
  }
}
