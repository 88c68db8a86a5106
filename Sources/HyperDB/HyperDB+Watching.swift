/// Tells that something below a key has changed.
///
/// Several changes in a row are one; the last one is never missed, whenever it is asked for. Where the
/// sequence is iterated twice, each change goes to one of the iterators.
///
/// Stands for what hyperdb `watch(key)` returns.
public struct DatabaseChanges: AsyncSequence, Sendable {
  public typealias Element = Void

  let registration: WatchRegistration

  public func makeAsyncIterator() -> Iterator { Iterator(registration: registration) }

  /// Ends the sequence.
  public func cancel() async { await registration.db.removeWatcher(registration.number) }

  /// Waits for one change after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let registration: WatchRegistration

    /// Waits for the next change.
    ///
    /// - Returns: nil once the database is closed, or when the task is cancelled.
    /// - Throws: ``HyperDBError`` where the state below the key can't be read.
    public mutating func next() async throws -> Void? {
      try await registration.db.nextChange(registration.number) ? () : nil
    }
  }
}

/// Keeps a watcher as long as its sequence is in use.
final class WatchRegistration: Sendable {
  let db: HyperDB
  let number: UInt64

  init(db: HyperDB, number: UInt64) {
    self.db = db
    self.number = number
  }

  deinit {
    Task { [db, number] in await db.removeWatcher(number) }
  }
}

/// One follower of a key.
final class Watcher {
  let prefix: [UInt8]
  /// What was there when it was last looked at; nil where it could not be told yet.
  var known: [FeedSequence]?
  var isDue = false
  private var waiters: [CheckedContinuation<Void, Never>] = []

  init(prefix: [UInt8]) { self.prefix = prefix }

  func add(_ waiter: CheckedContinuation<Void, Never>) { waiters.append(waiter) }

  func changed() {
    isDue = true
    wake()
  }

  func wake() {
    let waiters = waiters
    self.waiters = []
    for waiter in waiters { waiter.resume() }
  }
}

extension HyperDB {
  /// Changes at or below a key, by whomever, from now on.
  ///
  /// ```swift
  /// for try await _ in await db.watch("people") { show(try await db.list("people").collect()) }
  /// ```
  ///
  /// Watching has begun when this returns: what is written before the first `next()` counts.
  ///
  /// Stands for hyperdb `watch(key)`.
  public func watch(_ prefix: String = "") -> DatabaseChanges {
    lastNumber += 1
    let watcher = Watcher(prefix: EntryKey.normalize(Array(prefix.utf8)))
    // What can't be told now is told by whatever changes it.
    watcher.known = try? state(under: watcher.prefix)
    watchers[lastNumber] = watcher
    return DatabaseChanges(registration: WatchRegistration(db: self, number: lastNumber))
  }

  func removeWatcher(_ number: UInt64) { watchers.removeValue(forKey: number)?.wake() }

  func nextChange(_ number: UInt64) async throws -> Bool {
    while !isClosed, !Task.isCancelled, let watcher = watchers[number] {
      if watcher.isDue {
        watcher.isDue = false
        if let state = try state(under: watcher.prefix), state != watcher.known {
          watcher.known = state
          return true
        }
      }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          // Named, so that the closure belongs to this actor: one that doesn't would run elsewhere.
          self.wait(continuation, for: watcher)
        }
      } onCancel: {
        Task { await self.wakeWatcher(number) }
      }
    }
    return false
  }

  private func wait(_ continuation: CheckedContinuation<Void, Never>, for watcher: Watcher) {
    if Task.isCancelled { continuation.resume() } else { watcher.add(continuation) }
  }

  private func wakeWatcher(_ number: UInt64) { watchers[number]?.wake() }

  /// The nearest nodes under a prefix; nil where a block is missing that it takes to tell. It is asked
  /// for then, and its arrival is a change to look at.
  private func state(under prefix: [UInt8]) throws -> [FeedSequence]? {
    do {
      let nodes = try core.get(
        prefix, GetOptions(isPrefix: true, deletes: true, raw: true), in: snapshot(nil))
      return nodes.map(\.place).sorted { ($0.feed, $0.seq) < ($1.feed, $1.seq) }
    } catch let missing as MissingBlock {
      prefetch(missing)
      return nil
    }
  }
}
