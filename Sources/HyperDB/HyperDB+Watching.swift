/// Tells that something below a key has changed.
///
/// Several changes in a row are one; the last one is never missed. The first element comes with the
/// first change after the sequence began.
public struct DatabaseChanges: AsyncSequence, Sendable {
  public typealias Element = Void

  let db: HyperDB
  let prefix: [UInt8]

  public func makeAsyncIterator() -> Iterator { Iterator(db: db, prefix: prefix) }

  public struct Iterator: AsyncIteratorProtocol {
    let db: HyperDB
    let prefix: [UInt8]
    private var number: UInt64?

    init(db: HyperDB, prefix: [UInt8]) {
      self.db = db
      self.prefix = prefix
    }

    /// Waits for the next change; nil once the database is closed, or when the task is cancelled.
    public mutating func next() async -> Void? {
      if number == nil { number = await db.addWatcher(prefix) }
      guard let number else { return nil }
      return await db.nextChange(number) ? () : nil
    }
  }
}

/// One follower of a key.
final class Watcher {
  let prefix: [UInt8]
  /// What was there when it was last looked at.
  var known: [FeedSequence] = []
  var isDue = false
  var waiter: CheckedContinuation<Void, Never>?

  init(prefix: [UInt8]) { self.prefix = prefix }

  func changed() {
    isDue = true
    wake()
  }

  func wake() {
    waiter?.resume()
    waiter = nil
  }
}

extension HyperDB {
  /// Changes at or below a key, by whomever.
  ///
  /// Watching begins with the first call of the iterator's `next()`.
  ///
  /// Stands for hyperdb `watch(key)`.
  public nonisolated func watch(_ prefix: String = "") -> DatabaseChanges {
    DatabaseChanges(db: self, prefix: Array(prefix.utf8))
  }

  func addWatcher(_ prefix: [UInt8]) -> UInt64 {
    lastNumber += 1
    let watcher = Watcher(prefix: prefix)
    watcher.known = state(under: prefix) ?? []
    watchers[lastNumber] = watcher
    return lastNumber
  }

  func nextChange(_ number: UInt64) async -> Bool {
    guard let watcher = watchers[number] else { return false }
    while !isClosed, !Task.isCancelled {
      if watcher.isDue {
        watcher.isDue = false
        if let state = state(under: watcher.prefix), state != watcher.known {
          watcher.known = state
          return true
        }
      }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          if Task.isCancelled { continuation.resume() } else { watcher.waiter = continuation }
        }
      } onCancel: {
        Task { await self.wakeWatcher(number) }
      }
    }
    watchers[number] = nil
    return false
  }

  private func wakeWatcher(_ number: UInt64) { watchers[number]?.wake() }

  /// The nearest nodes under a prefix; nil where a block is missing that it takes to tell.
  private func state(under prefix: [UInt8]) -> [FeedSequence]? {
    guard
      let nodes = try? core.get(
        prefix, GetOptions(isPrefix: true, deletes: true, raw: true), in: core.snapshot(.local))
    else { return nil }
    return nodes.map(\.place).sorted { ($0.feed, $0.seq) < ($1.feed, $1.seq) }
  }
}
