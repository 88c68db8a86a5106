internal import HypercoreCrypto
internal import HypercoreProtocol

// A Request tells what is known, so its answer leaves out what would contradict it: two histories of one feed
// can pass each other unseen. Therefore each connection begins with a question that tells nothing: the hash
// of one block with the whole way up to the signed roots, compared with what is here.
//
//     here    0 … 7 8 9 a b          the hash of block 11, no digest
//     there   0 … 7 8 9 A B C D      its way up to the roots of 14 blocks, signed
//
// The last block that is signed here is the best one to ask for: the way up from it passes all roots here.

/// What is known of one peer's history beside the one here.
struct PeerComparison {
  /// A question that is not answered yet.
  struct Question {
    var index: UInt64
    var sent: Moment
    /// Whether the peer was not told of any known node before, so that it has to send all of them.
    var toldNothing: Bool
  }

  /// Whether to ask as soon as something comparable is known to be there.
  var isDue = false
  /// How often it said that it has more, since the last question, and how often it may before the next.
  var announcements = 0
  var patience = 1
  /// Whether the peer was asked what it has, for this question alone.
  var hasWanted = false
  var question: Question?
  /// Up to here the peer's history, as the key signed it, is the same as the one here.
  var agreedLength: UInt64 = 0
  /// Questions that got no usable answer.
  var failures = 0
  /// Whether the peer was told, by the digest of a request, of nodes that are known here.
  var hasToldNodes = false
  /// Whether evidence of a fork was sent to the peer.
  var hasSentEvidence = false
}

extension FeedPeer {
  /// Asks for the roots once there is something to compare. Before any other request, so that the answer
  /// leaves nothing out.
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
    // Of a reader's all came from this peer, or was compared.
    guard core.isOwned || comparison.agreedLength < core.length else { return }
    guard
      comparison.failures < ReplicationLimits.comparisons, let index = comparableBlock
    else { return }
    comparison.isDue = false
    comparison.question = PeerComparison.Question(
      index: index, sent: session.now, toldNothing: !comparison.hasToldNodes)
    send(.request(Request(index: index, hash: true, nodes: 0)))
  }

  /// The block whose way up says most of what is known to be there. Never one that the peer did not claim
  /// to have: the reference hangs up on that.
  private var comparableBlock: UInt64? {
    let length = core.length
    if remoteBlocks.contains(length - 1) { return length - 1 }
    if remoteBlocks.contains(length) { return length }
    return remoteBlocks.last(in: 0..<length)
  }

  /// Notes that the peer says it has the blocks below `end`, which may be of another history.
  ///
  /// A writer asks each time: nobody else should have what it has not. A reader hears of every block from every
  /// peer, so it asks after 1, 2, 4 … announcements.
  func compareLater(_ end: UInt64) {
    guard end > comparison.agreedLength, !comparison.isDue else { return }
    comparison.announcements += 1
    guard core.isOwned || comparison.announcements >= comparison.patience else { return }
    comparison.announcements = 0
    comparison.patience = min(2 * comparison.patience, ReplicationLimits.comparisonInterval)
    comparison.isDue = true
  }

  /// Takes the answer to the question, if the message is one.
  func receiveRoots(_ data: DataMessage) throws -> Bool {
    guard let question = comparison.question, question.index == data.index, data.value == nil else {
      return false
    }
    comparison.question = nil
    lastActivity = session.now
    let result: RootComparison
    do {
      result = try core.compare(data.index, nodes: data.nodes, signature: data.signature)
    } catch {
      // The peer is not to blame for having the other history.
      guard error.code == .forked else { throw error }
      return true
    }
    switch result {
    case .same(let length):
      comparison.failures = 0
      comparison.agreedLength = max(comparison.agreedLength, min(length, core.length))
      if length > core.length { try catchUp(with: data) }
    case .unproven:
      comparison.failures += 1
      // A sound peer that was told nothing has no reason to leave anything out.
      guard !question.toldNothing || data.signature == nil else {
        throw FeedError.rejected(
          "The peer's signature over the roots above block \(data.index) could not be verified.")
      }
    }
    replicator.needsUpdate()
    return true
  }

  /// There is more of the feed than here. If it is written here, it is the folder that is behind: what is
  /// there is fetched before anything is appended.
  private func catchUp(with data: DataMessage) throws {
    let start = core.length
    try replicator.store(data, from: self)
    guard core.isOwned, core.length > start else { return }
    replicator.catchUp(from: start)
  }

  /// Fetches blocks from a peer of a feed that is usually not fetched.
  func startDownloading() {
    guard !isDownloading, !isClosed else { return }
    isDownloading = true
    everDownloaded = true
    send(.info(uploading: isUploading, downloading: true))
  }

  /// The peer has not what it was asked for.
  func roots(areMissingAt index: UInt64) {
    guard comparison.question?.index == index else { return }
    comparison.question = nil
    comparison.failures += 1
  }

  /// Gives up on an answer that is late.
  func expireQuestion(now: Moment) {
    guard let question = comparison.question,
      now >= question.sent + ReplicationLimits.requestTimeout
    else { return }
    comparison.question = nil
    comparison.failures += 1
    replicator.needsUpdate()
  }

  /// What became of an answer that contradicts what is here.
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

  // MARK: Evidence

  /// Sends the proof of a fork to a peer that understands it.
  func sendEvidence(_ evidence: ForkEvidence) {
    guard !isClosed, !comparison.hasSentEvidence,
      session.connection.remoteSupports(ForkEvidence.extensionName)
    else { return }
    comparison.hasSentEvidence = true
    guard let payload = try? evidence.fileBytes() else { return }
    try? session.connection.sendExtension(ForkEvidence.extensionName, payload: payload, on: channel)
    session.hasOutput()
  }

  /// Takes a proof of a fork that a peer sent.
  func receiveEvidence(_ payload: [UInt8]) throws {
    guard !isClosed, replicator.forkEvidence == nil else { return }
    guard payload.count <= Int(ForkEvidence.maximumFileSize),
      let evidence = ForkEvidence(fileBytes: payload), evidence.key == core.key, evidence.isProven
    else { throw FeedError.peer("sent evidence of a fork that proves nothing") }
    comparison.hasSentEvidence = true
    try replicator.takeEvidence(evidence)
  }
}
