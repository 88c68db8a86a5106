extension Replicator {
  /// The reason why waiting for peers is in vain; nil if there is none.
  var refusal: FeedError? { core.stopReason ?? (gate.isOpen ? nil : gate.refusal) }

  /// Calls `completion` once block `index` is here: at once if it is here already.
  ///
  /// - Returns: a number for ``cancel(_:_:)``; nil if `completion` was called at once.
  package func get(
    _ index: UInt64, completion: @escaping (Result<[UInt8], FeedError>) -> Void
  ) -> UInt64? {
    if isClosed {
      completion(.failure(.closed))
      return nil
    }
    do {
      if let block = try core.block(at: index) {
        completion(.success(block))
        return nil
      }
    } catch {
      completion(.failure(FeedError.wrapping(error)))
      return nil
    }
    if let reason = refusal {
      completion(.failure(reason))
      return nil
    }
    let id = newID()
    waits.add(Waiter(id: id, completion: completion), for: index)
    needsUpdate()
    return id
  }

  /// Calls `completion` once the feed is verified to have `length` blocks.
  ///
  /// - Parameter isProofOnly: true to fetch only the proof of the length, without the last block.
  package func update(
    to length: UInt64, isProofOnly: Bool = false,
    completion: @escaping (Result<UInt64, FeedError>) -> Void
  ) -> UInt64? {
    if isClosed {
      completion(.failure(.closed))
      return nil
    }
    if core.length >= length {
      completion(.success(core.length))
      return nil
    }
    if let reason = refusal {
      completion(.failure(reason))
      return nil
    }
    let id = newID()
    waits.add(
      UpdateWaiter(
        id: id, length: length, isProofOnly: isProofOnly, completion: completion))
    needsUpdate()
    return id
  }

  /// Calls `completion` once the block that holds byte `bytes` of the feed is known.
  package func seek(
    _ bytes: UInt64, in range: Range<UInt64>?,
    completion: @escaping (Result<BytePosition, FeedError>) -> Void
  ) -> UInt64? {
    if isClosed {
      completion(.failure(.closed))
      return nil
    }
    if let found = core.position(ofByte: bytes) {
      completion(.success(found))
      return nil
    }
    if let reason = refusal {
      completion(.failure(reason))
      return nil
    }
    let id = newID()
    waits.add(SeekWaiter(id: id, bytes: bytes, range: range, completion: completion))
    needsUpdate()
    return id
  }

  /// Cancels a wait: its completion is called with `error`.
  package func cancel(_ id: UInt64, _ error: FeedError) { waits.remove(id)?(error) }

  /// Fails every wait for a block of `range`, and cancels finite selections inside it. A block whose answer is on
  /// its way is not stored, unless something else asks for it.
  ///
  /// Stands for hypercore `cancel(start, end)`.
  package func cancelAll(in range: Range<UInt64>) {
    for (index, waiters) in waits.removeWaiters(in: range) {
      for waiter in waiters { waiter.completion(.failure(.cancelled("block \(index)"))) }
    }
    for selection in plan.selections {
      guard let end = selection.range.end, selection.range.start >= range.lowerBound,
        end <= range.upperBound
      else { continue }
      undownload(selection.id)
    }
    for peer in peers { peer.download.cancel(in: range) }
  }

  func resumeWaiters() throws {
    if waits.hasBlocks {
      for index in waits.blocks where core.has(index) && waits.contains(index) {
        let result: Result<[UInt8], FeedError>
        do {
          // If it was lost already, a peer has to bring it once more.
          guard let block = try core.block(at: index) else { continue }
          result = .success(block)
        } catch {
          result = .failure(FeedError.wrapping(error))
        }
        for waiter in waits.removeWaiters(for: index) ?? [] { waiter.completion(result) }
      }
      waits.removeDone()
    }
    if !waits.updates.isEmpty {
      let done = waits.removeUpdates(upTo: core.length)
      for update in done { update.completion(.success(core.length)) }
    }
    for seek in waits.seeks {
      guard let found = core.position(ofByte: seek.bytes) else { continue }
      waits.removeSeek(seek.id)
      seek.completion(.success(found))
    }
  }
}
