// What a feed's peers are told of a fork, and what its writer does when the feed turns out to be longer.

extension Replicator {
  /// The proof that the feed has two histories, found here or sent by a peer.
  package var forkEvidence: ForkEvidence? { core.forkEvidence ?? heardEvidence }

  /// Keeps a proof that a peer sent, and passes it on.
  ///
  /// The writer stops. A reader goes on with the history that it has: the other one is refused in any case.
  func takeEvidence(_ evidence: ForkEvidence) throws {
    if let known = forkEvidence {
      guard evidence.commonLength > known.commonLength else { return }
      if core.forkEvidence == nil {
        heardEvidence = evidence
      } else {
        core.forkEvidence = evidence
      }
      forkIsNarrowed()
    } else if core.isOwned {
      // Tells everybody by the way.
      try core.quarantine(evidence)
    } else {
      heardEvidence = evidence
      passOnEvidence()
      onEvent?(.forked)
    }
    needsUpdate()
  }

  /// It is known better where the fork begins: that is written down once, and told.
  func forkIsNarrowed() {
    core.keepForkEvidence()
    passOnEvidence()
  }

  /// Sends the proof to every peer that understands it and has not got it yet.
  func passOnEvidence() {
    guard let forkEvidence else { return }
    for peer in peers { peer.sendEvidence(forkEvidence) }
  }

  /// Fetches what is missing from `start` on of a feed that is written here, before anything is appended.
  func catchUp(from start: UInt64) {
    core.noteBehind()
    guard restoring == nil else { return }
    catchUp.start = start
    restoring = download(DownloadRange(start: start))
    for peer in peers { peer.startDownloading() }
  }
}
