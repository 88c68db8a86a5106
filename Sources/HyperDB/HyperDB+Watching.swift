internal import Hypercore

/// Tells that something below a key has changed.
///
/// Several changes in a row are one; the last one is never missed, whenever it is asked for. Where the
/// sequence is iterated twice, each change goes to one of the iterators.
///
/// Stands for what hyperdb `watch(key)` returns.
public struct DatabaseChanges: AsyncSequence, Sendable {
  public typealias Element = Void

  let watcher: Watcher

  public func makeAsyncIterator() -> Iterator { Iterator(watcher: watcher) }

  /// Ends the sequence.
  public func cancel() async { watcher.subscription.cancel() }

  /// Waits for one change after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let watcher: Watcher

    /// Waits for the next change.
    ///
    /// - Returns: nil once the database is closed, or when the task is cancelled.
    /// - Throws: ``HyperDBError`` where the state below the key can't be read.
    public mutating func next() async throws -> Void? {
      try await watcher.db.nextChange(watcher) ? () : nil
    }
  }
}

/// One follower of a key.
///
/// Unchecked with this proof: the subscription is Sendable, `db` and `prefix` never change, and `known` is
/// touched on the database's executor only.
final class Watcher: @unchecked Sendable {
  let db: HyperDB
  let prefix: [UInt8]
  let subscription: Broadcast<ChangeQueue>.Subscription
  /// The entries that were there when it was last looked at; nil if it could not be told yet.
  var known: [FeedSequence]?

  init(_ db: HyperDB, prefix: [UInt8], known: [FeedSequence]?) {
    self.db = db
    self.prefix = prefix
    self.known = known
    subscription = db.watchers.subscribe(ChangeQueue())
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
    let prefix = EntryKey.normalize(Array(prefix.utf8))
    // What can't be told now is told by whatever changes it.
    return DatabaseChanges(
      watcher: Watcher(self, prefix: prefix, known: try? state(under: prefix)))
  }

  func nextChange(_ watcher: Watcher) async throws -> Bool {
    while !isClosed, await watcher.subscription.next() != nil {
      if let state = try state(under: watcher.prefix), state != watcher.known {
        watcher.known = state
        return true
      }
    }
    return false
  }

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
