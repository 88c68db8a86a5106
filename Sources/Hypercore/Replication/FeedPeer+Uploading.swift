internal import HypercoreCrypto
internal import HypercoreProtocol

extension FeedPeer {
  /// Answers the remote's requests until the connection holds `limit` bytes. Called when the transport has
  /// room, so that a peer that doesn't read costs the memory of its requests and not of the answers.
  func answer(upTo limit: Int) throws {
    var sent = Sent()
    // Blocks that are read ahead.
    var run: BlockRun?
    defer {
      if !sent.blocks.isEmpty {
        statistics.uploadedBlocks += sent.blocks.reduce(0) { $0 + UInt64($1.count) }
        statistics.uploadedBytes += sent.bytes
        replicator.uploaded(sent.blocks, size: sent.bytes, to: self)
      }
    }
    while session.connection.outputCount < limit, let region = upload.nextRegion() {
      try answerWant(region)
    }
    while session.connection.outputCount < limit, let request = upload.nextRequest() {
      try answerRequest(request, &sent, &run)
    }
  }

  /// The answers sent in one turn.
  private struct Sent {
    var blocks: [Range<UInt64>] = []
    var bytes: UInt64 = 0
  }

  /// Makes sure that `run` has a block. If it doesn't, the block is read together with those requested
  /// next.
  ///
  /// - Returns: false if the block is not stored here.
  private func read(_ index: UInt64, into run: inout BlockRun?) throws -> Bool {
    guard core.has(index) else { return false }
    if run?.contains(index) == true { return true }
    let count = 1 + upload.requests.countFollowing(index, limit: ReplicationLimits.runBlocks)
    run = try core.run(from: index, count: count, bytes: ReplicationLimits.runBytes)
    return run != nil
  }

  private func answerWant(_ region: Range<UInt64>) throws {
    // Never more than there is: a region may be 2^53 blocks long. A side that uploads nothing says that it
    // has nothing, as the remote would wait for the answer.
    let end = upload.isOn ? min(region.upperBound, core.length) : 0
    var bits: [UInt8] = []
    var told = region
    if region.lowerBound < end {
      let answer = core.bits.encodedData(
        from: region.lowerBound, below: end, pages: ReplicationLimits.havePages)
      bits = answer.bytes
      if answer.end < end {
        told = region.lowerBound..<answer.end
        upload.putBack(answer.end..<region.upperBound)
      }
    }
    let isWhole = region.upperBound - region.lowerBound <= ReplicationLimits.wantEnd
    let length = isWhole ? told.upperBound - told.lowerBound : 0
    send(.have(start: told.lowerBound, length: length, bitfield: bits))
  }

  private func answerRequest(
    _ request: Request, _ sent: inout Sent, _ run: inout BlockRun?
  ) throws {
    var index = request.index
    var digest = request.nodes
    if request.bytes > 0, let found = core.position(ofByte: request.bytes) {
      index = found.block
      digest = 0
    }
    // Requested, but not stored here: the reference would close the connection or say nothing.
    guard index <= FeedLimits.maximumLength, core.bits.hasNode(index * 2) else {
      send(.unhave(start: index))
      return
    }
    let isStored = try !request.hash && read(index, into: &run)
    guard let proof = try proof(index, digest: digest, hash: !isStored) else {
      send(.unhave(start: index))
      return
    }
    guard isStored else {
      // Even if the block itself is gone, its hash is an answer: later ones may rely on its proof.
      if !request.hash { send(.unhave(start: index)) }
      send(.data(DataMessage(index: index, nodes: proof.nodes, signature: proof.signature)))
      return
    }
    run?.withBlock(index) { bytes in
      // A block that is too large for a frame can't be sent to any peer.
      try? session.connection.sendData(
        index: index, value: bytes, nodes: proof.nodes, signature: proof.signature, on: channel)
      sent.blocks.appendBlock(index)
      sent.bytes += UInt64(bytes.count)
    }
  }

  /// The proof of a block; nil if there is none.
  private func proof(_ index: UInt64, digest: UInt64, hash: Bool) throws -> Proof? {
    do {
      return try core.proof(index, digest: digest, hash: hash, remoteTree: upload.remoteTree)
    } catch {
      if error.code == .nodeMissing || error.code == .signatureMissing { return nil }
      throw error
    }
  }
}
