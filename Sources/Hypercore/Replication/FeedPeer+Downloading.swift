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

  private func want(region: UInt64) {
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
    return min(window, ReplicationLimits.requests, byBytes) - requests.activeCount
  }

  /// Asks for a block or its hash.
  func request(_ index: UInt64, hash: Bool) {
    let nodes: UInt64
    var isOptimistic = false
    if answersInOrder, requests.activeCount > 0 || !promisedNodes.isEmpty {
      nodes = TreeDigest.digest(of: index, bound: remoteLength * 2) { [self] node in
        if core.bits.hasNode(node) { return true }
        guard promisedNodes.contains(node) else { return false }
        isOptimistic = true
        return true
      }
    } else {
      nodes = TreeDigest.digest(of: index, bound: remoteLength * 2) { core.bits.hasNode($0) }
    }
    if answersInOrder { promise(index) }
    requests.add(
      index, RequestTable.Entry(sent: session.now, isOptimistic: isOptimistic, isHash: hash))
    send(.request(Request(index: index, hash: hash, nodes: nodes)))
  }

  /// Notes the nodes that the answer to a request for `index` brings: those on the way from its leaf
  /// to the root that the remote is known to have.
  private func promise(_ index: UInt64) {
    var node = index * 2
    while FlatTree.rightSpan(node) < remoteLength * 2 {
      promisedNodes.insert(node)
      let sibling = FlatTree.sibling(node)
      let parent = FlatTree.parent(node)
      guard FlatTree.rightSpan(parent) < remoteLength * 2 else { return }
      promisedNodes.insert(sibling)
      if core.bits.hasNode(parent) || promisedNodes.contains(parent) { return }
      node = parent
    }
  }

  func receiveData(_ data: DataMessage) throws {
    guard let entry = requests.remove(data.index) else {
      try receiveUnrequested(data)
      return
    }
    if !entry.isStalled { replicator.release(data.index) }
    if requests.activeCount == 0 { promisedNodes.removeAll() }
    if window < ReplicationLimits.requests { window += 1 }
    do {
      try replicator.store(data, from: self)
    } catch let error as FeedError where entry.isOptimistic && error.code == .proofIncomplete {
      // It answered before what the digest counted on. Asked again without counting on anything.
      stopCountingOnOrder()
      replicator.lowerCursors(to: data.index)
      replicator.needsUpdate()
      return
    }
    if let value = data.value {
      statistics.downloadedBlocks += 1
      statistics.downloadedBytes += UInt64(value.count)
    }
  }

  /// Data without a request: a hash is the answer to a seek, anything else nobody asked for.
  private func receiveUnrequested(_ data: DataMessage) throws {
    guard data.value != nil || !data.nodes.isEmpty else {
      throw FeedError.peer("sent Data with neither a block nor a hash")
    }
    if data.value == nil || !soughtBytes.isEmpty {
      if !soughtBytes.isEmpty {
        soughtBytes.removeAll()
        try replicator.store(data, from: self)
        return
      }
    }
    offences += 1
    if offences > ReplicationLimits.offences {
      throw FeedError.peer("sent more than 10000 blocks that nobody asked for")
    }
  }
}
