package import HypercoreCrypto

// Comparison of two histories under one key. A proof counts as another history only if the feed's own key
// signed the roots that it leads to, so no peer can make an honest feed look forked.

/// The result of comparing a peer's signed roots with what is stored here.
package enum RootComparison: Equatable {
  /// Everything that both sides have hashes for is the same. The peer's history has this length.
  case same(length: UInt64)
  /// The answer proves nothing. The peer may have left out nodes that this side claimed to know.
  case unproven
}

/// A peer's proof that leads to roots signed by the feed's key.
private struct SignedProof {
  /// The way up, with every node that was hashed into it.
  var climb: Climb
  var roots: SignedRoots
  /// The first node on the way that is stored here with another hash.
  var conflict: UInt64?
}

extension FeedCore {
  /// Compares the path up from a block, as a peer proves it, with what is stored here. Stores nothing.
  ///
  /// - Parameters:
  ///   - block: the block whose hash the peer sent, with the whole way up to its signed roots.
  ///   - nodes: the proof; the block's own node comes first.
  ///   - signature: the signature over the peer's roots; nil if it sent none.
  /// - Throws: ``FeedError/Code/forked`` if the key signed something else than what is stored here, after
  ///   keeping the evidence. ``FeedError/Code/damaged`` if what is stored here was not signed.
  ///   ``FeedError/Code/proofRejected`` for an answer that no working peer gives.
  /// - Complexity: a hash for each level of the tree, and one signature check.
  package func compare(
    _ block: UInt64, nodes: [Node], signature: Signature?
  ) throws(FeedError) -> RootComparison {
    let start = try Climb(block: block, value: nil, nodes: nodes)
    guard let signature, let proof = try signedProof(start, signature) else { return .unproven }
    if let fork = try fork(proof) { throw fork }
    return .same(length: proof.roots.length)
  }

  /// Replaces the evidence of a fork by evidence that shows more of the history that both sides share.
  ///
  /// - Returns: true if it was replaced.
  func narrowFork(_ block: UInt64, nodes: [Node], signature: Signature?) throws(FeedError) -> Bool {
    guard let known = forkEvidence, let signature else { return false }
    let start = try Climb(block: block, value: nil, nodes: nodes)
    guard let proof = try signedProof(start, signature),
      let evidence = try evidence(of: proof), evidence.isProven,
      evidence.commonLength > known.commonLength
        || (evidence.isExact && evidence.commonLength == known.commonLength)
    else { return false }
    standing.stop(evidence)
    return true
  }

  /// Returns the fork that a refused proof shows; nil if the key did not sign it.
  func findFork(_ start: Climb, signature: Signature) throws(FeedError) -> FeedError? {
    guard let proof = try signedProof(start, signature) else { return nil }
    return try fork(proof)
  }

  /// Climbs with the peer's nodes as far as they lead, then with known nodes where they leave gaps.
  ///
  /// - Returns: nil if that leads to no roots that the key signed.
  private func signedProof(
    _ start: Climb, _ signature: Signature
  ) throws(FeedError) -> SignedProof? {
    var climb = start
    var conflict: UInt64?
    func note(_ node: Node) throws(FeedError) {
      guard conflict == nil, let known = try knownNode(node.index), known.hash != node.hash else {
        return
      }
      conflict = node.index
    }
    while FlatTree.depth(climb.top.index) < 40 {
      try note(climb.top)
      let index = FlatTree.sibling(climb.top.index)
      if let sibling = climb.take(index) {
        try note(sibling)
        guard (try? climb.rise(with: sibling)) != nil else { return nil }
        climb.nodes.append(sibling)
        continue
      }
      var attempt = climb
      if let roots = try? collectRoots(&attempt, trustingKnown: false),
        keys.isSigned(TreeHash.tree(roots.nodes), by: signature)
      {
        for root in roots.nodes { try note(root) }
        return SignedProof(
          climb: climb,
          roots: SignedRoots(length: roots.length, roots: roots.nodes, signature: signature),
          conflict: conflict)
      }
      guard let known = try knownNode(index), (try? climb.rise(with: known)) != nil else {
        return nil
      }
      climb.nodes.append(known)
    }
    return nil
  }

  /// Quarantines the feed if a signed proof contradicts what is stored.
  private func fork(_ proof: SignedProof) throws(FeedError) -> FeedError? {
    guard let evidence = try evidence(of: proof) else { return nil }
    try quarantine(evidence)
    return .forked(evidence)
  }

  private func evidence(of proof: SignedProof) throws(FeedError) -> ForkEvidence? {
    guard let key, let node = proof.conflict else { return nil }
    // Pending writes may include the signature that is looked for.
    if !batch.isWritten { try writeBatch() }
    var ours: SignedRoots?
    if length > 0, let signature = try signatures.signature(at: length - 1) {
      ours = SignedRoots(length: length, roots: roots, signature: signature)
    }
    let block = proof.climb.block
    let ourProof = (try? self.proof(block, hash: true))?.nodes ?? []
    return ForkEvidence(
      key: key, node: node, block: block, ours: ours, ourProof: ourProof, theirs: proof.roots,
      theirProof: proof.climb.nodes)
  }
}
