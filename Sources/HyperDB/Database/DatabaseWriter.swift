internal import Hypercore

/// A queue of changes that are written in batches: everything that arrives while one batch is being
/// written becomes the next.
///
/// ```swift
/// let writer = db.writer()
/// for line in lines { try await writer.write(.put(line.key, line.value)) }
/// try await writer.finish()
/// ```
///
/// A batch is all or nothing; the changes of a writer as a whole are not. Their order is kept.
///
/// Stands for hyperdb `createWriteStream()`.
public actor DatabaseWriter {
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }
  nonisolated let replica: Replica

  /// The most changes in one batch, and the most bytes of them.
  private static let batchCount = 1024
  private static let batchBytes = 4 << 20

  private let db: HyperDB
  private var queue: [HyperDB.BatchChange] = []
  private var queuedBytes = 0
  private var isWriting = false
  private var failure: (any Error)?
  private var waiters: [CheckedContinuation<Void, Never>] = []

  init(db: HyperDB) {
    self.db = db
    replica = db.replica
  }

  /// Queues a change. Suspends while more than a batch is queued.
  ///
  /// - Throws: the error of an earlier batch; nothing is written after it.
  public func write(_ change: HyperDB.BatchChange) async throws { try await write([change]) }

  /// Queues several changes, which need not end up in one batch.
  public func write(_ changes: [HyperDB.BatchChange]) async throws {
    if let failure { throw failure }
    queue += changes
    queuedBytes += changes.reduce(0) { $0 + $1.byteCount }
    startWriting()
    while failure == nil, queue.count >= Self.batchCount || queuedBytes >= Self.batchBytes {
      await withCheckedContinuation { waiters.append($0) }
    }
    if let failure { throw failure }
  }

  /// Returns when everything that was queued is written.
  ///
  /// - Throws: the error of a batch that failed.
  public func finish() async throws {
    while isWriting { await withCheckedContinuation { waiters.append($0) } }
    if let failure { throw failure }
  }

  private func startWriting() {
    guard !isWriting, !queue.isEmpty else { return }
    isWriting = true
    Task { await self.writeAll() }
  }

  private func writeAll() async {
    while !queue.isEmpty, failure == nil {
      let batch = takeBatch()
      wake()
      do { _ = try await db.batch(batch) } catch { failure = error }
      // Gives producers a turn to queue changes for the next batch.
      await Task.yield()
    }
    isWriting = false
    wake()
  }

  private func takeBatch() -> [HyperDB.BatchChange] {
    var count = 0
    var bytes = 0
    while count < min(queue.count, Self.batchCount), count == 0 || bytes < Self.batchBytes {
      bytes += queue[count].byteCount
      count += 1
    }
    queuedBytes -= bytes
    if count == queue.count {
      defer { queue = [] }
      return queue
    }
    defer { queue.removeFirst(count) }
    return Array(queue[..<count])
  }

  private func wake() {
    let waiters = waiters
    self.waiters = []
    for waiter in waiters { waiter.resume() }
  }
}

extension HyperDB {
  /// Returns a writer that collects changes and writes them in batches.
  public nonisolated func writer() -> DatabaseWriter { DatabaseWriter(db: self) }
}

extension HyperDB.BatchChange {
  var byteCount: Int { change.key.count + (change.value?.count ?? 0) }
}
