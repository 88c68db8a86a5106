// The blocks that come from elsewhere, and those that bring them.

/// Consecutive blocks that were stored, and the peer that brought them; nil if the application did.
package struct BlockArrival {
  package let peer: FeedPeer?
  package internal(set) var blocks: Range<UInt64>
}

extension Replicator {
  /// Verifies a block or hash that the application has from elsewhere, and stores it.
  func put(_ index: UInt64, _ block: [UInt8]?, _ proof: Proof) throws {
    core.beginBatch()
    do {
      let result = try core.put(
        index, value: block, nodes: proof.nodes, signature: proof.signature,
        accept: acceptance(from: nil))
      if result.outcome == .stored {
        if index == 0 { firstBlockCheck = nil }
        noteArrival(of: index, from: nil)
      }
    } catch {
      if core.failure == nil { try core.commitBatch() }
      throw error
    }
    try core.commitBatch()
    try flush()
  }

  /// Notes that a block is in the batch, and the peer that brought it.
  func noteArrival(of index: UInt64, from peer: FeedPeer?) {
    if let last = arrivals.indices.last, last >= reportedArrivals, arrivals[last].peer === peer,
      arrivals[last].blocks.upperBound == index
    {
      arrivals[last].blocks = arrivals[last].blocks.lowerBound..<index + 1
    } else {
      arrivals.append(BlockArrival(peer: peer, blocks: index..<index + 1))
    }
  }

  /// Reports that blocks were stored. More may come before this returns.
  func report(stored ranges: [Range<UInt64>]) {
    let start = reportedArrivals
    reportedArrivals = arrivals.count
    // The list is reused, so that a burst costs no allocation.
    onEvent?(.stored(ranges, by: start == 0 ? arrivals : Array(arrivals[start...])))
    guard start == 0 else { return }
    arrivals.removeFirst(reportedArrivals)
    reportedArrivals = 0
  }
}
