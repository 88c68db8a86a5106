internal import HypercoreCrypto
internal import RandomAccessStorage

extension FeedCore {
  // MARK: Signed, but not in the bitfield

  /// Adopts appends whose signatures were written but whose bits were not.
  func rollForward(_ slotCount: UInt64, wasOverwritten: Bool) throws(FeedError) {
    let slotCount = min(slotCount, FeedLimits.maximumLength)
    guard let last = try signatures.lastUsed(before: slotCount, from: length) else { return }
    let found = try signedLengths(upTo: last + 1)
    let start = length
    if let target = try newestSigned(of: found.candidates) {
      try takeOver(upTo: target)
      recovery.report.findings.append(.rolledForward(from: start, to: target))
    }
    if length <= last, found.isComplete { try signTornAgain(last + 1, found.hash, from: start) }
    guard length <= last else { return }
    // A last slot that the file cuts off was not a candidate.
    if found.candidates.last?.length == last + 1, length == start, start > 0 || wasOverwritten {
      // Complete nodes without a fitting signature: a feed that the reference overwrote left them behind.
      recovery.report.findings.append(.staleSignatures(last + 1 - length))
      return
    }
    recovery.report.findings.append(.signedLengthLost(last + 1))
    recovery.require(last + 1)
  }

  private struct SignedLength {
    var length: UInt64
    var hash: Digest
    var signature: Signature
  }

  /// The lengths beyond the current one for which there is a signature, with hashes computed from the leaves.
  ///
  /// - Returns: also whether there was a complete leaf for every block and, if so, the hash of the last
  ///   length.
  private func signedLengths(upTo end: UInt64) throws(FeedError) -> (
    candidates: [SignedLength], isComplete: Bool, hash: Digest
  ) {
    var candidates: [SignedLength] = []
    var running = roots
    var next = try signatures.next(from: length, before: end)
    for block in length..<end {
      guard let leaf = try tree.node(at: 2 * block), leaf.size <= FeedLimits.maximumByteLength,
        !leaf.looksTorn
      else { return (candidates, false, Digest()) }
      Self.grow(&running, with: leaf)
      if let found = next, found.slot == block {
        candidates.append(
          SignedLength(
            length: block + 1, hash: TreeHash.tree(running), signature: found.signature))
        next = try signatures.next(from: block + 1, before: end)
      }
    }
    return (candidates, true, TreeHash.tree(running))
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

  /// Completes the newest signature if a power loss tore it at the border of a sector.
  ///
  /// Only if the tree below is complete, and what is left of the signature matches a new signature of the
  /// same roots: those very roots were signed, so nothing is forked.
  private func signTornAgain(
    _ length: UInt64, _ hash: Digest, from start: UInt64
  ) throws(FeedError) {
    guard let secretKey, access == .readWrite else { return }
    let signature = secretKey.sign(hash)
    guard try signatures.agrees(signature, at: length - 1) else { return }
    let before = self.length
    try takeOver(upTo: length)
    try files.signatures.write(signature.bytes, at: SignatureFile.offset(of: length - 1))
    recovery.report.findings.removeAll { $0 == .rolledForward(from: start, to: before) }
    recovery.report.findings += [
      .rolledForward(from: start, to: length), .signedAgain(length: length),
    ]
  }

  /// Extends the feed to the length of a signature that was verified.
  private func takeOver(upTo end: UInt64) throws(FeedError) {
    let range = length..<end
    var running = roots
    for block in range {
      guard let leaf = try tree.node(at: 2 * block) else { throw .nodeMissing(2 * block) }
      try Self.grow(&running, with: leaf) { (parent) throws(FeedError) in
        if try tree.node(at: parent.index) != parent { try tree.put(parent) }
      }
    }
    extent.adopt(length: end, roots: running)
    setTreeBits(range)
    if files.dataIsElsewhere {
      // The data bits decide what is stored.
      bits.countAgain(range)
    } else {
      var lost: [Range<UInt64>] = []
      for block in range {
        if try isIntact(block) { bits.setBlock(block) } else { lost.appendBlock(block) }
      }
      addLost(lost)
    }
    if access == .readWrite { try tree.flush() }
  }

  /// Restores the data bits of the last appended blocks if only the tree bits of the page reached the disk.
  /// Goes back from the end while blocks are intact; blocks that were cleared there were cut off `data`.
  func restoreLastBits() throws(FeedError) {
    var end = length
    while end > 0, !bits.hasBlock(end - 1) {
      guard try isIntact(end - 1) else { break }
      bits.setBlock(end - 1)
      end -= 1
    }
    if end < length { recovery.report.findings.append(.rolledForward(from: end, to: length)) }
  }
}

extension Node {
  /// True if the slot may have been cut at the end of a disk page. A hash ends in four zero bytes only once
  /// in 2^32.
  fileprivate var looksTorn: Bool { hash.bytes.suffix(4).allSatisfy { $0 == 0 } }
}
