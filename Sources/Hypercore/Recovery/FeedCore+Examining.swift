internal import HypercoreCrypto

// Checks and repairs of `Feed.examine`. A node counts as right if it hashes, with its sibling, into another
// right node, and so on up to the signed roots.

extension FeedCore {
  /// Examines everything and changes nothing.
  func examine(
    _ examination: inout FeedExamination, _ progress: ((UInt64) -> Void)?
  ) throws(FeedError) {
    examination.key = key
    examination.length = length
    examination.byteLength = byteLength
    examination.storedBlocks = downloaded()
    examination.isOwned = isOwned
    examination.problems += report.findings.compactMap(\.problem)
    if let forkEvidence {
      examination.forkEvidence = forkEvidence
      examination.problems.append(
        .init(
          code: isOwned ? .forked : .foreignFork, message: FeedError.forked(forkEvidence).reason,
          isRepairable: false))
    }
    if isOwned, length > 0, isMarkedElsewhere == true {
      examination.problems.append(
        .init(
          code: .folderCopied,
          message:
            "The folder was copied or restored from a backup since the feed was written there. "
            + "Connect to peers before anything is appended: they may have more of it. Never write in "
            + "two copies.", isRepairable: false))
    }
    try examineSizes(&examination)
    let wrong = try wrongNodes()
    try examineSignatures(&examination, above: wrong)
    if !wrong.isEmpty {
      examination.problems.append(
        .init(
          code: .damagedNodes,
          message:
            "\(wrong.count) \(wrong.count == 1 ? "node of the tree is" : "nodes of the tree are") "
            + "not the hash of those below, node \(wrong[0].index) first.", isRepairable: true))
    }
    let bad = try damagedBlocks(progress)
    if !bad.isEmpty {
      examination.problems.append(
        .init(
          code: .damagedBlocks,
          message: "\(Words.list(bad)) not what was verified.", isRepairable: true))
    }
    let missing = length - min(length, examination.storedBlocks)
    if isOwned, missing > 0 {
      examination.problems.append(
        .init(
          code: .ownBlocksMissing,
          message:
            "\(Words.blocks(missing)) of this feed, which is written here, \(missing == 1 ? "is" : "are") "
            + "not stored here: cleared, or lost. Peers may have what is missing.",
          isRepairable: false))
    }
  }

  /// Repairs what can be repaired with certainty: nodes that follow from the leaves below are written again;
  /// nodes and blocks that don't match are no longer recorded as stored, so that peers can bring them;
  /// signatures of a feed that was overwritten here are removed.
  ///
  /// - Returns: the repairs that were made, a sentence each.
  func mend() throws(FeedError) -> [String] {
    var repairs: [String] = []
    let wrong = try wrongNodes()
    var rebuilt = 0
    var dropped: [Range<UInt64>] = []
    for node in wrong {
      if try rebuild(node) {
        rebuilt += 1
      } else {
        dropped.append(forgetBelow(node.index))
      }
    }
    if rebuilt > 0 {
      repairs.append(
        "\(rebuilt) \(rebuilt == 1 ? "node of the tree was" : "nodes of the tree were") made again from "
          + "those below.")
    }
    if !dropped.isEmpty {
      repairs.append(
        "\(Words.list(dropped)) no longer recorded as stored: with what is here they can't be verified."
      )
    }
    let bad = try auditRanges().invalid
    if !bad.isEmpty {
      repairs.append(
        "\(Words.list(bad)) no longer recorded as stored: what is there is not what was verified.")
    }
    try writing { () throws(FeedError) in
      try tree.flush()
      bits.forgetAside(0..<bits.dataLimit)
      bits.forgetAsideNodes()
      if bits.isDirty { bits.rebuildIndex() }
      try bits.flush()
      if report.findings.contains(where: { if case .staleSignatures = $0 { true } else { false } })
      {
        try signatures.file.truncate(to: SignatureFile.offset(of: length))
      }
    }
    return repairs
  }

  /// Reports files that are far longer than what is stored in them. A writer makes such files if it signs a
  /// length without the blocks before it.
  private func examineSizes(_ examination: inout FeedExamination) throws(FeedError) {
    for file in files.growing {
      examination.fileBytes += try file.length()
      examination.occupiedBytes += try file.occupied()
    }
    guard examination.fileBytes > FeedLimits.tellingHoles,
      examination.fileBytes / 16 > examination.occupiedBytes
    else { return }
    examination.problems.append(
      .init(
        code: .largeHoles,
        message:
          "Its files look like \(examination.fileBytes) bytes, of which \(examination.occupiedBytes) "
          + "are on the disk: the rest are holes. Copy them with a tool that keeps holes, such as cp or rsync -S.",
        isRepairable: false))
  }

  // MARK: Signatures

  /// - Parameter wrong: nodes that their children don't hash into. What is below them says nothing about a
  ///   signature.
  private func examineSignatures(
    _ examination: inout FeedExamination, above wrong: [Node]
  ) throws(FeedError) {
    guard let key else { return }
    var bad: [UInt64] = []
    var slot: UInt64 = 0
    while let found = try signatures.next(from: slot, before: length) {
      slot = found.slot + 1
      // A replica may lack the roots of an earlier length.
      guard let roots = try? roots(of: slot) else { continue }
      let isInDoubt = roots.contains { root in
        wrong.contains { $0.index != root.index && FlatTree.span($0.index).contains(root.index) }
      }
      if isInDoubt { continue }
      if key.verifies(found.signature, of: TreeHash.tree(roots)) {
        examination.validSignatures += 1
      } else {
        bad.append(slot)
      }
    }
    guard let first = bad.first else { return }
    examination.problems.append(
      .init(
        code: .badSignatures,
        message: "\(bad.count) signatures do not verify, that of length \(first) first.",
        isRepairable: false))
  }

  // MARK: The tree

  /// The nodes that are marked as verified but are not the hash of their children, from the roots down.
  private func wrongNodes() throws(FeedError) -> [Node] {
    var wrong: [Node] = []
    var stack = roots
    while let node = stack.popLast() {
      guard node.index & 1 == 1, let left = try knownNode(FlatTree.leftChild(node.index)),
        let right = try knownNode(FlatTree.rightChild(node.index))
      else { continue }
      if TreeHash.parent(left, right) == node.hash, left.size + right.size == node.size {
        stack.append(left)
        stack.append(right)
      } else {
        wrong.append(node)
      }
    }
    return wrong
  }

  /// Makes all nodes below one again from the leaves, or from the blocks, if that leads to this node.
  private func rebuild(_ top: Node) throws(FeedError) -> Bool {
    locations.removePlaces()
    for fromBlocks in [false, true] {
      var nodes: [Node] = []
      guard let made = try made(top.index, fromBlocks, &nodes), made == top else { continue }
      for node in nodes where node.index != top.index {
        try tree.put(node)
        bits.setNode(node.index)
      }
      return true
    }
    return false
  }

  private func made(
    _ index: UInt64, _ fromBlocks: Bool, _ nodes: inout [Node]
  ) throws(FeedError) -> Node? {
    if index & 1 == 0 {
      guard let leaf = try knownNode(index) else { return nil }
      guard fromBlocks, let block = try? block(at: index / 2) else { return leaf }
      let node = Node(index: index, hash: TreeHash.leaf(block), size: UInt64(block.count))
      nodes.append(node)
      return node
    }
    guard let left = try made(FlatTree.leftChild(index), fromBlocks, &nodes),
      let right = try made(FlatTree.rightChild(index), fromBlocks, &nodes)
    else { return nil }
    // Each size is below 2^53.
    let node = Node(
      index: index, hash: TreeHash.parent(left, right), size: left.size + right.size)
    nodes.append(node)
    return node
  }

  /// Clears the bits of everything below a node.
  private func forgetBelow(_ index: UInt64) -> Range<UInt64> {
    let span = FlatTree.span(index)
    let blocks = span.lowerBound / 2..<span.upperBound / 2 + 1
    // Marks end with the last page, however far the node's leaves would extend.
    for node in Range(span).clamped(to: 0..<bits.treeLimit) where node != index {
      bits.setNode(node, to: false)
    }
    bits.setBlocks(blocks.clamped(to: 0..<bits.dataLimit), to: false)
    return blocks.clamped(to: 0..<length)
  }

  // MARK: Blocks

  private func damagedBlocks(_ progress: ((UInt64) -> Void)?) throws(FeedError) -> [Range<UInt64>] {
    var bad: [Range<UInt64>] = []
    var next: UInt64 = 0
    while let block = bits.nextStored(from: next, below: bits.dataLimit) {
      next = block + 1
      if try !isIntact(block) { bad.appendBlock(block) }
      if next & 1023 == 0 { progress?(next) }
    }
    return bad
  }
}
