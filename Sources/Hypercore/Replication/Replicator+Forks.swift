// Notifies a feed's peers of a fork, and fetches the rest of a feed that turns out to be longer than its
// writer has.

extension Replicator {
  /// The proof that the feed has two histories, found here or sent by a peer.
  package var forkEvidence: ForkEvidence? { core.forkEvidence ?? doubts.evidence }

  /// Keeps a proof that a peer sent, and passes it on.
  ///
  /// The writer stops. A reader goes on with the history that it has, and refuses the other one in any case.
  func takeEvidence(_ evidence: ForkEvidence) throws {
    if let known = forkEvidence {
      guard evidence.commonLength > known.commonLength else { return }
      if core.forkEvidence == nil {
        doubts.evidence = evidence
      } else {
        core.standing.stop(evidence)
      }
      forkIsNarrowed()
    } else if core.isOwned {
      // This also notifies all peers.
      try core.quarantine(evidence)
    } else {
      doubts.evidence = evidence
      passOnEvidence()
      onEvent?(.forked)
    }
    needsUpdate()
  }

  /// Writes the evidence down once, and passes it on, when the beginning of the fork is known more exactly.
  func forkIsNarrowed() {
    core.keepForkEvidence()
    passOnEvidence()
  }

  /// Sends the proof to every peer that understands it and does not have it yet.
  func passOnEvidence() {
    guard let forkEvidence else { return }
    for peer in peers { peer.sendEvidence(forkEvidence) }
  }

  /// Fetches what is missing from `start` on in a feed that is written here, before anything is appended.
  func catchUp(from start: UInt64) {
    core.recovery.foundMore()
    guard catchUp.download == nil else { return }
    catchUp.begin(from: start, download: download(DownloadRange(start: start)))
    for peer in peers { peer.startDownloading() }
  }
}
