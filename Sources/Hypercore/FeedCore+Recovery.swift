internal import HypercoreCrypto
internal import RandomAccessStorage

/// What has to be restored by peers before the feed may be written again.
struct Damage {
  /// The feed has to be this long again.
  var length: UInt64
  /// These blocks have to be stored again.
  var lost: [Range<UInt64>]

  var reason: String {
    var parts: [String] = []
    if !lost.isEmpty {
      parts.append("\(lost.reduce(0) { $0 + $1.count }) of its blocks are missing")
    }
    parts.append("it was signed up to length \(length) before")
    return "The feed is read-only until peers have restored it: "
      + parts.joined(separator: ", and ")
      + ". Writing now could fork it."
  }
}

// What the files hold after a crash, a copy or a loss. The signature of a batch's last block is what
// commits the batch, so the feed is as long as the newest signature that verifies says. All is decided
// from cheap evidence: the tree bits, one signature, the lengths of the files.

extension FeedCore {
  /// Finds the feed's length and repairs what can be repaired with certainty.
  func recover(_ stored: StoredFeed) throws(FeedError) {
    let claimed = min(bits.treeLength(), FeedLimits.maximumLength)
    var isRepaired = stored.hasCutPage
    let treeEnd = try files.tree.length()
    if bits.clearNodes(from: treeEnd > 32 ? (treeEnd - 32) / 40 : 0) { isRepaired = true }
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
    if start.length < claimed { bits.cut(to: start.length) }
    adopt(start)
    if isOwned { try restoreLastBits() }
    if isOwned, stored.signatureCount > length { try rollForward(stored.signatureCount) }
    if length < claimed { report.findings.append(.steppedDown(from: claimed, to: length)) }
    try checkData()
    offsetMarks = []
    report.isDamaged = damage != nil
    if isRepaired || bits.isDirty { bits.rebuildIndex() }
    guard access == .readWrite, damage == nil else { return }
    try removeUnsigned()
    try bits.flush()
  }

  private func adopt(_ known: KnownLength) {
    length = known.length
    roots = known.roots
    byteLength = known.roots.reduce(0) { $0 + $1.size }
    if length > 0 { isLive = known.isSigned }
  }

  /// Blocks of a static feed that was closed before it got its key: nothing can verify them.
  private func forgetUnfinalized(_ stored: StoredFeed, length: UInt64) throws(FeedError) -> Bool {
    guard stored.signatureCount == 0 else { return false }
    report.findings.append(.unfinalizedForgotten(length: length))
    bits.cut(to: 0)
    if access == .readWrite { try bits.flush() }
    return true
  }

  // MARK: Verified lengths

  private struct KnownLength {
    var length: UInt64
    var roots: [Node]
    var isSigned: Bool
    static let empty = KnownLength(length: 0, roots: [], isSigned: true)
  }

  /// The length with its roots, if they are there and signed, or hash to the key of a static feed.
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
  /// Looks back signature by signature, after some in growing steps, and then forward again by halves:
  /// lengths before a good one are good.
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

  /// Makes the last signature anew where it was lost but the bitfield, written after it, and all
  /// that it signed are here. It comes out as it was, so this can't fork the feed.
  private func signAgain(_ length: UInt64, _ slotCount: UInt64) throws(FeedError) -> Bool {
    guard let secretKey, access == .readWrite, length > 0,
      try signatures.lastUsed(before: max(slotCount, length), from: length - 1) == nil,
      let roots = try storedRoots(of: length)
    else { return false }
    // What was signed last vouches for the blocks before it.
    let vouched = try newestVerified(below: length)
    adopt(vouched)
    defer { adopt(.empty) }
    var running = vouched.roots
    for block in vouched.length..<length {
      guard try isIntact(block), let leaf = try knownNode(2 * block) else { return false }
      Self.grow(&running, with: leaf)
    }
    guard running == roots else { return false }
    let signature = secretKey.sign(TreeHash.tree(roots))
    try signatures.file.write(signature.bytes, at: SignatureFile.offset(of: length - 1))
    report.findings.append(.signedAgain(length: length))
    return true
  }

  /// Adds the leaf that follows to the full roots of a length, and calls `body` with each parent.
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

  // MARK: Signed, but not in the bitfield

  /// Takes over appends whose signature was written but whose bits were not.
  private func rollForward(_ slotCount: UInt64) throws(FeedError) {
    let slotCount = min(slotCount, FeedLimits.maximumLength)
    guard let last = try signatures.lastUsed(before: slotCount, from: length) else { return }
    let found = try signedLengths(upTo: last + 1)
    let start = length
    if let target = try newestSigned(of: found.candidates) {
      try takeOver(upTo: target)
      report.findings.append(.rolledForward(from: start, to: target))
    }
    guard length <= last else { return }
    if found.isComplete, length == start, access == .readWrite {
      // Whole nodes that no signature fits: left behind by a feed that the reference overwrote.
      report.findings.append(.staleSignaturesRemoved(last + 1 - length))
      try signatures.file.truncate(to: SignatureFile.offset(of: length))
      return
    }
    report.findings.append(.signedLengthLost(last + 1))
    damage = Damage(length: last + 1, lost: [])
  }

  private struct SignedLength {
    var length: UInt64
    var hash: Digest
    var signature: Signature
  }

  /// The lengths after this one that a signature stands for, hashed up from the leaves.
  ///
  /// - Returns: also whether there was a whole leaf for every block.
  private func signedLengths(upTo end: UInt64) throws(FeedError) -> (
    candidates: [SignedLength], isComplete: Bool
  ) {
    var candidates: [SignedLength] = []
    var running = roots
    var next = try signatures.next(from: length, before: end)
    for block in length..<end {
      guard let leaf = try tree.node(at: 2 * block), leaf.size <= FeedLimits.maximumByteLength,
        !leaf.looksTorn
      else { return (candidates, false) }
      Self.grow(&running, with: leaf)
      if let found = next, found.slot == block {
        candidates.append(
          SignedLength(
            length: block + 1, hash: TreeHash.tree(running), signature: found.signature))
        next = try signatures.next(from: block + 1, before: end)
      }
    }
    // A last slot that the file cuts off was no candidate.
    return (candidates, candidates.last?.length == end)
  }

  private func newestSigned(of candidates: [SignedLength]) throws(FeedError) -> UInt64? {
    guard let key else { return nil }
    func isGood(_ place: Int) -> Bool {
      key.verifies(candidates[place].signature, of: candidates[place].hash)
    }
    let linear = candidates.count - min(candidates.count, FeedLimits.linearSignatureChecks)
    for place in (linear..<candidates.count).reversed() where isGood(place) {
      return candidates[place].length
    }
    var (good, bad) = (-1, linear)
    while good + 1 < bad {
      let middle = (good + bad) / 2
      if isGood(middle) { good = middle } else { bad = middle }
    }
    return good >= 0 ? candidates[good].length : nil
  }

  /// Makes the feed as long as a signature that was verified says.
  private func takeOver(upTo end: UInt64) throws(FeedError) {
    let range = length..<end
    var running = roots
    for block in range {
      guard let leaf = try tree.node(at: 2 * block) else { throw .nodeMissing(2 * block) }
      try Self.grow(&running, with: leaf) { (parent) throws(FeedError) in
        if try tree.node(at: parent.index) != parent { try tree.put(parent) }
      }
    }
    roots = running
    length = end
    byteLength = running.reduce(0) { $0 + $1.size }
    setTreeBits(range)
    bits.setBlocks(range, to: true)
    var lost: [Range<UInt64>] = []
    // Those past the end of `data` are found by `checkData`.
    let dataLength = try files.data.length()
    for block in range where try byteOffset(of: block) + node(at: 2 * block).size <= dataLength {
      if try isIntact(block) { continue }
      bits.setBlocks(block..<(block + 1), to: false)
      lost.appendBlock(block)
    }
    report.findings += lost.map { .blocksLost($0) }
    if access == .readWrite { try tree.flush() }
  }

  /// Takes back into the data bits what was appended last, where only the tree bits of the page
  /// reached the disk. Goes back from the end as long as blocks are found whole; those that were
  /// cleared there were cut off `data`.
  private func restoreLastBits() throws(FeedError) {
    var end = length
    while end > 0, !bits.hasBlock(end - 1) {
      bits.setBlocks(end - 1..<end, to: true)
      guard try isIntact(end - 1) else {
        bits.setBlocks(end - 1..<end, to: false)
        break
      }
      end -= 1
    }
    if end < length { report.findings.append(.rolledForward(from: end, to: length)) }
  }

  // MARK: The ends of the files

  /// Takes back the bits of blocks that lie past the end of `data`.
  private func checkData() throws(FeedError) {
    if let beyond = bits.lastStored(below: bits.dataLimit), beyond >= length {
      bits.setBlocks(length..<(beyond + 1), to: false)
    }
    guard var last = bits.lastStored(below: length) else { return }
    let dataLength = try files.data.length()
    var lost: [Range<UInt64>] = []
    while try !ends(last, by: dataLength) {
      bits.setBlocks(last..<(last + 1), to: false)
      if let first = lost.last, first.lowerBound == last + 1 {
        lost[lost.count - 1] = last..<first.upperBound
      } else {
        lost.append(last..<(last + 1))
      }
      guard let next = bits.lastStored(below: last) else { break }
      last = next
    }
    guard !lost.isEmpty else { return }
    report.findings += lost.map { .blocksLost($0) }
    if isOwned { damage = Damage(length: max(damage?.length ?? 0, length), lost: lost) }
  }

  private func ends(_ block: UInt64, by end: UInt64) throws(FeedError) -> Bool {
    do {
      return try byteOffset(of: block) + node(at: 2 * block).size <= end
    } catch {
      if error.code == .nodeMissing { return false }
      throw error
    }
  }

  /// Cuts what an append wrote that never got its signature. Nobody else has seen it.
  private func removeUnsigned() throws(FeedError) {
    // Where nothing is signed at all, the files may as well have lost their signatures: left alone.
    guard isOwned, isLive, length > 0 else { return }
    let slots = 2 * length - 1
    let treeEnd = TreeFile.offset(of: slots)
    let treeLength = try files.tree.length()
    let dataLength = try files.data.length()
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
    report.findings.append(.unsignedBytesRemoved(extra))
  }
}

extension Node {
  /// Whether the slot may have been cut by the end of a disk page: a hash ends in four zero bytes once
  /// in 2^32.
  fileprivate var looksTorn: Bool { hash.bytes.suffix(4).allSatisfy { $0 == 0 } }
}

extension [Range<UInt64>] {
  /// Adds a block after those that are in it.
  mutating func appendBlock(_ block: UInt64) {
    if let last, last.upperBound == block {
      self[count - 1] = last.lowerBound..<(block + 1)
    } else {
      append(block..<(block + 1))
    }
  }
}
