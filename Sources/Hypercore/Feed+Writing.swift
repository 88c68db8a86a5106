public import HypercoreCrypto

extension Feed {
  /// Appends one block.
  ///
  /// - Returns: its index.
  /// - Throws: ``FeedError`` with `notWritable` without the secret key, `storage` where a write failed;
  ///   nothing is acknowledged then.
  ///
  /// Stands for hypercore `append(data)`. When it returns, the block is stored as the feed's
  /// ``Durability`` says.
  @discardableResult
  public func append(_ block: [UInt8]) async throws -> UInt64 {
    try append(now: [block])
  }

  /// Appends blocks as one batch, with one signature.
  ///
  /// - Returns: the index of the first. For no blocks, the length.
  ///
  /// Stands for hypercore `append([data])`.
  @discardableResult
  public func append(_ blocks: [[UInt8]]) async throws -> UInt64 {
    try append(now: blocks)
  }

  /// Appends one value in an encoding.
  ///
  /// - Throws: what the encoding throws, before anything is written; else as ``append(_:)``.
  @discardableResult
  public func append<Value>(_ value: Value, as encoding: ValueEncoding<Value>) async throws
    -> UInt64
  {
    try append(now: [encoding.encode(value)])
  }

  /// Appends values in an encoding as one batch.
  @discardableResult
  public func append<Value>(
    contentsOf values: [Value], as encoding: ValueEncoding<Value>
  ) async throws -> UInt64 {
    try append(now: values.map(encoding.encode))
  }

  @discardableResult
  private func append(now blocks: [[UInt8]]) throws -> UInt64 {
    try checkOpen()
    let first = try core.append(blocks)
    try replicator.flush()
    return first
  }

  /// Returns when everything appended before is stored.
  ///
  /// Stands for hypercore `flush()`.
  public func flush() async throws {
    try checkOpen()
    _ = try core.append([])
    if core.durability != .buffered { try core.sync() }
    try replicator.flush()
  }

  /// Ends a static feed: its key becomes the hash of its tree, and nothing can be appended any more.
  ///
  /// - Returns: the key.
  ///
  /// Stands for hypercore `finalize()`.
  @discardableResult
  public func finalize() async throws -> PublicKey {
    try checkOpen()
    try core.finalize()
    guard let key = core.key else {
      throw FeedError(code: .notWritable, reason: "An empty feed has no key.")
    }
    return key
  }

  /// Gives up the blocks of a range: they can be downloaded again. The feed's length stays, and so do
  /// its hashes.
  ///
  /// Stands for hypercore `clear(start, end)`.
  public func clear(_ range: Range<UInt64>) async throws {
    try checkOpen()
    _ = try core.clear(range)
    try replicator.flush()
  }

  /// Hashes every block that is here again, and forgets those that don't match.
  ///
  /// Stands for hypercore `audit()`.
  public func audit() async throws -> AuditReport {
    try checkOpen()
    let (valid, invalid) = try core.audit()
    try replicator.flush()
    return AuditReport(valid: valid, invalid: invalid)
  }

  /// Writes an async sequence of blocks, gathering what is at hand into batches of up to 64.
  ///
  /// - Returns: how many were written.
  ///
  /// Stands for hypercore `createWriteStream()`.
  @discardableResult
  public func write<Blocks: AsyncSequence>(_ blocks: Blocks) async throws -> UInt64
  where Blocks.Element == [UInt8] {
    var count: UInt64 = 0
    var batch: [[UInt8]] = []
    for try await block in blocks {
      batch.append(block)
      count += 1
      if batch.count == 64 {
        try append(now: batch)
        batch = []
      }
    }
    if !batch.isEmpty { try append(now: batch) }
    return count
  }
}
