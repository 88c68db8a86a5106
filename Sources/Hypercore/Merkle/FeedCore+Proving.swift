internal import HypercoreCrypto

extension FeedCore {
  /// The digest of what is known on the way up from a block, for the `nodes` of a Request.
  package func digest(_ block: UInt64) -> UInt64 {
    guard block < FeedLimits.maximumLength else { return 0 }
    return bits.digest(block: block)
  }

  /// Returns the proof of a block for a peer.
  ///
  /// - Parameters:
  ///   - block: the block's index, whether its bytes are stored here or not.
  ///   - digest: what the peer says it knows; see ``digest(_:)``.
  ///   - hash: true if the block's own node comes first, for an answer without the block.
  ///   - remoteTree: the nodes that the peer is known to have, which this call adds to. Nil for a proof on
  ///     its own.
  /// - Throws: ``FeedError/Code/nodeMissing`` if the block was never verified here;
  ///   ``FeedError/Code/signatureMissing`` if the proof needs a signature that is not stored.
  ///
  /// Source: hypercore v6.26.0 `lib/tree-index.js`, `proof`. Fixture: `feeds/manifest.json`, `proofs`.
  package func proof(
    _ block: UInt64, digest: UInt64 = 0, hash: Bool = false, remoteTree: RemoteTree? = nil
  ) throws(FeedError) -> Proof {
    try checkOpen()
    guard block < FeedLimits.maximumLength, bits.hasNode(2 * block) else {
      throw FeedError(
        code: .nodeMissing, reason: "No proof available for block \(block): it is not known here.")
    }
    var proof = Proof()
    if hash { proof.nodes.append(try node(at: 2 * block)) }
    if digest == 1 { return proof }
    let remote = remoteTree ?? RemoteTree()
    learn(block, digest: digest, into: remote)

    var next = 2 * block
    while !remote.contains(next) {
      let sibling = FlatTree.sibling(next)
      guard bits.hasNode(sibling) else {
        // A root of what is known here.
        let length = bits.verifiedBy(next) / 2
        for root in FlatTree.fullRoots(length: length) where root != next {
          if !remote.contains(root) { proof.nodes.append(try node(at: root)) }
        }
        if isLive { proof.signature = try signature(of: length) }
        return proof
      }
      if !remote.contains(sibling) { proof.nodes.append(try node(at: sibling)) }
      next = FlatTree.parent(next)
    }
    return proof
  }

  /// Adds to `remote` what a digest says about the path up from a block, as far as it is known here.
  private func learn(_ block: UInt64, digest: UInt64, into remote: RemoteTree) {
    func learn(_ index: UInt64) {
      if !remote.contains(index), bits.hasNode(index) { remote.insert(index) }
    }
    let hasAncestor = digest & 1 == 1
    var rest = digest >> 1
    var next = 2 * block
    while rest != 0 {
      if rest == 1, hasAncestor {
        learn(next)
        if FlatTree.isRight(next) { next = FlatTree.sibling(next) }
        // A peer that has a root has those before it.
        let length = FlatTree.rightSpan(next) / 2 + 1
        for root in FlatTree.fullRoots(length: length) { learn(root) }
        return
      }
      if rest & 1 == 1 { learn(FlatTree.sibling(next)) }
      next = FlatTree.parent(next)
      rest >>= 1
    }
  }

  private func signature(of length: UInt64) throws(FeedError) -> Signature {
    if !batch.isWritten { try writeBatch() }
    guard length > 0, let signature = try signatures.signature(at: length - 1) else {
      throw FeedError(
        code: .signatureMissing, reason: "No signature is stored here for length \(length).")
    }
    return signature
  }
}
