internal import HypercoreProtocol

extension Replicator {
  // MARK: Selections

  /// Adds a range to what is downloaded.
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
    selections.append(selection)
    needsUpdate()
    return selection.id
  }

  /// Takes a range out of what is downloaded; its completion is called with `error`.
  package func undownload(_ id: UInt64, _ error: FeedError = .downloadCancelled) {
    guard let place = selections.firstIndex(where: { $0.id == id }) else { return }
    selections.remove(at: place).finish(.failure(error))
    needsUpdate()
  }

  func finishSelections() throws {
    for selection in selections {
      guard let end = selection.range.end, core.length >= end else { continue }
      let start = selection.range.start
      if start < end {
        if selection.range.hash {
          guard (start..<end).allSatisfy({ core.bits.hasNode($0 * 2) }) else { continue }
        } else {
          guard core.has(start..<end) else { continue }
        }
      }
      selections.removeAll { $0 === selection }
      selection.finish(.success(()))
    }
  }

  /// Makes everything from `index` on be looked at again.
  func lowerCursors(to index: UInt64) {
    for selection in selections where selection.cursor > index {
      selection.cursor = max(index, selection.range.start)
    }
  }

  /// A block is no longer asked of anybody.
  func release(_ index: UInt64) {
    reserved.remove(index)
    for selection in selections where selection.cursor > index {
      selection.cursor = max(min(selection.cursor, index), selection.range.start)
    }
  }

  // MARK: Whom to ask for what

  /// Sends every request that is due.
  func schedule() throws {
    guard !peers.isEmpty,
      !(waiting.isEmpty && seeks.isEmpty && updates.isEmpty && selections.isEmpty)
    else { return }
    for peer in peers where peer.isDownloading {
      peer.sendWants(for: waitingOrder)
      guard peer.remoteLength > 0 else { continue }
      var free = peer.freeRequests
      for index in waitingOrder where free > 0 {
        if try request(index, from: peer) { free -= 1 }
      }
      if !updates.isEmpty { try requestUpdate(from: peer, &free) }
      if !seeks.isEmpty { try requestSeeks(from: peer, &free) }
      for selection in selections where free > 0 {
        while free > 0, let index = try nextBlock(of: selection, from: peer) {
          reserved.insert(index)
          peer.request(index, hash: selection.range.hash)
          free -= 1
        }
      }
    }
  }

  private func request(_ index: UInt64, from peer: FeedPeer) throws -> Bool {
    guard peer.remoteBlocks.contains(index), !reserved.contains(index), !core.has(index) else {
      return false
    }
    reserved.insert(index)
    peer.request(index, hash: false)
    return true
  }

  /// Asks for the last block of the length that is waited for: it comes with the signed roots.
  private func requestUpdate(from peer: FeedPeer, _ free: inout Int) throws {
    guard let target = updates.map(\.length).max(), target > core.length, free > 0 else { return }
    let wanted = min(target, peer.remoteLength)
    guard wanted > core.length else { return }
    if try request(wanted - 1, from: peer) { free -= 1 }
  }

  private func requestSeeks(from peer: FeedPeer, _ free: inout Int) throws {
    for seek in seeks where free > 0 {
      guard !peer.soughtBytes.contains(seek.bytes) else { continue }
      let span = core.seekSpan(seek.bytes, in: seek.range, length: peer.remoteLength)
      guard let index = try firstMissingLeaf(in: span, of: peer) else { continue }
      peer.soughtBytes.insert(seek.bytes)
      free -= 1
      let digest = TreeDigest.digest(of: index, bound: peer.remoteLength * 2) {
        core.bits.hasNode($0)
      }
      peer.send(.request(Request(index: index, bytes: seek.bytes, hash: true, nodes: digest)))
    }
  }

  private func firstMissingLeaf(in span: Range<UInt64>, of peer: FeedPeer) throws -> UInt64? {
    var index = span.lowerBound
    var steps = 0
    while index < span.upperBound, steps < 4096 {
      if peer.remoteBlocks.contains(index), !core.has(index) { return index }
      index += 1
      steps += 1
    }
    return nil
  }

  /// Whether a peer has something that is selected and not here.
  func wantsAnything(from peer: FeedPeer) throws -> Bool {
    for selection in selections {
      if try firstCandidate(
        of: selection, from: peer, start: selection.range.start, ignoringReserved: true) != nil
      {
        return true
      }
    }
    return false
  }

  /// Whether somebody waits for something that a peer can bring. A wait for what it has not does not
  /// keep a session open.
  func waits(for peer: FeedPeer) throws -> Bool {
    if waitingOrder.contains(where: { peer.remoteBlocks.contains($0) && !core.has($0) }) {
      return true
    }
    if peer.remoteLength > core.length, updates.contains(where: { $0.length > core.length }) {
      return true
    }
    return try seeks.contains { seek in
      let span = core.seekSpan(seek.bytes, in: seek.range, length: peer.remoteLength)
      return try firstMissingLeaf(in: span, of: peer) != nil
    }
  }

  private func nextBlock(of selection: Selection, from peer: FeedPeer) throws -> UInt64? {
    if selection.range.linear || selection.range.hash {
      let found = try firstCandidate(of: selection, from: peer, start: selection.cursor)
      if let found, peers.count == 1 { selection.cursor = found + 1 }
      return found
    }
    let end = min(selection.range.end ?? peer.remoteLength, peer.remoteLength)
    guard selection.range.start < end else { return nil }
    let middle = UInt64.random(in: selection.range.start..<end, using: &random)
    return try firstCandidate(of: selection, from: peer, start: middle)
      ?? firstCandidate(of: selection, from: peer, start: selection.range.start)
  }

  /// The lowest block from `start` on that the selection covers, the peer has, and is neither here nor
  /// on its way. Goes by words of 64 blocks.
  private func firstCandidate(
    of selection: Selection, from peer: FeedPeer, start: UInt64, ignoringReserved: Bool = false
  ) throws -> UInt64? {
    let end = min(selection.range.end ?? .max, peer.remoteLength)
    var position = start
    while position < end {
      let page = position / BlockSet.pageBits
      guard let next = peer.remoteBlocks.nextPage(from: page) else { return nil }
      if next > page {
        position = next * BlockSet.pageBits
        continue
      }
      let pageEnd = (page + 1) * BlockSet.pageBits
      while position < min(end, pageEnd) {
        let number = position >> 6
        var bits = peer.remoteBlocks.word(number) & (.max >> (position & 63))
        if bits != 0 {
          bits &= selection.range.hash ? ~leafWord(number) : ~core.bits.dataWord(number)
          if !ignoringReserved { bits &= ~reserved.word(number) }
          if bits != 0 {
            let index = number << 6 + UInt64(bits.leadingZeroBitCount)
            return index < end ? index : nil
          }
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
