internal import HypercoreProtocol

extension FeedPeer {
  /// Whether nothing but time can tell that there is nothing left to do, in a session that ends by
  /// itself.
  var endsWhenIdle: Bool {
    guard !session.isLive, !isClosed else { return false }
    // A feed that the remote does not know would be waited for for ever.
    if !session.connection.isOpenRemotely(channel) { return true }
    if everDownloaded, isDownloading {
      return replicator.isSparse && replicator.endsWhenIdle && requests.activeCount == 0
    }
    // The remote may not know that it has nothing to fetch.
    return !everDownloaded && remoteIsDownloading && !sentFinalInfo && !hasQueuedAnswers
  }

  /// When nothing has happened for long enough that nothing is expected any more.
  var idleDeadline: Moment {
    let isKnown = session.connection.isOpenRemotely(channel)
    return (isKnown ? lastActivity : max(lastActivity, session.lastReceived))
      + ReplicationLimits.idleEnd
  }

  /// Nothing has happened for long.
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

  /// Says that nothing more is asked for here, and ends where the remote has said so, too.
  private func stopDownloading() {
    isDownloading = false
    send(.info(uploading: true, downloading: false))
    if !remoteIsDownloading { close() }
  }

  /// Whether everything is here that is selected and that this peer has.
  private func hasNothingToFetch() throws -> Bool {
    if comparison.question != nil { return false }
    if !everDownloaded || !isDownloading || replicator.pause != nil { return true }
    if replicator.isSparse || openWants > 0 || requests.activeCount > 0 { return false }
    if try replicator.waits(for: self) { return false }
    return !replicator.wantsAnything(from: self)
  }

  /// In a session that isn't live: says that this side is done when it is, and closes the channel
  /// when both are.
  ///
  /// Source: hypercore `lib/replicate.js`, `_updateEnd` and `oninfo`, with the deadlocks mended: it
  /// closes also when the remote was done first, and every peer of a feed ends, not only the one that
  /// brought the last block.
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
