internal import HypercoreCrypto
internal import HypercoreProtocol

extension FeedPeer {
  /// Asks about the regions that matter: the first one, those of blocks that are waited for, and all that the
  /// remote's known length covers.
  func sendWants(for waited: some Sequence<UInt64>) {
    guard isDownloading else { return }
    ask(region: 0)
    for index in waited { ask(region: index / ReplicationLimits.wantLength) }
    if !replicator.plan.selections.isEmpty || !replicator.waits.seeks.isEmpty {
      var region: UInt64 = 0
      while region < remote.regionCount, remote.canAsk {
        ask(region: region)
        region += 1
      }
    }
  }

  /// Asks what it has of a region, unless it was asked before or too many questions are open.
  func ask(region: UInt64) {
    guard remote.ask(region: region) else { return }
    send(
      .want(
        start: region * ReplicationLimits.wantLength, length: ReplicationLimits.wantLength))
  }

  /// The number of requests that may be sent now.
  var freeRequests: Int { download.free(blockSize: replicator.plan.averageBlockSize) }

  /// Requests a block or its hash.
  ///
  /// The digest may rely on nodes of earlier answers, so each node is sent once; see ``PromisedNodes``. An answer
  /// that arrives before those that it relies on is kept until they are here.
  func request(_ index: UInt64, hash: Bool) {
    let nodes = download.request(index, of: &remote, knowing: core.bits, now: session.now)
    let isContradicted = replicator.doubts.isContradicted
    if nodes != 0, !isContradicted { comparison.hasToldNodes = true }
    send(.request(Request(index: index, hash: hash, nodes: isContradicted ? 0 : nodes)))
  }

  func receiveData(_ data: DataMessage) throws {
    if data.value == nil, try receiveRoots(data) { return }
    let replicator = replicator
    if core.isStopped || replicator.gate.isPaused { return }
    guard let entry = download.answered(data.index, now: session.now) else {
      try receiveUnrequested(data)
      return
    }
    ending.lastActivity = session.now
    let data = entry.isCancelled && !replicator.wants(data.index) ? Self.withoutBlock(data) : data
    if let value = data.value { statistics.countDownload(value.count) }
    do {
      guard try store(data, sentAs: entry.number) else { return }
    } catch {
      // The block is requested from others.
      if !entry.isStalled { replicator.release(data.index) }
      throw error
    }
    if !entry.isStalled { replicator.release(data.index) }
    if download.holdsAnswers { try storeHeld() }
  }

  /// The answer to a cancelled request: the hash of its block, and the proof of that, on which later answers rely.
  private static func withoutBlock(_ data: DataMessage) -> DataMessage {
    guard let value = data.value else { return data }
    var data = data
    data.nodes.insert(
      Node(index: 2 * data.index, hash: TreeHash.leaf(value), size: UInt64(value.count)), at: 0)
    data.value = nil
    return data
  }

  /// Stores an answer, or keeps it if those that it relies on may still arrive.
  ///
  /// - Returns: true if it is stored.
  private func store(_ data: DataMessage, sentAs number: UInt64) throws -> Bool {
    do {
      try replicator.store(data, from: self)
      replicator.doubts.prove(data.index)
      return true
    } catch let error as FeedError
      where error.code == .proofIncomplete || error.code == .proofRejected
    {
      // An answer that relies on nodes that are not here yet looks like one that leads nowhere.
      switch download.keep(data, sentAs: number) {
      case .kept: return false
      case .wrong: throw fault(of: error, at: data.index)
      case .tooLate: throw FeedError.unansweredRequest
      case .noRoom:
        // Not a fault: another connection of this feed requests only proofs that stand alone.
        replicator.plan.countsOnOrder = false
        throw FeedError.unansweredRequest
      }
    }
  }

  /// Stores the answers that arrived before those that they rely on, in the order of their requests.
  private func storeHeld() throws {
    while let (data, number) = download.nextHeld() {
      replicator.release(data.index)
      _ = try store(data, sentAs: number)
    }
  }

  /// Handles Data without a request: a hash answers a seek, anything else was not asked for.
  private func receiveUnrequested(_ data: DataMessage) throws {
    guard data.value != nil || !data.nodes.isEmpty else {
      throw FeedError.peer("sent Data with neither a block nor a hash")
    }
    if download.endSeeks() {
      _ = try store(data, sentAs: download.requests.sentCount)
      return
    }
    guard download.forgiveOffence() else {
      throw FeedError.peer("sent more than 10000 blocks that nobody asked for")
    }
  }
}
