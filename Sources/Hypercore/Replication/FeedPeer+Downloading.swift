internal import HypercoreCrypto
internal import HypercoreProtocol

extension FeedPeer {
  /// Asks about the regions that matter: the first, those of blocks that are waited for, and
  /// everything that the remote is known to reach.
  func sendWants(for waited: some Sequence<UInt64>) {
    guard isDownloading else { return }
    want(region: 0)
    for index in waited { want(region: index / ReplicationLimits.wantLength) }
    if !replicator.selections.isEmpty || replicator.isSeeking {
      var region: UInt64 = 0
      while region * ReplicationLimits.wantLength < remoteLength, openWants < 16 {
        want(region: region)
        region += 1
      }
    }
  }

  func want(region: UInt64) {
    guard openWants < 16 else { return }
    let start = region * ReplicationLimits.wantLength
    guard start < ReplicationLimits.wantEnd, wantedRegions.insert(region).inserted else { return }
    openWants += 1
    send(.want(start: start, length: ReplicationLimits.wantLength))
  }

  /// How many more requests may go out now.
  var freeRequests: Int {
    let size = max(replicator.averageBlockSize, 1)
    let byBytes = max(ReplicationLimits.requestedBytes / size, 2)
    return min(
      min(window, ReplicationLimits.requests, byBytes) - requests.activeCount,
      ReplicationLimits.requestSpan - requests.span)
  }

  /// Asks for a block or its hash.
  ///
  /// The digest may count on what earlier answers will bring: then each node comes once. The remote
  /// remembers what a digest said for as long as the channel is open, so an answer that comes before
  /// what it counts on is kept until that is here.
  func request(_ index: UInt64, hash: Bool) {
    let bits = core.bits
    let nodes: UInt64
    if answersInOrder {
      if !promisedNodes.isEmpty { hasCountedOnOrder = true }
      nodes = Self.promise(
        index, bound: remoteLength * 2, complete: completeLength() * 2, bits, &promisedNodes)
    } else {
      nodes = TreeDigest.digest(of: index, bound: remoteLength * 2) { bits.hasNode($0) }
    }
    requests.add(index, sent: session.now)
    let isContradicted = !replicator.contradicted.isEmpty
    if nodes != 0, !isContradicted { comparison.hasToldNodes = true }
    send(.request(Request(index: index, hash: hash, nodes: isContradicted ? 0 : nodes)))
  }

  /// The digest for a request that counts on what was promised before. Notes the nodes that its answer
  /// brings: those on the way from its leaf to a node that is known or promised.
  ///
  /// Only as far as the remote has all blocks, below node `complete`: in part of a feed two roots of
  /// different lengths may not be joined.
  private static func promise(
    _ index: UInt64, bound: UInt64, complete: UInt64, _ bits: Bitfield, _ promised: inout BlockSet
  ) -> UInt64 {
    let digest = TreeDigest.digest(of: index, bound: bound) { node in
      bits.hasNode(node) || promised.contains(node)
    }
    // The leaf is known: nothing comes with the block.
    if digest == 1, bits.hasNode(index * 2) || promised.contains(index * 2) { return digest }
    var node = index * 2
    while FlatTree.rightSpan(node) < complete {
      if bits.hasNode(node) || !promised.insert(node) { break }
      let parent = FlatTree.parent(node)
      guard FlatTree.rightSpan(parent) < complete else { break }
      promised.insert(FlatTree.sibling(node))
      node = parent
    }
    return digest
  }

  /// How many blocks from the first on the remote has without a gap.
  private func completeLength() -> UInt64 {
    if completePrefix < remoteLength {
      completePrefix = min(remoteBlocks.firstMissing(from: completePrefix), remoteLength)
    }
    return completePrefix
  }

  func receiveData(_ data: DataMessage) throws {
    if core.isStopped { return }
    if data.value == nil, try receiveRoots(data) { return }
    let replicator = replicator
    if replicator.isPaused { return }
    guard let entry = requests.remove(data.index) else {
      try receiveUnrequested(data)
      return
    }
    lastAnswer = session.now
    lastActivity = session.now
    if requests.activeCount == 0 { promisedNodes.removeAll() }
    if window < ReplicationLimits.requests { window += 1 }
    if let value = data.value { statistics.countDownload(value.count) }
    do {
      guard try store(data, sentAs: entry.number) else { return }
    } catch {
      // Others are asked for it.
      if !entry.isStalled { replicator.release(data.index) }
      throw error
    }
    if !entry.isStalled { replicator.release(data.index) }
    if !held.isEmpty { try storeHeld() }
  }

  /// Stores an answer, or keeps it where what it counts on may still come.
  ///
  /// - Returns: whether it is stored.
  private func store(_ data: DataMessage, sentAs number: UInt64) throws -> Bool {
    do {
      try replicator.store(data, from: self)
      if !replicator.contradicted.isEmpty { replicator.contradicted.remove(data.index) }
      return true
    } catch let error as FeedError
      where error.code == .proofIncomplete || error.code == .proofRejected
    {
      // What counts on nodes that are not here yet looks like what leads nowhere.
      guard hasCountedOnOrder, let older = requests.oldest(before: number) else {
        throw fault(of: error, at: data.index)
      }
      if older.isStalled { throw FeedError.unansweredRequest }
      // This peer does not answer in order: nothing more is asked for that counts on it.
      stopCountingOnOrder()
      guard session.memory.take(Self.size(of: data)) else {
        // Not a fault: another connection of this feed asks only for what stands alone.
        replicator.countsOnOrder = false
        throw FeedError.unansweredRequest
      }
      held.append((data, number))
      return false
    }
  }

  /// Stores the answers that had come before what they count on, in the order of their requests.
  private func storeHeld() throws {
    while let next = held.indices.min(by: { held[$0].number < held[$1].number }),
      requests.oldest(before: held[next].number) == nil
    {
      let (data, number) = held.remove(at: next)
      session.memory.give(Self.size(of: data))
      replicator.release(data.index)
      _ = try store(data, sentAs: number)
    }
  }

  /// What a held answer takes.
  static func size(of data: DataMessage) -> Int {
    (data.value?.count ?? 0) + data.nodes.count * MemoryLayout<Node>.stride + 128
  }

  /// Data without a request: a hash is the answer to a seek, anything else nobody asked for.
  private func receiveUnrequested(_ data: DataMessage) throws {
    guard data.value != nil || !data.nodes.isEmpty else {
      throw FeedError.peer("sent Data with neither a block nor a hash")
    }
    if !soughtBytes.isEmpty {
      soughtBytes.removeAll()
      _ = try store(data, sentAs: requests.sentCount)
      return
    }
    offences += 1
    if offences > ReplicationLimits.offences {
      throw FeedError.peer("sent more than 10000 blocks that nobody asked for")
    }
  }
}
