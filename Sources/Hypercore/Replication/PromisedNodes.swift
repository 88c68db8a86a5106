/// The tree nodes that will be known once everything that is in flight to one peer has arrived.
///
/// The digest of a request may rely on them, so that each node is sent once. That holds only as long as the peer
/// answers in the order of the requests. The remote remembers the nodes of a digest while the channel is open.
struct PromisedNodes {
  private var nodes: BlockSet
  /// True if digests may rely on these nodes; false for a peer that answers out of order.
  private var isTrusted: Bool
  /// True if a digest has relied on them.
  private(set) var wereCounted = false

  /// - Parameter answersInOrder: true if the peer is assumed to answer in the order of the requests.
  init(memory: PeerMemory, answersInOrder: Bool) {
    nodes = BlockSet(memory: memory)
    isTrusted = answersInOrder
  }

  /// Returns the digest for a request, and records the nodes that its answer will bring.
  ///
  /// - Parameter complete: the length up to which the remote has all blocks. Only nodes below it are recorded: two
  ///   roots of different lengths may not be joined in an incomplete feed.
  mutating func digest(
    of index: UInt64, remoteLength: UInt64, complete: @autoclosure () -> UInt64, _ bits: Bitfield
  ) -> UInt64 {
    guard isTrusted else {
      return TreeDigest.digest(of: index, bound: remoteLength * 2) { bits.hasNode($0) }
    }
    if !nodes.isEmpty { wereCounted = true }
    return Self.promise(index, bound: remoteLength * 2, complete: complete() * 2, bits, &nodes)
  }

  /// Records those nodes that are on the way from a block's leaf to a node that is known or promised.
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

  /// Begins anew, as nothing is in flight.
  mutating func removeAll() { nodes.removeAll() }

  /// Relies on no promise from now on.
  mutating func distrust() {
    isTrusted = false
    nodes.removeAll()
  }
}
