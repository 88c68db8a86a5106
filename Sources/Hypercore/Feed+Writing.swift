public import HypercoreCrypto
internal import RandomAccessStorage

extension Feed {
  /// Appends one block.
  ///
  /// Blocks come in the order of the calls, whatever tasks make them. Calls that are made while
  /// another is being written are joined and signed once, as in the reference; one that is awaited
  /// before the next is made has its own signature.
  ///
  /// - Returns: its index.
  /// - Throws: ``FeedError`` with `blockTooLarge` above ``maximumBlockSize``, `notWritable` without the secret
  ///   key, `storage` where a write failed; nothing is acknowledged then.
  ///
  /// Stands for hypercore `append(data)`. When it returns, the block is stored as the feed's
  /// ``Durability`` says.
  @discardableResult
  public nonisolated func append(_ block: [UInt8]) async throws -> UInt64 {
    try await settle(adding([block]))
  }

  /// How many bytes a block may have: 8,384,512, so that it fits a frame of the protocol with its proof.
  /// hypercore has no such limit: no peer can receive a longer block.
  public static var maximumBlockSize: Int { FeedLimits.maximumBlockSize }

  /// Puts blocks where they wait to be written, those that no peer could receive refused: one caller's must not
  /// fail those that it would be joined with.
  private nonisolated func adding(_ blocks: [[UInt8]]) throws(FeedError) -> AppendQueue.Ticket {
    try FeedCore.checkSizes(of: blocks)
    return appends.add(blocks)
  }

  /// Appends blocks as one batch, with one signature.
  ///
  /// - Returns: the index of the first. For no blocks, the length.
  ///
  /// Stands for hypercore `append([data])`.
  @discardableResult
  public nonisolated func append(_ blocks: [[UInt8]]) async throws -> UInt64 {
    try await settle(adding(blocks))
  }

  /// Appends one value in an encoding.
  ///
  /// - Throws: what the encoding throws, before anything is written; else as ``append(_:)-([UInt8])``.
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

  /// Writes a sequence of blocks: those that come while others are being written are appended
  /// together. The sequence is asked for more only while at most 1,024 blocks, or 1 MiB, wait.
  ///
  /// - Returns: how many were written.
  /// - Throws: what the sequence throws, once what it gave before is written; else as
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
          // Gets the writing going while the next blocks are gathered.
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

  /// Has a call's blocks written, with all that were asked for since, unless they are already.
  @discardableResult
  private func settle(_ ticket: AppendQueue.Ticket) async throws -> UInt64 {
    if core.isCopy { await replicator.waitUntilCaughtUp() }
    if ticket.result == nil { writeAppends() }
    guard let result = ticket.result else { throw FeedError.closed }
    return try result.get()
  }

  /// Writes every append that waits, as one batch.
  func writeAppends() {
    let tickets = appends.takeAll()
    guard !tickets.isEmpty else { return }
    do {
      try checkOpen()
      var next = try core.append(tickets.count == 1 ? tickets[0].blocks : tickets.flatMap(\.blocks))
      for ticket in tickets {
        ticket.result = .success(next)
        next += UInt64(ticket.blocks.count)
      }
      // The blocks are stored: what fails from here on is another call's, which is told of it.
      try? replicator.flush()
    } catch {
      for ticket in tickets { ticket.result = .failure(FeedError.wrapping(error)) }
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

  /// Ends a static feed: its key becomes the hash of its tree. A live feed stays as it is.
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

  /// Appends blocks whose bytes are in the feed's ``Options/blockStorage`` already, as one batch. Nothing is
  /// written there.
  ///
  /// - Returns: the index of the first. For no blocks, the length.
  /// - Throws: ``FeedError`` with `notWritable` also for a feed that keeps its blocks itself; else as
  ///   ``append(_:)-([UInt8])``.
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

  /// Gives up the blocks of a range: they can be downloaded again. The feed's length stays, and so do
  /// its hashes.
  ///
  /// - Parameters:
  ///   - range: the blocks.
  ///   - keepingBytes: whether their bytes stay where they are, such as in files that are their user's.
  ///
  /// Stands for hypercore `clear(start, end)`.
  public func clear(_ range: Range<UInt64>, keepingBytes: Bool = false) async throws {
    try checkOpen()
    _ = try core.clear(range, keepingBytes: keepingBytes)
    try replicator.flush()
  }

  /// Has blocks that were found missing or changed count as stored again, such as those of a file that was put
  /// back. Only of a feed with a ``Options/blockStorage``, where each block is compared with its hash when it is
  /// read. hypercore has no such call.
  public func countAgain(_ range: Range<UInt64>) async throws {
    try checkOpen()
    core.countAgain(range)
    try replicator.flush()
  }

  /// Hashes every block that is recorded as stored again. Those that are missing, or don't match, count as not
  /// stored as long as the feed is open, so that peers can bring them; the record of them stays as it is.
  ///
  /// Stands for hypercore `audit()`, which changes the record: here `Feed.examine` does, where it is to repair.
  public func audit() async throws -> AuditReport {
    try checkOpen()
    let (valid, invalid) = try core.auditRanges()
    try replicator.flush()
    return AuditReport(valid: valid, invalidRanges: invalid)
  }
}
