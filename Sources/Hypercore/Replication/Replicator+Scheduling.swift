internal import HypercoreProtocol

extension Replicator {
  // MARK: Selections

  /// Adds a range to the downloads.
  ///
  /// - Parameter completion: called when all of a range with an end is here, or will never be.
  /// - Returns: a number for ``undownload(_:)``.
  @discardableResult
  package func download(
    _ range: DownloadRange, completion: ((Result<Void, FeedError>) -> Void)? = nil
  ) -> UInt64 {
    let selection = Selection(id: newID(), range: range, completion: completion)
    if isClosed {
      selection.finish(.failure(.closed))
      return selection.id
    }
    plan.add(selection)
    needsUpdate()
    if let reason = refusal, completion != nil || core.forkEvidence != nil {
      // Blocks that are here already are not a failure.
      try? finishSelections()
      undownload(selection.id, reason)
    }
    return selection.id
  }

  /// Removes a range from the downloads; its completion is called with `error`.
  package func undownload(_ id: UInt64, _ error: FeedError = .downloadCancelled) {
    guard let selection = plan.remove(id) else { return }
    selection.finish(.failure(error))
    needsUpdate()
  }

  func finishSelections() throws {
    for selection in plan.selections {
      guard let end = selection.range.end, core.length >= end else { continue }
      let start = selection.range.start
      if start < end {
        if selection.range.hash {
          guard (start..<end).allSatisfy({ core.bits.hasNode($0 * 2) }) else { continue }
        } else {
          guard core.has(start..<end) else { continue }
        }
      }
      _ = plan.remove(selection.id)
      selection.finish(.success(()))
    }
  }

  /// Releases a block that is no longer requested from any peer. If it did not arrive, it is looked for
  /// again.
  func release(_ index: UInt64) {
    plan.release(index)
    if core.has(index) { return }
    for selection in plan.selections { selection.lowerCursors(to: index) }
  }

  // MARK: Choosing requests

  /// Sends every request that is due.
  func schedule() throws {
    guard !peers.isEmpty, gate.isOpen, !waits.isEmpty || !plan.selections.isEmpty else { return }
    for peer in peers where peer.isDownloading {
      peer.sendWants(for: waits.blocks)
      guard peer.remote.length > 0 else { continue }
      if needsFirstBlock {
        // Nothing else is requested before it is known what the feed is.
        if peer.freeRequests > 0 { _ = try request(0, from: peer) }
        continue
      }
      if peer.waitsForRoots {
        // Its answer passes all roots that are here, like the answer to the question.
        if wants(core.length) { _ = try request(core.length, from: peer) }
        continue
      }
      var free = peer.freeRequests
      for index in waits.blocks where free > 0 {
        if try request(index, from: peer) { free -= 1 }
      }
      if !waits.updates.isEmpty { try requestUpdate(from: peer, &free) }
      if !waits.seeks.isEmpty { try requestSeeks(from: peer, &free) }
      for selection in plan.selections where free > 0 {
        if selection.range.linear || selection.range.hash {
          requestInOrder(selection, from: peer, &free)
          continue
        }
        while free > 0, let index = nextBlock(of: selection, from: peer) {
          plan.reserve(index)
          peer.request(index, hash: false)
          free -= 1
        }
      }
    }
  }

  /// Returns whether anything asks for a block. One look at each selection.
  func wants(_ index: UInt64) -> Bool {
    waits.contains(index) || index == 0 && needsFirstBlock || plan.covers(index)
  }

  private func request(
    _ index: UInt64, from peer: FeedPeer, hash: Bool = false
  ) throws -> Bool {
    guard peer.remote.blocks.contains(index), !plan.reserved.contains(index), !core.has(index)
    else {
      return false
    }
    plan.reserve(index)
    peer.request(index, hash: hash)
    return true
  }

  /// Requests the last block of the length that is waited for, or its hash: it comes with the signed roots.
  private func requestUpdate(from peer: FeedPeer, _ free: inout Int) throws {
    guard let target = waits.greatestLength, target > core.length, free > 0 else { return }
    let wanted = min(target, peer.remote.length)
    guard wanted > core.length else { return }
    if try request(wanted - 1, from: peer, hash: waits.needsProofOnly) { free -= 1 }
  }

  private func requestSeeks(from peer: FeedPeer, _ free: inout Int) throws {
    for seek in waits.seeks where free > 0 {
      guard !peer.download.seeks(byte: seek.bytes) else { continue }
      let span = core.seekSpan(seek.bytes, in: seek.range, length: peer.remote.length)
      guard let index = try firstMissingLeaf(in: span, of: peer) else { continue }
      peer.download.seek(byte: seek.bytes)
      free -= 1
      let digest = TreeDigest.digest(of: index, bound: peer.remote.length * 2) {
        core.bits.hasNode($0)
      }
      peer.send(.request(Request(index: index, bytes: seek.bytes, hash: true, nodes: digest)))
    }
  }

  private func firstMissingLeaf(in span: Range<UInt64>, of peer: FeedPeer) throws -> UInt64? {
    var index = span.lowerBound
    var steps = 0
    while index < span.upperBound, steps < 4096 {
      if peer.remote.blocks.contains(index), !core.has(index) { return index }
      index += 1
      steps += 1
    }
    return nil
  }

  /// Returns whether a peer has something that is selected and not here.
  func wantsAnything(from peer: FeedPeer) -> Bool {
    plan.selections.contains { selection in
      let (start, end) = (selection.range.start, end(of: selection, from: peer))
      return start < end
        && nextWord(of: selection, from: peer, start..<end, ignoringReserved: true) != nil
    }
  }

  /// True if this side has everything that the connected peers have, and at least one has said what that is.
  /// Blocks that none of them has may be missing.
  package var hasAllOfPeers: Bool {
    !peers.isEmpty && gate.isOpen
      && peers.allSatisfy { peer in
        !peer.remote.isAsked && peer.download.requests.activeCount == 0
          && peer.remote.askedCount >= max(Int(clamping: peer.remote.regionCount), 1)
          && (peer.remote.length <= core.length
            || peer.remote.blocks.last(in: core.length..<peer.remote.length) == nil)
          && !wantsAnything(from: peer)
      }
  }

  /// Returns whether anyone waits for something that the peer can bring. A wait for what it doesn't have does
  /// not keep a session open.
  func waits(for peer: FeedPeer) throws -> Bool {
    if waits.blocks.contains(where: { peer.remote.blocks.contains($0) && !core.has($0) }) {
      return true
    }
    if peer.remote.length > core.length, waits.updates.contains(where: { $0.length > core.length })
    {
      return true
    }
    return try waits.seeks.contains { seek in
      let span = core.seekSpan(seek.bytes, in: seek.range, length: peer.remote.length)
      return try firstMissingLeaf(in: span, of: peer) != nil
    }
  }

  /// Requests a selection's blocks from the lowest on. Each block is checked once for each peer, unless it is
  /// released.
  private func requestInOrder(_ selection: Selection, from peer: FeedPeer, _ free: inout Int) {
    let end = end(of: selection, from: peer)
    var position = selection.cursor(of: peer)
    while free > 0, position < end,
      let (number, bits) = nextWord(of: selection, from: peer, position..<end)
    {
      var rest = bits
      while rest != 0, free > 0 {
        let bit = UInt64(rest.leadingZeroBitCount)
        rest &= (.max >> bit) >> 1
        peer.request(number << 6 + bit, hash: selection.range.hash)
        free -= 1
      }
      plan.reserve(bits & ~rest, inWord: number)
      position = rest == 0 ? (number + 1) << 6 : number << 6 + UInt64(rest.leadingZeroBitCount)
    }
    // If no request is free any more, the rest was not checked.
    selection.setCursor(of: peer, to: free > 0 ? max(position, end) : position)
  }

  private func end(of selection: Selection, from peer: FeedPeer) -> UInt64 {
    min(selection.range.end ?? .max, peer.remote.length)
  }

  /// A block at a random position.
  private func nextBlock(of selection: Selection, from peer: FeedPeer) -> UInt64? {
    let (start, end) = (selection.range.start, end(of: selection, from: peer))
    guard start < end else { return nil }
    let middle = plan.randomBlock(in: start..<end)
    let found =
      nextWord(of: selection, from: peer, middle..<end)
      ?? nextWord(of: selection, from: peer, start..<middle)
    return found.map { $0.number << 6 + UInt64($0.bits.leadingZeroBitCount) }
  }

  /// The next 64 blocks that include some which the selection covers, the peer has, and which are neither
  /// here nor in flight.
  private func nextWord(
    of selection: Selection, from peer: FeedPeer, _ range: Range<UInt64>,
    ignoringReserved: Bool = false
  ) -> (number: UInt64, bits: UInt64)? {
    let end = range.upperBound
    var position = range.lowerBound
    while position < end {
      let page = position / BlockSet.pageBits
      guard let next = peer.remote.blocks.nextPage(from: page) else { return nil }
      if next > page {
        position = next * BlockSet.pageBits
        continue
      }
      let pageEnd = (page + 1) * BlockSet.pageBits
      while position < min(end, pageEnd) {
        let number = position >> 6
        var bits = peer.remote.blocks.word(number) & (.max >> (position & 63))
        if end - number << 6 < 64 { bits &= ~(.max >> (end & 63)) }
        if bits != 0 {
          bits &= selection.range.hash ? ~leafWord(number) : ~core.bits.dataWord(number)
          if !ignoringReserved { bits &= ~plan.reserved.word(number) }
          if bits != 0 { return (number, bits) }
        }
        position = (number + 1) << 6
      }
    }
    return nil
  }

  private func leafWord(_ number: UInt64) -> UInt64 {
    var word: UInt64 = 0
    for offset in 0..<64 where core.bits.hasNode((number << 6 + UInt64(offset)) * 2) {
      word |= 1 << (63 - UInt64(offset))
    }
    return word
  }
}
