internal import HypercoreCrypto

/// The path up from a block, hashed from what a peer sent and what is known here.
struct Climb {
  /// The node that was reached. It is right if a trusted node or a signature confirms it.
  var top: Node
  /// Nodes below `top` that have been hashed into it.
  var nodes: [Node] = []
  /// The peer's nodes that are not used yet.
  var rest: ArraySlice<Node>
  let block: UInt64
  let isHashOnly: Bool
  /// True if the block's leaf is stored with another size, which may be from a hash-only proof.
  var leafSizeDiffers = false

  init(block: UInt64, value: [UInt8]?, nodes: [Node]) throws(FeedError) {
    guard block < FeedLimits.maximumLength else {
      throw .rejected("Block \(block) is beyond what a feed can have.")
    }
    self.block = block
    isHashOnly = value == nil
    if let value {
      top = Node(index: 2 * block, hash: TreeHash.leaf(value), size: UInt64(value.count))
      rest = nodes[...]
    } else {
      guard let first = nodes.first, first.index == 2 * block else {
        throw .rejected("An answer for block \(block) has neither the block nor its hash.")
      }
      guard first.size <= FeedLimits.maximumByteLength else { throw Self.tooLarge(first.index) }
      top = first
      rest = nodes.dropFirst()
    }
    if !rest.isEmpty { self.nodes.reserveCapacity(2 * rest.count + 1) }
  }

  static func tooLarge(_ index: UInt64) -> FeedError {
    .rejected("Node \(index) claims more bytes than a feed can hold.")
  }

  /// Takes the peer's next node if it is `index`.
  mutating func take(_ index: UInt64) -> Node? {
    guard let first = rest.first, first.index == index else { return nil }
    rest = rest.dropFirst()
    return first
  }

  /// Hashes `top` with its sibling into their parent.
  mutating func rise(with sibling: Node) throws(FeedError) {
    let (size, overflow) = top.size.addingReportingOverflow(sibling.size)
    guard !overflow, size <= FeedLimits.maximumByteLength else {
      throw Self.tooLarge(FlatTree.parent(top.index))
    }
    nodes.append(top)
    let hash =
      FlatTree.isRight(top.index)
      ? TreeHash.parent(sibling, top) : TreeHash.parent(top, sibling)
    top = Node(index: FlatTree.parent(top.index), hash: hash, size: size)
  }
}

/// Roots that are signed, or whose hash is the key of a static feed.
struct VerifiedRoots {
  var length: UInt64
  var nodes: [Node]
  var byteLength: UInt64
  var signature: Signature?
}

extension FeedCore {
  /// Climbs until a trusted node is reached.
  ///
  /// - Returns: true if one was reached; if not, `top` has to be a root.
  /// - Throws: ``FeedError`` if a trusted node has another hash.
  func climbToTrusted(_ climb: inout Climb) throws(FeedError) -> Bool {
    while FlatTree.depth(climb.top.index) < 40 {
      if let known = try knownNode(climb.top.index) {
        guard known.hash == climb.top.hash else { throw mismatch(at: known.index) }
        if climb.nodes.isEmpty, known.size != climb.top.size { climb.leafSizeDiffers = true }
        return true
      }
      guard try rise(&climb) else { return false }
    }
    throw .rejected("The proof of block \(climb.block) leads nowhere.")
  }

  /// Returns whether the peer sent nodes beyond those needed that are not known here.
  func hasNews(_ climb: Climb) -> Bool { climb.rest.contains { !bits.hasNode($0.index) } }

  /// Climbs on from a trusted node with the rest of the peer's nodes, as far as they lead to the next trusted
  /// node or to signed roots.
  ///
  /// Another peer may have brought the node that ended the climb, and later digests to this peer assume that
  /// the rest of its proof was kept. Nodes that lead nowhere are ignored: the block is proven without them.
  ///
  /// - Returns: the nodes that are proven as well, and the roots if the climb reached them.
  /// - Throws: ``FeedError/Code/forked`` if the key has signed another path; storage failures.
  /// - Complexity: nothing if the peer sent no new node.
  func climbOn(
    _ climb: Climb, _ signature: Signature?
  ) throws(FeedError) -> (nodes: [Node], roots: VerifiedRoots?) {
    guard hasNews(climb) else { return ([], nil) }
    var proven: [Node] = []
    var higher = climb
    while hasNews(higher) {
      // The trusted node itself is used: the peer's may claim another size.
      guard let trusted = try knownNode(higher.top.index) else { break }
      higher.top = trusted
      higher.nodes = []
      do {
        guard try rise(&higher) else {
          let roots = try verifyRoots(&higher, signature)
          return (proven + higher.nodes, roots)
        }
        guard try climbToTrusted(&higher) else {
          let roots = try verifyRoots(&higher, signature)
          return (proven + higher.nodes, roots)
        }
        proven += higher.nodes
      } catch {
        guard error.code == .proofRejected || error.code == .proofIncomplete else { throw error }
        if error.code == .proofRejected, let signature,
          let fork = try findFork(climb, signature: signature)
        {
          throw fork
        }
        break
      }
    }
    return (proven, nil)
  }

  /// Hashes `top` with its sibling, which the peer sent or which is known here.
  ///
  /// - Returns: false if there is none.
  private func rise(_ climb: inout Climb) throws(FeedError) -> Bool {
    let index = FlatTree.sibling(climb.top.index)
    let known = try knownNode(index)
    if let sibling = climb.take(index) {
      if let known {
        guard known.hash == sibling.hash else { throw mismatch(at: index) }
        if climb.isHashOnly, climb.nodes.isEmpty {
          // Only the sum of the sizes is proven, and the stored size was proven on its own.
          guard known.size == sibling.size else { throw mismatch(at: index) }
        }
      }
      try climb.rise(with: sibling)
      if known == nil { climb.nodes.append(sibling) }
    } else if let known {
      try climb.rise(with: known)
    } else {
      return false
    }
    return true
  }

  /// Verifies that `top` is one of the roots that the signature covers.
  func verifyRoots(_ climb: inout Climb, _ signature: Signature?) throws(FeedError) -> VerifiedRoots
  {
    let roots = try collectRoots(&climb, trustingKnown: true)
    try checkSignature(signature, over: roots, block: climb.block)
    return VerifiedRoots(
      length: roots.length, nodes: roots.nodes, byteLength: roots.byteLength, signature: signature)
  }

  private func checkSignature(
    _ signature: Signature?, over roots: VerifiedRoots, block: UInt64
  ) throws(FeedError) {
    guard let key else {
      throw FeedError(code: .keyMissing, reason: "The feed has no key to verify blocks with.")
    }
    let hash = TreeHash.tree(roots.nodes)
    if let signature {
      guard keys.isSigned(hash, by: signature) else {
        throw .rejected("The signature sent with block \(block) could not be verified.")
      }
    } else if length > 0, isLive {
      throw .incomplete("Block \(block) came without a signature and leads to no known node.")
    } else {
      guard hash.bytes == key.bytes else {
        throw .incomplete(
          "Block \(block) came without a signature, and the hash of the feed is not its key.")
      }
    }
  }

  /// The roots of which `top` is one, from the peer's remaining nodes and those that are known here.
  ///
  /// - Parameter trustingKnown: true if a peer's root has to equal the one that is known here.
  func collectRoots(_ climb: inout Climb, trustingKnown: Bool) throws(FeedError) -> VerifiedRoots {
    let top = climb.top
    let last = climb.rest.last?.index ?? top.index
    guard last < 2 * FeedLimits.maximumLength else {
      throw .rejected("Node \(last) is beyond what a feed can have.")
    }
    let length = max(FlatTree.rightSpan(top.index), FlatTree.rightSpan(last)) / 2 + 1
    guard length <= FeedLimits.maximumLength else {
      throw .rejected("A length of \(length) is beyond what a feed can have.")
    }
    var roots = VerifiedRoots(length: length, nodes: [], byteLength: 0, signature: nil)
    var hasTop = false
    for index in FlatTree.fullRoots(length: length) {
      let root: Node
      if index == top.index {
        root = top
        hasTop = true
      } else if let sent = climb.take(index) {
        if trustingKnown, let known = try knownNode(index), known.hash != sent.hash {
          throw mismatch(at: index)
        }
        root = sent
      } else if let known = try knownNode(index) {
        root = known
      } else {
        throw .incomplete("Root \(index) is missing in the proof of block \(climb.block).")
      }
      let (size, overflow) = roots.byteLength.addingReportingOverflow(root.size)
      guard !overflow, size <= FeedLimits.maximumByteLength else { throw Climb.tooLarge(index) }
      roots.byteLength = size
      roots.nodes.append(root)
    }
    // A signature over other nodes proves nothing about this block.
    guard hasTop else {
      throw .rejected("Block \(climb.block) is under none of the roots that came with it.")
    }
    return roots
  }

  private func mismatch(at index: UInt64) -> FeedError {
    .rejected("Node \(index) of the proof is not the one known here.")
  }
}
