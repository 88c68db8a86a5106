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

/// The calls that wait for a feed's peers: for blocks, for the positions of bytes, for a length.
///
/// It calls no completion. Those that are due are removed and returned, as a completion may add the next wait.
struct Waits {
  private var byBlock: [UInt64: [Waiter]] = [:]
  /// The blocks that are waited for, in the order in which they were asked for.
  private(set) var blocks: [UInt64] = []
  private(set) var seeks: [SeekWaiter] = []
  private(set) var updates: [UpdateWaiter] = []

  var isEmpty: Bool { byBlock.isEmpty && seeks.isEmpty && updates.isEmpty }

  var hasBlocks: Bool { !byBlock.isEmpty }

  /// The number of calls that wait; for tests.
  var count: Int { byBlock.values.reduce(0) { $0 + $1.count } + seeks.count + updates.count }

  func contains(_ index: UInt64) -> Bool { byBlock[index] != nil }

  // MARK: Adding

  mutating func add(_ waiter: Waiter, for index: UInt64) {
    if byBlock[index] == nil { blocks.append(index) }
    byBlock[index, default: []].append(waiter)
    checkInvariants()
  }

  mutating func add(_ seek: SeekWaiter) { seeks.append(seek) }

  mutating func add(_ update: UpdateWaiter) { updates.append(update) }

  // MARK: The length that is waited for

  /// The greatest length that is waited for.
  var greatestLength: UInt64? { updates.map(\.length).max() }

  /// True if nobody needs the last block of that length, and the proof is enough.
  var needsProofOnly: Bool { updates.allSatisfy(\.isProofOnly) }

  // MARK: Removing

  /// Removes the waits for a block.
  mutating func removeWaiters(for index: UInt64) -> [Waiter]? { byBlock.removeValue(forKey: index) }

  /// Removes blocks from ``blocks`` for which nobody waits any more, after ``removeWaiters(for:)``.
  mutating func removeDone() {
    blocks.removeAll { [byBlock] in byBlock[$0] == nil }
    checkInvariants()
  }

  /// Removes the waits for blocks of a range.
  mutating func removeWaiters(in range: Range<UInt64>) -> [(index: UInt64, waiters: [Waiter])] {
    let found = byBlock.filter { range.contains($0.key) }
    for index in found.keys { byBlock[index] = nil }
    blocks.removeAll { range.contains($0) }
    checkInvariants()
    return found.map { ($0.key, $0.value) }
  }

  /// Removes all waits for blocks.
  mutating func removeAllWaiters() -> [Waiter] {
    let all = byBlock.values.flatMap { $0 }
    byBlock = [:]
    blocks = []
    return all
  }

  /// Removes the waits for positions and lengths.
  mutating func removeSeeksAndUpdates() -> ([SeekWaiter], [UpdateWaiter]) {
    defer { (seeks, updates) = ([], []) }
    return (seeks, updates)
  }

  mutating func removeSeek(_ id: UInt64) { seeks.removeAll { $0.id == id } }

  /// Removes the waits for lengths that are reached.
  mutating func removeUpdates(upTo length: UInt64) -> [UpdateWaiter] {
    let done = updates.filter { $0.length <= length }
    updates.removeAll { $0.length <= length }
    return done
  }

  /// Removes a wait.
  ///
  /// - Returns: a function that fails it; nil if it waits no longer.
  mutating func remove(_ id: UInt64) -> ((FeedError) -> Void)? {
    for (index, waiters) in byBlock {
      guard let place = waiters.firstIndex(where: { $0.id == id }) else { continue }
      let completion = waiters[place].completion
      byBlock[index]?.remove(at: place)
      if byBlock[index]?.isEmpty == true {
        byBlock[index] = nil
        blocks.removeAll { $0 == index }
      }
      checkInvariants()
      return { completion(.failure($0)) }
    }
    if let place = seeks.firstIndex(where: { $0.id == id }) {
      let completion = seeks.remove(at: place).completion
      return { completion(.failure($0)) }
    }
    if let place = updates.firstIndex(where: { $0.id == id }) {
      let completion = updates.remove(at: place).completion
      return { completion(.failure($0)) }
    }
    return nil
  }

  /// A block stays in ``blocks`` for a while after its waits are removed, and may be added again meanwhile.
  @inline(__always)
  private func checkInvariants() { assert(byBlock.count <= blocks.count) }
}
