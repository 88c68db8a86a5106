/// A wait for a block.
struct Waiter {
  let id: UInt64
  let completion: (Result<[UInt8], FeedError>) -> Void
}

/// A wait for the position of a byte.
struct SeekWaiter {
  let id: UInt64
  let bytes: UInt64
  let range: Range<UInt64>?
  let completion: (Result<BytePosition, FeedError>) -> Void
}

/// A wait for the feed to reach a length.
struct UpdateWaiter {
  let id: UInt64
  let length: UInt64
  /// True if only the proof of the length is needed, and not the last block.
  let isProofOnly: Bool
  let completion: (Result<UInt64, FeedError>) -> Void
}

extension Replicator {
  /// The reason why waiting for peers is in vain; nil if there is none.
  var refusal: FeedError? { core.stopReason ?? wrongKind ?? pause.map(FeedError.paused) }

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
    if waiting[index] == nil { waitingOrder.append(index) }
    waiting[index, default: []].append(Waiter(id: id, completion: completion))
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
    updates.append(
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
    seeks.append(SeekWaiter(id: id, bytes: bytes, range: range, completion: completion))
    needsUpdate()
    return id
  }

  /// Cancels a wait: its completion is called with `error`.
  package func cancel(_ id: UInt64, _ error: FeedError) {
    for (index, waiters) in waiting {
      guard let place = waiters.firstIndex(where: { $0.id == id }) else { continue }
      let waiter = waiters[place]
      removeWaiter(at: index, place)
      waiter.completion(.failure(error))
      return
    }
    if let place = seeks.firstIndex(where: { $0.id == id }) {
      seeks.remove(at: place).completion(.failure(error))
    } else if let place = updates.firstIndex(where: { $0.id == id }) {
      updates.remove(at: place).completion(.failure(error))
    }
  }

  private func removeWaiter(at index: UInt64, _ place: Int) {
    waiting[index]?.remove(at: place)
    if waiting[index]?.isEmpty == true {
      waiting[index] = nil
      waitingOrder.removeAll { $0 == index }
    }
  }

  /// Fails every wait for a block of `range`, and cancels finite selections inside it. A block whose answer is on
  /// its way is not stored, unless something else asks for it.
  ///
  /// Stands for hypercore `cancel(start, end)`.
  package func cancelAll(in range: Range<UInt64>) {
    for (index, waiters) in waiting where range.contains(index) {
      waiting[index] = nil
      for waiter in waiters { waiter.completion(.failure(.cancelled("block \(index)"))) }
    }
    waitingOrder.removeAll { range.contains($0) }
    for selection in selections {
      guard let end = selection.range.end, selection.range.start >= range.lowerBound,
        end <= range.upperBound
      else { continue }
      undownload(selection.id)
    }
    for peer in peers { peer.requests.cancel(in: range) }
  }

  func resumeWaiters() throws {
    if !waiting.isEmpty {
      for index in waitingOrder where core.has(index) {
        guard let waiters = waiting.removeValue(forKey: index) else { continue }
        let result: Result<[UInt8], FeedError>
        do {
          guard let block = try core.block(at: index) else { continue }
          result = .success(block)
        } catch {
          result = .failure(FeedError.wrapping(error))
        }
        for waiter in waiters { waiter.completion(result) }
      }
      waitingOrder.removeAll { waiting[$0] == nil }
    }
    let done = updates.filter { $0.length <= core.length }
    updates.removeAll { $0.length <= core.length }
    for update in done { update.completion(.success(core.length)) }
    for seek in seeks {
      guard let found = core.position(ofByte: seek.bytes) else { continue }
      seeks.removeAll { $0.id == seek.id }
      seek.completion(.success(found))
    }
  }
}
