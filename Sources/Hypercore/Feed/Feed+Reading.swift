public import HypercoreCrypto

extension Feed {
  /// Options for reading a block that isn't here, as those of hypercore `get(index, options)`.
  public struct GetOptions: Sendable {
    /// True to wait until a peer brings the block.
    public var wait = true
    /// The longest time to wait; nil for no limit.
    public var timeout: Duration?

    /// Creates options. Those that are left out have their default values.
    public init(wait: Bool = true, timeout: Duration? = nil) {
      self.wait = wait
      self.timeout = timeout
    }
  }

  /// Returns a block.
  ///
  /// - Throws: ``FeedError`` with `blockNotStored` if the block is not here and not waited for; `timeout`;
  ///   `cancelled` if the task or the request is cancelled; `closed`.
  ///
  /// Stands for hypercore `get(index)`. An index beyond the length waits for the feed to grow.
  public func get(_ index: UInt64, options: GetOptions = GetOptions()) async throws -> [UInt8] {
    try checkOpen()
    if let block = try core.block(at: index) { return block }
    guard options.wait else { throw FeedError.blockNotStored(index) }
    return try await waiting(timeout: options.timeout, for: "block \(index)") { done in
      self.replicator.get(index, completion: done)
    }
  }

  /// Returns a block in an encoding.
  ///
  /// - Throws: what the encoding throws; else as ``get(_:options:)-(UInt64,_)``.
  ///
  /// Stands for hypercore `get(index, { valueEncoding })`.
  public nonisolated func get<Value>(
    _ index: UInt64, as encoding: ValueEncoding<Value>, options: GetOptions = GetOptions()
  ) async throws -> Value {
    try encoding.decode(try await get(index, options: options))
  }

  /// Returns the blocks of a range, at once if they are here.
  ///
  /// Stands for hypercore `getBatch(start, end)`.
  public func get(_ range: Range<UInt64>, options: GetOptions = GetOptions()) async throws
    -> [[UInt8]]
  {
    try checkOpen()
    if let blocks = try core.blocks(in: range) { return blocks }
    guard options.wait else { throw FeedError.blockNotStored(range.lowerBound) }
    try await download(DownloadRange(range), timeout: options.timeout)
    guard let blocks = try core.blocks(in: range) else {
      throw FeedError.blockNotStored(range.lowerBound)
    }
    return blocks
  }

  /// Returns the blocks of a range in an encoding.
  ///
  /// Stands for hypercore `getBatch(start, end, { valueEncoding })`.
  public nonisolated func get<Value>(
    _ range: Range<UInt64>, as encoding: ValueEncoding<Value>, options: GetOptions = GetOptions()
  ) async throws -> [Value] {
    try await get(range, options: options).map { try encoding.decode($0) }
  }

  /// Returns the last block.
  ///
  /// - Throws: ``FeedError`` with `outOfBounds` for an empty feed.
  ///
  /// Stands for hypercore `head()`.
  public func head(options: GetOptions = GetOptions()) async throws -> [UInt8] {
    try checkOpen()
    guard core.length > 0 else {
      throw FeedError.outOfBounds("The feed is empty: it has no last block.")
    }
    return try await get(core.length - 1, options: options)
  }

  /// Returns whether a block is here. Stands for hypercore `has(index)`.
  public func has(_ index: UInt64) async -> Bool {
    noteUse()
    return core.has(index)
  }

  /// Returns whether all blocks of a range are here. Stands for hypercore `has(start, end)`.
  public func has(_ range: Range<UInt64>) async -> Bool {
    noteUse()
    return core.has(range)
  }

  /// Returns the number of blocks of a range, or of the whole feed, that are here.
  ///
  /// Stands for hypercore `downloaded(start, end)`.
  public func downloaded(in range: Range<UInt64>? = nil) async -> UInt64 {
    noteUse()
    return core.downloaded(range)
  }

  /// Finds the block that holds byte `offset` of the feed, and the position of the byte in it.
  ///
  /// - Parameter range: the blocks to try first if peers have to be asked.
  /// - Parameter offset: in bytes from the start of the feed.
  /// - Parameter options: whether and how long to wait for peers.
  /// - Throws: ``FeedError`` with `outOfBounds` past the end, or `blockNotStored` if peers have to be asked, if
  ///   nothing is waited for; otherwise as ``get(_:options:)-(UInt64,_)``.
  ///
  /// Stands for hypercore `seek(bytes)`. An offset past the end waits for the feed to grow.
  public func seek(
    _ offset: UInt64, in range: Range<UInt64>? = nil, options: GetOptions = GetOptions()
  ) async throws -> BytePosition {
    try checkOpen()
    do {
      if case .found(let block, let offset) = try core.seek(toByte: offset) {
        return BytePosition(block: block, offset: offset)
      }
      guard options.wait else { throw FeedError.seekFailed(offset) }
    } catch let error as FeedError where error.code == .outOfBounds && options.wait {
      // The feed may grow, and peers may know more than this side does.
    }
    return try await waiting(timeout: options.timeout, for: "byte \(offset)") { done in
      self.replicator.seek(offset, in: range, completion: done)
    }
  }

  /// Waits until the feed is verified to have at least `length` blocks; without a length, until it grows. For
  /// a sparse feed no block is fetched for this, only the proof of the length.
  ///
  /// - Returns: the length at that time.
  ///
  /// Stands for hypercore `update(length)`.
  @discardableResult
  public func update(to length: UInt64? = nil, timeout: Duration? = nil) async throws -> UInt64 {
    try checkOpen()
    let target = length ?? core.length + 1
    if core.length >= target { return core.length }
    return try await waiting(timeout: timeout, for: "length \(target)") { done in
      self.replicator.update(
        to: target, isProofOnly: self.replicator.isSparse, completion: done)
    }
  }

  // MARK: Proofs

  /// Returns the proof of a block, or of its hash alone.
  ///
  /// - Parameters:
  ///   - index: the block. It need not be stored here, only its hash.
  ///   - digest: the nodes that the other side has, as its ``digest(of:)`` says; 0 for none.
  ///   - isHashOnly: true to prove the hash without the block: it comes first among the nodes, and
  ///     ``put(_:hash:)`` takes it.
  /// - Throws: ``FeedError`` with `nodeMissing` if the block was never verified here, or `signatureMissing`.
  ///
  /// Stands for hypercore `proof(index, { digest, hash })`.
  public func proof(
    of index: UInt64, digest: UInt64 = 0, hashOnly isHashOnly: Bool = false
  ) async throws -> Proof {
    try checkOpen()
    return try core.proof(index, digest: digest, hash: isHashOnly, remoteTree: RemoteTree())
  }

  /// Returns the digest with which this side tells peers which nodes it has between a block and its root.
  ///
  /// Stands for hypercore `digest(index)`.
  public func digest(of index: UInt64) async -> UInt64 {
    noteUse()
    return core.digest(index)
  }

  /// Verifies a block against its proof and stores it.
  ///
  /// - Throws: ``FeedError`` with `proofRejected`, `forked`, or `refused` if ``Options/onWrite`` threw; nothing is
  ///   stored in any of these cases.
  ///
  /// Stands for hypercore `put(index, data, proof)`.
  public func put(_ index: UInt64, _ block: [UInt8], proof: Proof) async throws {
    try checkOpen()
    try replicator.put(index, block, proof)
  }

  /// Verifies the hash of a block and stores it, without the block: afterwards the block alone, with a proof
  /// without nodes, can be put.
  ///
  /// - Parameters:
  ///   - index: the block.
  ///   - proof: the result of ``proof(of:digest:hashOnly:)`` for the hash alone.
  /// - Throws: ``FeedError`` with `proofRejected` or `forked`; nothing is stored in either case.
  ///
  /// Stands for hypercore `put(index, null, proof)`.
  public func put(_ index: UInt64, hash proof: Proof) async throws {
    try checkOpen()
    try replicator.put(index, nil, proof)
  }

  /// Returns the roots of the tree over the blocks up to and including `index`; for nil, over all.
  ///
  /// Stands for hypercore `rootHashes(index)`.
  public func rootHashes(upTo index: UInt64? = nil) async throws -> [Node] {
    index == nil && core.length == 0 ? [] : try core.rootHashes(at: index ?? core.length - 1)
  }

  /// Returns the first stored signature that covers block `index`; for nil, the last one.
  ///
  /// - Returns: the index of the last block that it signs, and the signature.
  ///
  /// Stands for hypercore `signature(index)`.
  public func signature(covering index: UInt64? = nil) async throws
    -> (index: UInt64, signature: Signature)?
  {
    try core.signature(covering: index ?? (core.length == 0 ? 0 : core.length - 1))
  }

  /// Returns whether `signature` signs the tree over the blocks up to and including `index`.
  ///
  /// Stands for hypercore `verify(index, signature)`.
  public func verify(_ signature: Signature, upTo index: UInt64) async throws -> Bool {
    try core.verify(signature, at: index)
  }

  // MARK: Waiting

  /// Waits until the request that `start` registers completes, the time is up or the task is cancelled.
  func waiting<Value: Sendable>(
    timeout: Duration?, for what: String,
    _ start: (@escaping (Result<Value, FeedError>) -> Void) -> UInt64?
  ) async throws -> Value {
    let box = WaitBox()
    let timer = timeout.map { timeout in
      Task { [weak self] in
        try? await Task.sleep(for: timeout)
        if !Task.isCancelled { await self?.cancel(box, FeedError.timedOut(what, timeout)) }
      }
    }
    defer { timer?.cancel() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        if Task.isCancelled {
          continuation.resume(throwing: FeedError.cancelled(what))
          return
        }
        box.id = start { continuation.resume(with: $0) }
        do { try replicator.flush() } catch { cancel(box, FeedError.wrapping(error)) }
      }
    } onCancel: {
      Task { await self.cancel(box, FeedError.cancelled(what)) }
    }
  }

  func cancel(_ box: WaitBox, _ error: FeedError) {
    if let id = box.id { replicator.cancel(id, error) }
  }
}

/// The number of a waiter, known once it is registered.
///
/// Unchecked with this proof: it is set and read only on the feed's executor.
final class WaitBox: @unchecked Sendable {
  var id: UInt64?
}
