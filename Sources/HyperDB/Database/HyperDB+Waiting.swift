internal import Hypercore

/// The conditions under which a call waits, and for how long.
struct Waiting {
  /// True if a clone that has nothing yet waits for a first peer.
  var update: Bool
  var timeout: Duration?
}

/// A call that is suspended until one of several things happens.
///
/// Unchecked, with this proof: it is made, changed and used on the database's executor alone; tasks
/// only carry it there.
final class PendingWait: @unchecked Sendable {
  fileprivate var continuation: CheckedContinuation<Void, any Error>?
  /// Cancels the request if the wait ends before an answer.
  fileprivate var onGivingUp: (() -> Void)?

  fileprivate init() {}

  func resume(_ result: Result<Void, any Error> = .success(())) {
    let continuation = continuation
    self.continuation = nil
    onGivingUp = nil
    continuation?.resume(with: result)
  }

  fileprivate func giveUp(_ error: any Error) {
    let onGivingUp = onGivingUp
    resume(.failure(error))
    onGivingUp?()
  }
}

extension HyperDB {
  func waiting(update: Bool? = nil, timeout: Duration? = nil, isFixed: Bool = false) -> Waiting {
    Waiting(
      update: !isFixed && update ?? options.update, timeout: timeout ?? options.timeout)
  }

  /// Runs a read, and runs it again whenever a block that it needs has come.
  func reading<Result>(_ waiting: Waiting, _ read: () throws -> Result) async throws -> Result {
    try checkOpen()
    let deadline = waiting.timeout.map { ContinuousClock.now + $0 }
    if waiting.update { try await untilFirstContent(until: deadline) }
    while true {
      do {
        return try read()
      } catch let missing as MissingBlock {
        try await fetch(missing, until: deadline)
      }
    }
  }

  /// Waits for a block that a read or write needs.
  ///
  /// - Throws: `HyperDBError` with `timedOut` or `closed`; `CancellationError`.
  func fetch(_ missing: MissingBlock, until deadline: ContinuousClock.Instant?) async throws {
    guard missing.feed < core.feedKeys.count,
      let log = feedSet.logs[core.feedKeys[missing.feed]]
    else { return }
    try await wait(
      until: deadline,
      for: "No peer brought block \(missing.seq) of feed \(log.key) in time."
    ) { wait in
      let id = log.replicator.get(UInt64(missing.seq)) { result in
        switch result {
        case .success: wait.resume()
        case .failure(let error): wait.resume(.failure(Self.error(error)))
        }
      }
      if let id {
        wait.onGivingUp = {
          log.replicator.cancel(id, FeedError(code: .cancelled, reason: "The read was given up."))
        }
      }
      flush(log)
    }
    try checkOpen()
  }

  private static func error(_ error: FeedError) -> HyperDBError {
    error.code == .closed
      ? HyperDBError(.closed, "The database is closed.", cause: error)
      : HyperDBError(.feed, error.reason, cause: error)
  }

  /// Requests a block without waiting for it.
  func prefetch(_ missing: MissingBlock) {
    guard missing.feed < core.feedKeys.count,
      let log = feedSet.logs[core.feedKeys[missing.feed]],
      prefetched.insert(FeedSequence(feed: missing.feed, seq: missing.seq)).inserted
    else { return }
    _ = log.replicator.get(UInt64(missing.seq)) { _ in }
    flush(log)
  }

  /// Waits, on a clone that has nothing yet, for the first block of the database.
  func untilFirstContent(until deadline: ContinuousClock.Instant?) async throws {
    if hasContent || isClosed { return }
    try await wait(
      until: deadline, for: "No peer brought anything of database \(key) in time."
    ) { wait in
      firstContent.append(wait)
      wait.onGivingUp = { [weak self] in
        self?.assumeIsolated { db in db.firstContent.removeAll { $0 === wait } }
      }
    }
    try checkOpen()
  }

  /// Suspends until the wait is resumed, the time is up or the task is cancelled.
  private func wait(
    until deadline: ContinuousClock.Instant?, for what: String, _ start: (PendingWait) -> Void
  ) async throws {
    try Task.checkCancellation()
    let wait = PendingWait()
    let timer = deadline.map { deadline in
      Task { [weak self] in
        try? await Task.sleep(until: deadline, clock: .continuous)
        if !Task.isCancelled { await self?.giveUp(wait, HyperDBError(.timedOut, what)) }
      }
    }
    defer { timer?.cancel() }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        // Names `self`, so that the closure is isolated to this actor; otherwise it would run elsewhere.
        self.begin(wait, continuation, start)
      }
    } onCancel: {
      Task { await self.giveUp(wait, CancellationError()) }
    }
  }

  private func begin(
    _ wait: PendingWait, _ continuation: CheckedContinuation<Void, any Error>,
    _ start: (PendingWait) -> Void
  ) {
    wait.continuation = continuation
    start(wait)
    if Task.isCancelled { wait.giveUp(CancellationError()) }
  }

  private func giveUp(_ wait: PendingWait, _ error: any Error) { wait.giveUp(error) }
}
