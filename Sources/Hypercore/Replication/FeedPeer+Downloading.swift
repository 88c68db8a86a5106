internal import HypercoreCrypto
internal import HypercoreProtocol

extension FeedPeer {
  /// Asks about the regions that matter: the first one, those of blocks that are waited for, and all that the
  /// remote's known length covers.
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

  /// The number of requests that may be sent now.
  var freeRequests: Int {
    let size = max(replicator.averageBlockSize, 1)
    let byBytes = max(ReplicationLimits.requestedBytes / size, 2)
    return min(
      min(window, ReplicationLimits.requests, byBytes) - requests.activeCount,
      ReplicationLimits.requestSpan - requests.span)
  }

  /// Requests a block or its hash.
  ///
  /// The digest may rely on nodes of earlier answers, so each node is sent once. The remote remembers the
  /// nodes of a digest while the channel is open, so an answer that arrives before those that it relies on is
  /// kept until they are here.
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

  /// Computes the digest for a request that relies on nodes promised before. Records the nodes that its
  /// answer will bring: those on the way from its leaf to a node that is known or promised.
  ///
  /// Only nodes below `complete` are recorded, up to which the remote has all blocks: two roots of different
  /// lengths may not be joined in an incomplete feed.
  private static func promise(
    _ index: UInt64, bound: UInt64, complete: UInt64, _ bits: Bitfield, _ promised: inout BlockSet
  ) -> UInt64 {
    let digest = TreeDigest.digest(of: index, bound: bound) { node in
      bits.hasNode(node) || promised.contains(node)
    }
    // The leaf is known: no nodes come with the block.
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

  /// The number of blocks that the remote has from the first one on, without a gap.
  private func completeLength() -> UInt64 {
    if completePrefix < remoteLength {
      completePrefix = min(remoteBlocks.firstMissing(from: completePrefix), remoteLength)
    }
    return completePrefix
  }

  func receiveData(_ data: DataMessage) throws {
    if data.value == nil, try receiveRoots(data) { return }
    let replicator = replicator
    if core.isStopped || replicator.isPaused { return }
    guard let entry = requests.remove(data.index) else {
      try receiveUnrequested(data)
      return
    }
    lastAnswer = session.now
    lastActivity = session.now
    if requests.activeCount == 0 { promisedNodes.removeAll() }
    if window < ReplicationLimits.requests { window += 1 }
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
    if !held.isEmpty { try storeHeld() }
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
      if !replicator.contradicted.isEmpty { replicator.contradicted.remove(data.index) }
      return true
    } catch let error as FeedError
      where error.code == .proofIncomplete || error.code == .proofRejected
    {
      // An answer that relies on nodes that are not here yet looks like one that leads nowhere.
      guard hasCountedOnOrder, let older = requests.oldest(before: number) else {
        throw fault(of: error, at: data.index)
      }
      if older.isStalled { throw FeedError.unansweredRequest }
      // This peer does not answer in order, so later requests rely on no promised nodes.
      stopCountingOnOrder()
      guard session.memory.take(Self.size(of: data)) else {
        // Not a fault: another connection of this feed requests only proofs that stand alone.
        replicator.countsOnOrder = false
        throw FeedError.unansweredRequest
      }
      held.append((data, number))
      return false
    }
  }

  /// Stores the answers that arrived before those that they rely on, in the order of their requests.
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

  /// The memory that a held answer takes.
  static func size(of data: DataMessage) -> Int {
    (data.value?.count ?? 0) + data.nodes.count * MemoryLayout<Node>.stride + 128
  }

  /// Handles Data without a request: a hash answers a seek, anything else was not asked for.
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
