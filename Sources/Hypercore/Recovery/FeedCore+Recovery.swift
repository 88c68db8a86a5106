internal import HypercoreCrypto
internal import RandomAccessStorage

// Recovery of the files after a crash, a copy or a loss. The signature of a batch's last block commits the
// batch, so the newest signature that verifies decides the length of the feed. All decisions rest on cheap
// evidence: the tree bits, one signature, the lengths of the files.
//
// Opening writes only what completes or undoes an append that was cut off here. In a feed that is owned here,
// these are the bits of what is signed and complete, and the removal of what was never signed. Any other bit
// whose data is missing is set aside in memory and reported, since the files may be the only record of it.

extension FeedCore {
  /// Finds the feed's length, and completes or undoes an append that was cut off.
  func recover(_ stored: StoredFeed) throws(FeedError) {
    let claimed = min(bits.treeLength(), FeedLimits.maximumLength)
    let isRepaired = stored.hasCutPage
    let treeEnd = try files.tree.length()
    bits.setAsideNodes(from: treeEnd > 32 ? (treeEnd - 32) / 40 : 0)
    if let failure = bits.failure { throw failure }
    var known = try claimed > 0 ? verifiedRoots(of: claimed) : .empty
    if known == nil, stored.key == nil, stored.secretKey == nil {
      guard try forgetUnfinalized(stored, length: claimed) else {
        throw FeedError(
          code: .anotherFeedStored,
          reason:
            "The blocks stored here were not signed with the key \(key.map(\.hex) ?? "given").")
      }
      return
    }
    if known == nil, try signAgain(claimed, stored.signatureCount) {
      known = try verifiedRoots(of: claimed)
    }
    let start: KnownLength
    if let known { start = known } else { start = try newestVerified(below: claimed) }
    if start.length < claimed { bits.setAside(from: start.length) }
    adopt(start)
    if isOwned, !files.dataIsElsewhere { try restoreLastBits() }
    if isOwned, stored.signatureCount > length {
      try rollForward(stored.signatureCount, wasOverwritten: stored.hasBlankPageSize)
    }
    if length < claimed { recovery.report.findings.append(.steppedDown(from: claimed, to: length)) }
    try checkData()
    locations.releaseMemory()
    recovery.report.isDamaged = damage != nil
    guard access == .readWrite, isOwned, damage == nil else { return }
    // Nothing is cut if there is no signature at all, as the files may have lost their signatures, or if
    // there are signatures beyond this length, as what they sign may be there.
    let slotCount = max(stored.signatureCount, length)
    if isLive, length > 0, try signatures.lastUsed(before: slotCount, from: length) == nil {
      try removeUnsigned()
    }
    if isRepaired || bits.isDirty { bits.rebuildIndex() }
    try bits.flush()
  }

  private func adopt(_ known: KnownLength) {
    extent.adopt(length: known.length, roots: known.roots)
    if length > 0 { extent.setLive(known.isSigned) }
  }

  /// Sets aside the blocks of a static feed that was closed before it got its key: nothing can verify them.
  private func forgetUnfinalized(_ stored: StoredFeed, length: UInt64) throws(FeedError) -> Bool {
    guard stored.signatureCount == 0 else { return false }
    recovery.report.findings.append(.unfinalizedForgotten(length: length))
    bits.setAside(from: 0)
    return true
  }

  // MARK: Verified lengths

  private struct KnownLength {
    var length: UInt64
    var roots: [Node]
    var isSigned: Bool
    static let empty = KnownLength(length: 0, roots: [], isSigned: true)
  }

  /// The length with its roots, if they are stored, and signed or equal in hash to the key of a static feed.
  private func verifiedRoots(of length: UInt64) throws(FeedError) -> KnownLength? {
    guard let key, let roots = try storedRoots(of: length) else { return nil }
    let hash = TreeHash.tree(roots)
    if let signature = try signatures.signature(at: length - 1), key.verifies(signature, of: hash) {
      return KnownLength(length: length, roots: roots, isSigned: true)
    }
    guard hash.bytes == key.bytes else { return nil }
    return KnownLength(length: length, roots: roots, isSigned: false)
  }

  private func storedRoots(of length: UInt64) throws(FeedError) -> [Node]? {
    var roots: [Node] = []
    var total: UInt64 = 0
    for index in FlatTree.fullRoots(length: length) {
      guard let root = try knownNode(index) else { return nil }
      roots.append(root)
      total += root.size
      guard total <= FeedLimits.maximumByteLength else { return nil }
    }
    return roots
  }

  /// The newest length before `end` that verifies.
  ///
  /// Goes back signature by signature, after a while in growing steps, and then searches forward by halves:
  /// all lengths before a good one are good.
  private func newestVerified(below end: UInt64) throws(FeedError) -> KnownLength {
    var best = KnownLength.empty
    var bad = end
    var checks = 0
    var step: UInt64 = 1
    var before = end
    while let slot = try signatures.lastUsed(before: before, from: 0) {
      if let known = try verifiedRoots(of: slot + 1) {
        best = known
        break
      }
      bad = slot
      checks += 1
      if checks > FeedLimits.linearSignatureChecks { step *= 2 }
      before = slot >= step ? slot - step + 1 : 0
    }
    while best.length < bad {
      let middle = best.length + (bad - best.length) / 2
      guard let next = try signatures.next(from: middle, before: bad) else {
        bad = middle
        continue
      }
      if let known = try verifiedRoots(of: next.slot + 1) {
        best = known
      } else {
        bad = middle
      }
    }
    return best
  }

  /// Makes the last signature again if it was lost or torn, but all that it signed is here, and so is the
  /// bitfield, which was written after it. The signature is the same as before, so this can't fork the feed.
  private func signAgain(_ length: UInt64, _ slotCount: UInt64) throws(FeedError) -> Bool {
    guard let secretKey, access == .readWrite, length > 0,
      try signatures.lastUsed(before: max(slotCount, length), from: length) == nil,
      let roots = try storedRoots(of: length)
    else { return false }
    let signature = secretKey.sign(TreeHash.tree(roots))
    // The stored signature is blank, or torn.
    guard try signatures.agrees(signature, at: length - 1) else { return false }
    // The newest signature that verifies vouches for the blocks before it.
    let vouched = try newestVerified(below: length)
    adopt(vouched)
    defer { adopt(.empty) }
    var running = vouched.roots
    for block in vouched.length..<length {
      if !files.dataIsElsewhere, try !isIntact(block) { return false }
      guard let leaf = try knownNode(2 * block) else {
        return false
      }
      Self.grow(&running, with: leaf)
    }
    guard running == roots else { return false }
    try files.signatures.write(signature.bytes, at: SignatureFile.offset(of: length - 1))
    recovery.report.findings.append(.signedAgain(length: length))
    return true
  }

  /// Adds the next leaf to the full roots of a length, and calls `body` with each parent.
  static func grow(
    _ roots: inout [Node], with leaf: Node, _ body: (Node) throws(FeedError) -> Void
  ) throws(FeedError) {
    var node = leaf
    while let left = roots.last, left.index == FlatTree.sibling(node.index),
      !FlatTree.isRight(left.index)
    {
      roots.removeLast()
      node = Node(
        index: FlatTree.parent(node.index), hash: TreeHash.parent(left, node),
        size: left.size &+ node.size)
      try body(node)
    }
    roots.append(node)
  }

  static func grow(_ roots: inout [Node], with leaf: Node) {
    // The closure throws nothing.
    try? grow(&roots, with: leaf) { (_) throws(FeedError) in }
  }

  // MARK: The ends of the files

  /// Sets aside blocks that lie past the end of `data`.
  private func checkData() throws(FeedError) {
    bits.setAside(length..<max(length, bits.dataLimit))
    guard !files.dataIsElsewhere, var last = bits.lastStored(below: length) else { return }
    let dataLength = try files.data.length()
    var lost: [Range<UInt64>] = []
    var steps = 0
    while try !ends(last, by: dataLength) {
      steps += 1
      if steps > FeedLimits.linearDataChecks {
        let start = try firstPast(dataLength, below: last + 1)
        lost += bits.setAside(start..<last + 1).reversed()
        break
      }
      // An empty block after one that was cleared needs no bytes of `data`.
      if (try? node(at: 2 * last).size) != 0 {
        bits.setAside(last..<(last + 1))
        if let first = lost.last, first.lowerBound == last + 1 {
          lost[lost.count - 1] = last..<first.upperBound
        } else {
          lost.append(last..<(last + 1))
        }
      }
      guard let next = bits.lastStored(below: last) else { break }
      last = next
    }
    addLost(lost.reversed())
  }

  /// The first stored block below `end` that extends past the end of `data`. Blocks are in order, so the
  /// search goes by halves.
  private func firstPast(_ dataLength: UInt64, below end: UInt64) throws(FeedError) -> UInt64 {
    var (low, high) = (0 as UInt64, end)
    while low < high {
      let middle = low + (high - low) / 2
      guard let block = bits.lastStored(below: middle + 1), block >= low else {
        low = middle + 1
        continue
      }
      if try ends(block, by: dataLength) { low = middle + 1 } else { high = block }
    }
    return low
  }

  /// Reports blocks that should be here and are not. A feed that is owned here can't be written before it has
  /// them again.
  func addLost(_ lost: [Range<UInt64>]) {
    recovery.addLost(lost, length: length, isOwned: isOwned)
  }

  private func ends(_ block: UInt64, by end: UInt64) throws(FeedError) -> Bool {
    do {
      return try byteOffset(of: block) + node(at: 2 * block).size <= end
    } catch {
      if error.code == .nodeMissing { return false }
      throw error
    }
  }

  /// Cuts off what an append wrote that was never signed. No peer has seen it.
  private func removeUnsigned() throws(FeedError) {
    bits.cut(to: length)
    let slots = 2 * length - 1
    let treeEnd = TreeFile.offset(of: slots)
    let treeLength = try files.tree.length()
    let dataLength = files.dataIsElsewhere ? 0 : try files.data.length()
    let extra =
      (treeLength > treeEnd ? treeLength - treeEnd : 0)
      + (dataLength > byteLength ? dataLength - byteLength : 0)
    guard extra > 0 else { return }
    // Parents that the append completed.
    var node = FlatTree.parent(2 * (length - 1))
    while FlatTree.depth(node) < 40 {
      if node < slots, FlatTree.rightSpan(node) >= 2 * length, try tree.node(at: node) != nil {
        try tree.blank(node)
      }
      node = FlatTree.parent(node)
    }
    try tree.flush()
    if treeLength > treeEnd { try tree.truncate(toSlots: slots) }
    if dataLength > byteLength { try files.data.truncate(to: byteLength) }
    recovery.report.findings.append(.unsignedBytesRemoved(extra))
  }
}

extension [Range<UInt64>] {
  /// Adds a block, which comes after those that are in the array.
  mutating func appendBlock(_ block: UInt64) {
    if let last, last.upperBound == block {
      self[count - 1] = last.lowerBound..<(block + 1)
    } else {
      append(block..<(block + 1))
    }
  }
}
