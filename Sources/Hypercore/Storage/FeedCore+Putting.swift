package import HypercoreCrypto
internal import RandomAccessStorage

/// The outcome of storing a block or hash that a peer sent.
package struct PutResult: Equatable {
  package enum Outcome: Equatable {
    /// The block is verified and stored.
    case stored
    /// The hash, sent without the block, is verified and stored.
    case hashStored
    /// It is right, and was stored here before.
    case known
  }

  package var outcome: Outcome
  /// The feed's new length, if the proof extended it.
  package var newLength: UInt64?
}

extension FeedCore {
  // MARK: Batches

  /// Collects what ``put(_:value:nodes:signature:)`` stores until ``commitBatch()``.
  ///
  /// Later calls see what was put, and count it as stored, at once.
  package func beginBatch() { batch.isOpen = true }

  /// Writes what was put since ``beginBatch()``, each file in one call, then notifies ``onChange``.
  ///
  /// Does nothing if no batch is open.
  package func commitBatch() throws(FeedError) {
    batch.isOpen = false
    try writeBatch()
    let (stored, newLength) = (batch.stored, batch.newLength)
    guard !stored.isEmpty || newLength != nil else { return }
    batch.stored = []
    batch.newLength = nil
    checkRestored()
    if let newLength { onChange?(.grew(to: newLength)) }
    if !stored.isEmpty { onChange?(.stored(stored)) }
  }

  /// Writes what is pending and leaves the batch open.
  func writeBatch() throws(FeedError) {
    guard batch.hasNodes || !batch.isWritten else { return }
    if let failure { throw failure }
    try writing { () throws(FeedError) in
      if zip(batch.data, batch.data.dropFirst()).contains(where: { $0.offset > $1.offset }) {
        batch.data.sort { $0.offset < $1.offset }
      }
      batch.signatures.sort { $0.slot < $1.slot }
      try commit(
        data: batch.data,
        signatures: batch.signatures.map {
          StorageWrite(offset: SignatureFile.offset(of: $0.slot), bytes: $0.signature.bytes)
        }, blocks: batch.blockCount)
      // Nodes that were claimed and missing have been replaced, or lead nowhere.
      if bits.hasAside { bits.forgetAsideNodes() }
      try bits.flush()
    }
    batch.blockCount = 0
    batch.data.removeAll(keepingCapacity: batch.data.count < 4096)
    batch.dataSize = 0
    batch.signatures.removeAll(keepingCapacity: true)
    batch.hasNodes = false
    batch.before = nil
  }

  /// Discards what could not be written, so that what was stored before can still be read and served.
  func dropBatch() {
    for range in batch.stored { bits.setBlocks(range, to: false) }
    if let before = batch.before { extent = before }
    batch = PutBatch()
  }

  // MARK: Putting

  /// Verifies what a peer sent and stores it: a block or, if `value` is nil, its hash.
  ///
  /// Nothing is stored before it is verified: each stored node was hashed into one that was trusted before,
  /// or into roots that the key has signed. Outside a batch it is written before this returns.
  ///
  /// - Parameters:
  ///   - block: the block's index.
  ///   - value: its bytes; nil for a hash-only answer, which starts with the block's own node.
  ///   - nodes: the proof, in climbing order. Unneeded nodes are ignored.
  ///   - signature: the signature over the roots, if the proof leads to them.
  ///   - accept: called with a block that is verified and not stored here yet. If it throws, the error is
  ///     rethrown and nothing is stored.
  /// - Throws: ``FeedError/Code/proofRejected`` if the proof is wrong: the peer is disconnected.
  ///   ``FeedError/Code/proofIncomplete`` if it leads to nothing that is trusted here.
  ///   ``FeedError/Code/forked`` if the key has signed something else than what is stored here. Storage
  ///   failures otherwise.
  /// - Complexity: one leaf hash, a parent hash for each new node above it, and one signature check if the
  ///   proof reaches no trusted node.
  ///
  /// Source: hypercore v6.26.0 `index.js`, `_verifyAndWrite`, with its two holes closed.
  @discardableResult
  package func put(
    _ block: UInt64, value: [UInt8]?, nodes: [Node], signature: Signature? = nil,
    accept: ((UInt64, [UInt8]) throws(FeedError) -> Void)? = nil
  ) throws(FeedError) -> PutResult {
    try checkStorable()
    var climb = try Climb(block: block, value: value, nodes: nodes)
    var roots: VerifiedRoots?
    let lostBefore = bits.lostNodes
    do {
      if try climbToTrusted(&climb) {
        let beyond = try climbOn(climb, signature)
        climb.nodes += beyond.nodes
        roots = beyond.roots
      } else {
        roots = try verifyRoots(&climb, signature)
      }
    } catch {
      guard bits.lostNodes == lostBefore else {
        throw .damaged(
          "A node that block \(block) needs was lost here. It is fetched with the next request.")
      }
      guard error.code == .proofRejected || error.code == .proofIncomplete, let signature,
        let fork = try findFork(
          Climb(block: block, value: value, nodes: nodes), signature: signature)
      else { throw error }
      throw fork
    }
    if let accept, let value, !bits.hasBlock(block) { try accept(block, value) }
    if batch.before == nil { batch.before = extent }
    let result = try writing { () throws(FeedError) in
      try store(block, value: value, climb: climb, roots: roots)
    }
    if !batch.isOpen {
      try commitBatch()
    } else if batch.dataSize >= PutBatch.limit {
      try writeBatch()
    }
    return result
  }

  /// Puts several answers as one batch, in order.
  ///
  /// Answers that were verified before one that is refused are stored all the same.
  package func putAll(
    _ answers: [(block: UInt64, value: [UInt8]?, nodes: [Node], signature: Signature?)]
  ) throws(FeedError) -> [PutResult] {
    beginBatch()
    var results: [PutResult] = []
    results.reserveCapacity(answers.count)
    do {
      for answer in answers {
        results.append(
          try put(
            answer.block, value: answer.value, nodes: answer.nodes, signature: answer.signature))
      }
    } catch {
      if failure == nil { try commitBatch() }
      throw error
    }
    try commitBatch()
    return results
  }

  /// Stores what is verified.
  private func store(
    _ block: UInt64, value: [UInt8]?, climb: Climb, roots: VerifiedRoots?
  ) throws(FeedError) -> PutResult {
    var result = PutResult(outcome: .known)
    for node in climb.nodes where !bits.hasNode(node.index) {
      try keep(node)
      result.outcome = .hashStored
    }
    if let roots {
      for node in roots.nodes {
        if !bits.hasNode(node.index) {
          try keep(node)
          result.outcome = .hashStored
        } else if node.index & 1 == 0, try self.node(at: node.index).size != node.size {
          try correctSizes(of: node.index / 2, size: node.size)
        }
      }
      if let signature = roots.signature {
        batch.signatures.append((roots.length - 1, signature))
      }
      extent.setLive(roots.signature != nil)
      if roots.length > length {
        extent.grow(to: roots.length, byteLength: roots.byteLength, roots: roots.nodes)
        batch.newLength = length
        result.newLength = length
      }
    }
    guard let value else { return result }
    if climb.leafSizeDiffers {
      try correctSizes(of: block, size: UInt64(value.count))
    }
    guard !bits.hasBlock(block) else { return result }
    if !value.isEmpty {
      let offset = try byteOffset(of: block)
      if bits.hasAside { try forgetAside(before: block, end: offset + UInt64(value.count)) }
      batch.add(value, at: offset)
      locations.keepNext(block + 1, at: offset + UInt64(value.count))
    }
    bits.setBlock(block)
    batch.blockCount += 1
    batch.hasNodes = true
    batch.stored.appendBlock(block)
    result.outcome = .stored
    return result
  }

  /// Clears the bits of blocks that were set aside before `data` grows over their places. From then on these
  /// would look as if they were stored, so the record of them goes first.
  private func forgetAside(before block: UInt64, end: UInt64) throws(FeedError) {
    guard !files.dataIsElsewhere, !bits.asideBlocks(in: 0..<block).isEmpty,
      try end > files.data.length()
    else { return }
    // Pending blocks have their bits set in memory already; in the files, bits come last.
    try writeBatch()
    bits.forgetAside(0..<block)
    try bits.flush()
    if durability == .synced { try bringToDisk(files.bitfield) }
  }

  private func keep(_ node: Node) throws(FeedError) {
    try tree.put(node)
    bits.setNode(node.index)
    batch.hasNodes = true
  }

  /// Corrects the sizes of a leaf and its sibling, of which a hash-only proof proves only the sum.
  private func correctSizes(of block: UInt64, size: UInt64) throws(FeedError) {
    locations.removePlaces()
    var leaf = try node(at: 2 * block)
    let parent = try node(at: FlatTree.parent(leaf.index))
    guard size <= parent.size else {
      throw .rejected("Block \(block) is longer than the node above it says.")
    }
    leaf.size = size
    try tree.put(leaf)
    if var sibling = try knownNode(FlatTree.sibling(leaf.index)) {
      sibling.size = parent.size - size
      try tree.put(sibling)
    }
    batch.hasNodes = true
  }

  /// Lets the feed be written again once peers have restored what was lost.
  private func checkRestored() {
    guard damage != nil else { return }
    recovery.checkRestored(length: length, has: has)
  }
}
