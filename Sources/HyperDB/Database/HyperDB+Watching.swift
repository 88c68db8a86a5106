internal import Hypercore

/// A sequence with an element for each change below a key.
///
/// Several changes in a row are one element; the last is never missed, however late the reader asks. If
/// the sequence is iterated twice, each change goes to one of the iterators.
///
/// Stands for what hyperdb `watch(key)` returns.
public struct DatabaseChanges: AsyncSequence, Sendable {
  public typealias Element = Void

  let watcher: Watcher

  public func makeAsyncIterator() -> Iterator { Iterator(watcher: watcher) }

  /// Ends the sequence.
  public func cancel() async { watcher.subscription.cancel() }

  /// An iterator that waits for one change after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let watcher: Watcher

    /// Waits for the next change.
    ///
    /// - Returns: nil once the database is closed, or if the task is cancelled.
    /// - Throws: ``HyperDBError`` if the state below the key can't be read.
    public mutating func next() async throws -> Void? {
      try await watcher.db.nextChange(watcher) ? () : nil
    }
  }
}

/// One follower of a key.
///
/// Unchecked, with this proof: the subscription is Sendable, `db` and `prefix` never change, and `known` is
/// touched on the database's executor only.
final class Watcher: @unchecked Sendable {
  let db: HyperDB
  let prefix: [UInt8]
  let subscription: Broadcast<ChangeQueue>.Subscription
  /// The entries found at the last look; nil if they could not be found out yet.
  var known: [FeedSequence]?

  init(_ db: HyperDB, prefix: [UInt8], known: [FeedSequence]?) {
    self.db = db
    self.prefix = prefix
    self.known = known
    subscription = db.watchers.subscribe(ChangeQueue())
  }
}

extension HyperDB {
  /// Returns the changes at or below a key, by any writer, from now on.
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
    // If the state can't be read now, the change that makes it readable is reported.
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

  /// Returns the nearest nodes under a prefix; nil if a block that this takes is missing. That block is
  /// requested then, and its arrival counts as a change.
  private func state(under prefix: [UInt8]) throws -> [FeedSequence]? {
    do {
      let nodes = try core.get(
        prefix, GetOptions(isPrefix: true, deletes: true, raw: true), in: snapshot(nil))
      return nodes.map(\.location).sorted { ($0.feed, $0.seq) < ($1.feed, $1.seq) }
    } catch let missing as MissingBlock {
      prefetch(missing)
      return nil
    }
  }
}
