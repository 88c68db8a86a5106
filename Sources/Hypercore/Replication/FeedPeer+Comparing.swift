internal import HypercoreCrypto
internal import HypercoreProtocol

extension FeedPeer {
  /// Asks for the roots once there is something to compare. This precedes any other request, so that the
  /// answer leaves nothing out.
  func compareIfDue() {
    // Nearly always: this is asked at the end of every burst.
    if comparison.hasWanted, !comparison.isDue { return }
    guard !isClosed, core.length > 0, core.isLive, !core.isStopped else { return }
    if !comparison.hasWanted {
      comparison.hasWanted = true
      // A reader asks anyway.
      if !isDownloading, core.isOwned {
        ask(region: (core.length - 1) / ReplicationLimits.wantLength)
      }
    }
    guard comparison.isDue, comparison.question == nil else { return }
    // All that a reader has came from this peer, or was compared.
    guard core.isOwned || comparison.agreedLength < core.length else { return }
    guard
      comparison.failures < ReplicationLimits.comparisons, let index = comparableBlock
    else { return }
    comparison.ask(index, now: session.now)
    send(.request(Request(index: index, hash: true, nodes: 0)))
  }

  /// True if the peer's history has yet to be compared with the one that is written here, or its answer is
  /// awaited.
  var isComparing: Bool {
    comparison.question != nil
      || core.isOwned && core.isLive && core.length > 0 && !comparison.hasWanted
  }

  /// True if nothing else is requested from the peer before it has answered: a peer of the reference may
  /// answer in any order, and a longer history is not adopted before it is known to be the same.
  var waitsForRoots: Bool {
    comparison.question != nil && !session.connection.remoteSupports(ForkEvidence.extensionName)
  }

  /// The block whose path up covers most of what the peer is known to have. Never a block that the peer did
  /// not claim to have: the reference hangs up on that.
  private var comparableBlock: UInt64? {
    let length = core.length
    if remote.blocks.contains(length - 1) { return length - 1 }
    if remote.blocks.contains(length) { return length }
    return remote.blocks.last(in: 0..<length)
  }

  /// Handles the answer to the question, if the message is one.
  func receiveRoots(_ data: DataMessage) throws -> Bool {
    guard data.value == nil, let question = comparison.answered(data.index) else { return false }
    ending.lastActivity = session.now
    if core.forkEvidence != nil {
      try receiveNarrowing(data)
      return true
    }
    let result: RootComparison
    do {
      result = try core.compare(data.index, nodes: data.nodes, signature: data.signature)
    } catch {
      // The peer is not to blame for having the other history.
      guard error.code == .forked else { throw error }
      narrowFork()
      return true
    }
    switch result {
    case .same(let length):
      comparison.confirm(min(length, core.length))
      // A reader adopts a length only with a block that it requests separately.
      if length > core.length, core.isOwned { try catchUp(with: data) }
    case .unproven:
      comparison.fail()
      // A correct peer to which no node was named has no reason to leave any out.
      guard !question.toldNothing || data.signature == nil else {
        throw FeedError.rejected(
          "The peer's signature over the roots above block \(data.index) could not be verified.")
      }
    }
    replicator.needsUpdate()
    return true
  }

  /// Handles a longer history of a feed that is written here: the folder is behind, so the rest is fetched
  /// before anything is appended.
  private func catchUp(with data: DataMessage) throws {
    let start = core.length
    try replicator.store(data, from: self)
    guard core.length > start else { return }
    replicator.catchUp(from: start)
  }

  /// Downloads from a peer of a feed that is usually not downloaded.
  func startDownloading() {
    guard !isDownloading, !isClosed else { return }
    ending.start()
    send(.info(uploading: upload.isOn, downloading: true))
  }

  /// Handles an answer that contradicts what is here.
  ///
  /// - Returns: the error to end the connection with. The peer is not to blame if it may have another history
  ///   and could not know what it had to prove: the next connection begins with the whole question.
  func fault(of error: FeedError, at block: UInt64) -> FeedError {
    replicator.doubts.contradict(block)
    guard core.length > comparison.agreedLength, comparison.hasToldNodes, replicator.doubts.excuse()
    else { return error }
    return .contradicted(block)
  }
}
