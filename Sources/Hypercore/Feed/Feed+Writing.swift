public import HypercoreCrypto
internal import RandomAccessStorage

extension Feed {
  /// Appends one block.
  ///
  /// Blocks are stored in the order of the calls, whichever tasks make them. Calls that are made while
  /// another is being written are joined and signed once, as in the reference. A call that is awaited before
  /// the next is made has a signature of its own.
  ///
  /// - Returns: the index of the block.
  /// - Throws: ``FeedError`` with `blockTooLarge` above ``maximumBlockSize``; `notWritable` without the
  ///   secret key; `refused` if ``Options/onWrite`` threw; `storage` if a write failed. Nothing is acknowledged
  ///   in these cases.
  ///
  /// Stands for hypercore `append(data)`. When it returns, the block is stored as the feed's
  /// ``Durability`` says.
  @discardableResult
  public nonisolated func append(_ block: [UInt8]) async throws -> UInt64 {
    try await settle(adding([block]))
  }

  /// Appends one block of bytes that come in another collection, such as `Data`; see ``append(_:)-([UInt8])``.
  @discardableResult
  public nonisolated func append(_ block: some Sequence<UInt8>) async throws -> UInt64 {
    try await append(Array(block))
  }

  /// The most bytes of a block: 8,384,512, so that it fits into a frame of the protocol with its proof.
  /// hypercore has no such limit, but no peer can receive a longer block.
  public static var maximumBlockSize: Int { FeedLimits.maximumBlockSize }

  /// Queues blocks to be written, and refuses those that no peer could receive. They are checked here so that
  /// one caller's block does not fail the calls that it would be joined with.
  private nonisolated func adding(_ blocks: [[UInt8]]) throws(FeedError) -> AppendQueue.Ticket {
    try FeedCore.checkSizes(of: blocks)
    return appends.add(blocks)
  }

  /// Appends blocks as one batch, with one signature.
  ///
  /// - Returns: the index of the first block; the length if there are no blocks.
  ///
  /// Stands for hypercore `append([data])`.
  @discardableResult
  public nonisolated func append(_ blocks: [[UInt8]]) async throws -> UInt64 {
    try await settle(adding(blocks))
  }

  /// Appends one value in an encoding.
  ///
  /// - Throws: what the encoding throws, before anything is written; otherwise as ``append(_:)-([UInt8])``.
  ///
  /// Stands for hypercore `append(data)` of a feed with a `valueEncoding`.
  @discardableResult
  public nonisolated func append<Value>(
    _ value: Value, as encoding: ValueEncoding<Value>
  ) async throws -> UInt64 {
    try await settle(adding([encoding.encode(value)]))
  }

  /// Appends values in an encoding as one batch.
  ///
  /// Stands for hypercore `append([data])` of a feed with a `valueEncoding`.
  @discardableResult
  public nonisolated func append<Value>(
    contentsOf values: [Value], as encoding: ValueEncoding<Value>
  ) async throws -> UInt64 {
    try await settle(adding(values.map(encoding.encode)))
  }

  /// Writes a sequence of blocks. Those that arrive while others are being written are appended together. The
  /// next block is requested only while at most 1,024 blocks, or 1 MiB, wait.
  ///
  /// - Returns: the number of blocks that were written.
  /// - Throws: what the sequence throws, once the blocks before are written; otherwise as
  ///   ``append(_:)-([UInt8])``.
  ///
  /// Stands for hypercore `createWriteStream()`.
  @discardableResult
  public nonisolated func write<Blocks: AsyncSequence>(_ blocks: Blocks) async throws -> UInt64
  where Blocks.Element == [UInt8] {
    var count: UInt64 = 0
    var last: AppendQueue.Ticket?
    var waitingCount = 0
    var waitingBytes = 0
    do {
      for try await block in blocks {
        let ticket = try adding([block])
        last = ticket
        count += 1
        waitingCount += 1
        waitingBytes += block.count
        if waitingCount == 1024 || waitingBytes >= 1 << 20 {
          try await settle(ticket)
          waitingCount = 0
          waitingBytes = 0
        } else if waitingCount == 1 {
          // Starts writing while the next blocks are gathered.
          Task { try await self.settle(ticket) }
        }
      }
    } catch {
      if let last { try await settle(last) }
      throw error
    }
    if let last { try await settle(last) }
    return count
  }

  /// Writes a sequence of values in an encoding.
  ///
  /// Stands for hypercore `createWriteStream()` of a feed with a `valueEncoding`.
  @discardableResult
  public nonisolated func write<Values: AsyncSequence>(
    _ values: Values, as encoding: ValueEncoding<Values.Element>
  ) async throws -> UInt64 {
    try await write(values.map { try encoding.encode($0) })
  }

  /// Writes the blocks of a call together with those of all later calls, unless they are written already.
  @discardableResult
  private func settle(_ ticket: AppendQueue.Ticket) async throws -> UInt64 {
    if core.isCopy { await replicator.waitUntilCaughtUp() }
    if ticket.result == nil { writeAppends() }
    guard let result = ticket.result else { throw FeedError.closed }
    return try result.get()
  }

  /// Writes every append that waits, as one batch.
  func writeAppends() {
    var tickets = appends.takeAll()
    guard !tickets.isEmpty else { return }
    do {
      try checkOpen()
      if let onWrite {
        tickets = accepted(tickets, by: onWrite)
        if tickets.isEmpty { return }
      }
      var next = try core.append(tickets.count == 1 ? tickets[0].blocks : tickets.flatMap(\.blocks))
      for ticket in tickets {
        ticket.result = .success(next)
        next += UInt64(ticket.blocks.count)
      }
      // The blocks are stored. A failure from here on belongs to another call, which gets the error.
      try? replicator.flush()
    } catch {
      for ticket in tickets { ticket.result = .failure(FeedError.wrapping(error)) }
    }
  }

  /// The appends whose blocks the write hook accepts. The others fail, each call as a whole.
  private func accepted(
    _ tickets: [AppendQueue.Ticket], by onWrite: (ProposedBlock) throws -> Void
  ) -> [AppendQueue.Ticket] {
    var start = core.length
    return tickets.filter { ticket in
      var index = start
      for block in ticket.blocks {
        do {
          try onWrite(ProposedBlock(index: index, bytes: block, isLocal: true, peer: nil))
        } catch {
          ticket.result = .failure(.refused(index, error))
          return false
        }
        index += 1
      }
      start = index
      return true
    }
  }

  /// Returns when everything appended before is stored; with a ``Durability`` other than `buffered`,
  /// on the disk.
  ///
  /// Stands for hypercore `flush()`.
  public func flush() async throws {
    try checkOpen()
    writeAppends()
    if core.access == .readWrite {
      if core.durability == .buffered { try core.commitBatch() } else { try core.sync() }
    }
    try replicator.flush()
  }

  /// Finalizes a static feed: its key becomes the hash of its tree. A live feed is left as it is.
  ///
  /// - Returns: the key.
  /// - Throws: ``FeedError`` with `outOfBounds` for a static feed without blocks.
  ///
  /// Stands for hypercore `finalize()`.
  @discardableResult
  public func finalize() async throws -> PublicKey {
    try checkOpen()
    writeAppends()
    guard core.key != nil || core.length > 0 else {
      throw FeedError.outOfBounds("An empty feed has no hash to be its key: append a block first.")
    }
    try core.finalize()
    guard let key = core.key else { throw FeedError.closed }
    return key
  }

  /// Appends blocks whose bytes are already in the feed's ``Options/blockStorage``, as one batch. No bytes
  /// are written there.
  ///
  /// - Returns: the index of the first block; the length if there are no blocks.
  /// - Throws: ``FeedError`` with `notWritable` if the feed keeps its blocks itself; otherwise as
  ///   ``append(_:)-([UInt8])``. ``Options/onWrite`` is not called: the bytes are stored already.
  ///
  /// Stands for hypercore `append([data])` of a feed with the option `indexing`.
  @discardableResult
  public func append(leaves: [BlockLeaf]) async throws -> UInt64 {
    try checkOpen()
    writeAppends()
    let first = try core.append(leaves: leaves)
    try? replicator.flush()
    return first
  }

  /// Removes the blocks of a range from the storage. They can be downloaded again; length and hashes of the feed
  /// stay.
  ///
  /// - Parameters:
  ///   - range: the blocks.
  ///   - keepingBytes: true if their bytes stay where they are, as in files that belong to the user.
  ///
  /// Stands for hypercore `clear(start, end)`.
  public func clear(_ range: Range<UInt64>, keepingBytes: Bool = false) async throws {
    try checkOpen()
    _ = try core.clear(range, keepingBytes: keepingBytes)
    try replicator.flush()
  }

  /// Removes the blocks from the storage that lie wholly in a range of the feed's bytes. A block with a byte outside
  /// of the range stays.
  ///
  /// - Parameters:
  ///   - bytes: the range, in bytes from the start of the feed. What lies beyond the feed's end is ignored.
  ///   - keepingBytes: true if their bytes stay where they are, as in files that belong to the user.
  /// - Returns: the blocks that are not stored here any more; empty if no whole block lies in the range.
  ///
  /// hypercore takes such a range as the options `byteOffset` and `byteLength` of `clear(start, end)`, beside the
  /// blocks, and believes it.
  @discardableResult
  public func clear(bytes: Range<UInt64>, keepingBytes: Bool = false) async throws -> Range<UInt64>
  {
    try checkOpen()
    let blocks = try core.blocks(inBytes: bytes)
    if !blocks.isEmpty { try await clear(blocks, keepingBytes: keepingBytes) }
    return blocks
  }

  /// Treats blocks that were found missing or changed as stored again, such as those of a file that was
  /// restored. Only for a feed with a ``Options/blockStorage``, which compares each block with its hash when
  /// it is read. hypercore has no such call.
  public func countAgain(_ range: Range<UInt64>) async throws {
    try checkOpen()
    core.countAgain(range)
    try replicator.flush()
  }

  /// Hashes every block that is recorded as stored. Blocks that are missing, or don't match, count as not
  /// stored while the feed is open, so that peers can bring them; the record of them stays as it is.
  ///
  /// Stands for hypercore `audit()`, which changes the record. Here only `Feed.examine` does, if it is to
  /// repair.
  public func audit() async throws -> AuditReport {
    try checkOpen()
    let (valid, invalid) = try core.auditRanges()
    try replicator.flush()
    return AuditReport(valid: valid, invalidRanges: invalid)
  }
}
