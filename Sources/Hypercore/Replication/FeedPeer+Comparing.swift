internal import HypercoreCrypto
internal import HypercoreProtocol

// A Request says which nodes are known, so its answer leaves out any that could contradict them: two
// histories of one feed could pass each other unnoticed. Each connection therefore begins with a question
// that says nothing: the hash of one block with the whole path up to the signed roots, which is compared with
// what is here.
//
//     here    0 … 7 8 9 a b          the hash of block 11, no digest
//     there   0 … 7 8 9 A B C D      its path up to the roots of 14 blocks, signed
//
// The last block that is signed here is the best one to ask for: the path up from it passes all roots here.

/// The known relation of one peer's history to the one here.
struct PeerComparison {
  /// A question that is not answered yet.
  struct Question {
    var index: UInt64
    var sent: Moment
    /// True if no known node was named to the peer before, so that it has to send all of them.
    var toldNothing: Bool
  }

  /// True if a question is due as soon as the peer is known to have a block to compare.
  var isDue = false
  /// The announcements of more blocks since the last question, and the number that is allowed before the
  /// next.
  var announcements = 0
  var patience = 1
  /// True if the peer was asked what it has, for this question alone.
  var hasWanted = false
  var question: Question?
  /// The length up to which the peer's history, as the key signed it, is the same as the one here.
  var agreedLength: UInt64 = 0
  /// The number of questions without a usable answer.
  var failures = 0
  /// True if the digest of a request has named known nodes to the peer.
  var hasToldNodes = false
  /// The number of common blocks in the evidence that the peer is known to have; nil for no evidence.
  var knownEvidence: UInt64?
  /// The number of messages with evidence from the peer.
  var evidenceCount = 0
  /// The number of questions asked to find the beginning of a fork.
  var narrowings = 0
}

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
        want(region: (core.length - 1) / ReplicationLimits.wantLength)
      }
    }
    guard comparison.isDue, comparison.question == nil else { return }
    // All that a reader has came from this peer, or was compared.
    guard core.isOwned || comparison.agreedLength < core.length else { return }
    guard
      comparison.failures < ReplicationLimits.comparisons, let index = comparableBlock
    else { return }
    comparison.isDue = false
    comparison.question = PeerComparison.Question(
      index: index, sent: session.now, toldNothing: !comparison.hasToldNodes)
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
    if remoteBlocks.contains(length - 1) { return length - 1 }
    if remoteBlocks.contains(length) { return length }
    return remoteBlocks.last(in: 0..<length)
  }

  /// Records that the peer claims the blocks below `end`, which may be of another history.
  ///
  /// A writer asks each time: nobody else should have blocks that it lacks. A reader hears of every block
  /// from every peer, so it asks after 1, 2, 4 … announcements.
  func compareLater(_ end: UInt64) {
    guard end > comparison.agreedLength, !comparison.isDue else { return }
    comparison.announcements += 1
    guard core.isOwned || comparison.announcements >= comparison.patience else { return }
    comparison.announcements = 0
    comparison.patience = min(2 * comparison.patience, ReplicationLimits.comparisonInterval)
    comparison.isDue = true
  }

  /// Handles the answer to the question, if the message is one.
  func receiveRoots(_ data: DataMessage) throws -> Bool {
    guard let question = comparison.question, question.index == data.index, data.value == nil else {
      return false
    }
    comparison.question = nil
    lastActivity = session.now
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
      comparison.failures = 0
      comparison.agreedLength = max(comparison.agreedLength, min(length, core.length))
      // A reader adopts a length only with a block that it requests separately.
      if length > core.length, core.isOwned { try catchUp(with: data) }
    case .unproven:
      comparison.failures += 1
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
    isDownloading = true
    everDownloaded = true
    send(.info(uploading: isUploading, downloading: true))
  }

  /// Handles the message that the peer lacks the block of the question.
  func roots(areMissingAt index: UInt64) {
    guard comparison.question?.index == index else { return }
    comparison.question = nil
    comparison.failures += 1
  }

  /// Gives up a question whose answer is late.
  func expireQuestion(now: Moment) {
    guard let question = comparison.question,
      now >= question.sent + ReplicationLimits.requestTimeout
    else { return }
    comparison.question = nil
    comparison.failures += 1
    replicator.needsUpdate()
  }

  /// Handles an answer that contradicts what is here.
  ///
  /// - Returns: the error to end the connection with. The peer is not to blame if it may have another history
  ///   and could not know what it had to prove: the next connection begins with the whole question.
  func fault(of error: FeedError, at block: UInt64) -> FeedError {
    if replicator.contradicted.count < ReplicationLimits.contradictedBlocks {
      replicator.contradicted.insert(block)
    }
    guard core.length > comparison.agreedLength, comparison.hasToldNodes,
      replicator.doubts < ReplicationLimits.doubts
    else { return error }
    replicator.doubts += 1
    return .contradicted(block)
  }
}
