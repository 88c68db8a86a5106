internal import HypercoreProtocol

// The steps after a fork is found: finding where it begins, and notifying other peers.

extension FeedPeer {
  /// Asks for the path up from the first block that may differ, until the beginning of the fork is known:
  /// each answer halves the range in doubt.
  func narrowFork() {
    guard let evidence = core.forkEvidence, !isClosed else { return }
    let index = evidence.commonLength
    guard !evidence.isExact, comparison.narrowings < ReplicationLimits.narrowings,
      remote.blocks.contains(index)
    else {
      if comparison.narrowings > 0 { replicator.forkIsNarrowed() }
      return
    }
    comparison.narrow(at: index, now: session.now)
    send(.request(Request(index: index, hash: true, nodes: 0)))
  }

  func receiveNarrowing(_ data: DataMessage) throws {
    if try core.narrowFork(data.index, nodes: data.nodes, signature: data.signature) {
      narrowFork()
    } else {
      replicator.forkIsNarrowed()
    }
    replicator.needsUpdate()
  }

  /// Sends the proof of a fork to a peer that understands it, unless the peer has one that is as good.
  func sendEvidence(_ evidence: ForkEvidence) {
    let common = evidence.commonLength
    guard !isClosed, session.connection.remoteSupports(ForkEvidence.extensionName),
      comparison.send(evidence: common), let payload = try? evidence.fileBytes()
    else { return }
    try? session.connection.sendExtension(
      ForkEvidence.extensionName, payload: payload, on: channel)
    session.hasOutput()
  }

  /// Handles a proof of a fork that a peer sent.
  func receiveEvidence(_ payload: [UInt8]) throws {
    guard !isClosed, comparison.countEvidence() else { return }
    guard payload.count <= Int(ForkEvidence.maximumFileSize),
      let evidence = ForkEvidence(fileBytes: payload), evidence.key == core.key, evidence.isProven
    else { throw FeedError.peer("sent evidence of a fork that proves nothing") }
    comparison.received(evidence: evidence.commonLength)
    try replicator.takeEvidence(evidence)
  }
}
