internal import HypercoreProtocol

extension FeedPeer {
  /// Whether this peer is only kept open by a remote that may not know it has nothing to fetch.
  var endsWhenIdle: Bool {
    !session.isLive && !isClosed && !everDownloaded && remoteIsDownloading && !sentFinalInfo
      && !hasQueuedAnswers
  }

  /// Whether everything is here that is selected and that this peer has.
  private func hasNothingToFetch() throws -> Bool {
    if !everDownloaded || !isDownloading { return true }
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
      isDownloading = false
      send(.info(uploading: true, downloading: false))
      if !remoteIsDownloading { close() }
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
    for index in requests.removeAll() { replicator.release(index) }
    for (data, _) in held { replicator.release(data.index) }
    held = []
    replicator.remove(self)
    session.connection.close(channel)
    session.peerClosed(self)
  }
}
