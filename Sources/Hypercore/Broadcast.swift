internal import Foundation

/// Events that wait for one reader of a ``Broadcast``, and the rule by which they are merged.
///
/// A queue must stay bounded while nobody takes from it: an event replaces what it makes stale, or names
/// what is kept elsewhere.
package protocol BroadcastQueue: SendableMetatype {
  associatedtype Event: Sendable

  /// Takes in an event.
  mutating func add(_ event: Event)

  /// Removes the next event; nil if none waits.
  mutating func next() -> Event?

  /// About how many events wait.
  var pendingCount: Int { get }
}

/// One source of events and any number of readers.
///
/// There is one rule for slow readers: none of them delays the source or another reader, and none loses
/// an event that still matters. What waits for a reader is merged by its queue.
///
/// A reader is subscribed when ``subscribe(_:)`` returns, and unsubscribed with the last reference to its
/// subscription, however it stops reading.
///
/// Inlinable, so that the modules that use it compile it for their own queues: without that each call looks
/// up the queue's type at run time, which costs more than all it does.
///
/// Unchecked with this proof: `readers`, `isFinished` and `lastEvent` are touched under the lock only.
package final class Broadcast<Queue: BroadcastQueue>: @unchecked Sendable {
  /// A reader's queue. A class, so that a queue is changed where it is and never copied.
  ///
  /// Unchecked with this proof: all of it is touched under the lock of its broadcast only.
  @usableFromInline final class Reader: @unchecked Sendable {
    @exclusivity(unchecked) @usableFromInline var queue: Queue
    @exclusivity(unchecked) @usableFromInline var waiters: [CheckedContinuation<Void, Never>] = []
    @exclusivity(unchecked) @usableFromInline var isSubscribed = true

    @inlinable init(_ queue: Queue) { self.queue = queue }

    /// Those who wait, who have to be resumed after the lock is released.
    @inlinable func takeWaiters() -> [CheckedContinuation<Void, Never>] {
      if waiters.isEmpty { return [] }
      defer { waiters = [] }
      return waiters
    }
  }

  @usableFromInline let lock = BroadcastLock()
  @exclusivity(unchecked) @usableFromInline var readers: [ObjectIdentifier: Reader] = [:]
  @exclusivity(unchecked) @usableFromInline var isFinished = false
  @exclusivity(unchecked) @usableFromInline var lastEvent: Queue.Event?

  @inlinable package init() {}

  /// Adds a reader, for which `queue` holds events already or is empty.
  ///
  /// After ``finish(_:)`` it gets what the queue holds and the last event.
  @inlinable package func subscribe(_ queue: Queue) -> Subscription {
    lock.withLock {
      let reader = Reader(queue)
      if let lastEvent { reader.queue.add(lastEvent) }
      readers[ObjectIdentifier(reader)] = reader
      return Subscription(self, reader)
    }
  }

  /// Tells whether nobody is subscribed.
  @inlinable package var isEmpty: Bool { lock.withLock { readers.isEmpty } }

  /// The number of events that wait, by reader.
  package var pendingCounts: [Int] { lock.withLock { readers.values.map(\.queue.pendingCount) } }

  /// Gives an event to every reader.
  @inlinable package func send(_ event: Queue.Event) {
    wake(
      lock.withLock {
        if isFinished { return [] }
        return forEachReader { $0.add(event) }
      })
  }

  /// Gives events to every reader, who wakes once.
  @inlinable package func send(contentsOf events: [Queue.Event]) {
    if events.isEmpty { return }
    wake(
      lock.withLock {
        if isFinished { return [] }
        return forEachReader { queue in
          for event in events { queue.add(event) }
        }
      })
  }

  /// Ends every reader's sequence after what waits for it.
  ///
  /// - Parameter event: the last event; later readers get it as well.
  @inlinable package func finish(_ event: Queue.Event? = nil) {
    wake(
      lock.withLock {
        if isFinished { return [] }
        isFinished = true
        lastEvent = event
        return forEachReader { queue in
          if let event { queue.add(event) }
        }
      })
  }

  /// Shows `body` the queue of each reader, under the lock.
  ///
  /// - Returns: those who waited for it.
  @inlinable func forEachReader(
    _ body: (inout Queue) -> Void
  ) -> [CheckedContinuation<Void, Never>] {
    var waiters: [CheckedContinuation<Void, Never>] = []
    for reader in readers.values {
      body(&reader.queue)
      if waiters.isEmpty {
        waiters = reader.takeWaiters()
      } else {
        waiters += reader.takeWaiters()
      }
    }
    return waiters
  }

  @inlinable func wake(_ waiters: [CheckedContinuation<Void, Never>]) {
    for waiter in waiters { waiter.resume() }
  }

  // MARK: One reader

  /// One reader's place among those that are subscribed.
  package final class Subscription: Sendable {
    @usableFromInline let broadcast: Broadcast
    @usableFromInline let reader: Reader

    @inlinable init(_ broadcast: Broadcast, _ reader: Reader) {
      self.broadcast = broadcast
      self.reader = reader
    }

    @inlinable deinit { cancel() }

    /// Unsubscribes at once: whoever waits is at the end.
    @inlinable package func cancel() {
      broadcast.wake(
        broadcast.lock.withLock {
          reader.isSubscribed = false
          broadcast.readers[ObjectIdentifier(reader)] = nil
          return reader.takeWaiters()
        })
    }

    /// The next event; waits for one.
    ///
    /// - Returns: nil at the end, or when the task is cancelled.
    @inlinable package func next() async -> Queue.Event? {
      while !Task.isCancelled {
        if let event = withQueue({ $0.next() }) ?? nil { return event }
        guard await waits() else { return nil }
      }
      return nil
    }

    /// Shows `body` the queue, to take from it in its own way; nil after ``cancel()``.
    ///
    /// The broadcast is locked meanwhile: `body` must neither send to it nor do anything that takes long.
    @inlinable package func withQueue<Result>(_ body: (inout Queue) -> Result) -> Result? {
      broadcast.lock.withLock { reader.isSubscribed ? body(&reader.queue) : nil }
    }

    /// Waits until an event has come since the queue was found empty.
    ///
    /// - Returns: false at the end, or when the task is cancelled.
    @inlinable package func waits() async -> Bool {
      if isOver { return false }
      await withTaskCancellationHandler {
        await withCheckedContinuation { wait($0) }
      } onCancel: {
        broadcast.wake(broadcast.lock.withLock { reader.takeWaiters() })
      }
      return !Task.isCancelled && !isOver
    }

    @inlinable var isOver: Bool {
      broadcast.lock.withLock {
        if !reader.isSubscribed { return true }
        return broadcast.isFinished && reader.queue.pendingCount == 0
      }
    }

    /// Keeps the continuation until there is something; resumes it at once if there is already.
    @inlinable func wait(_ continuation: CheckedContinuation<Void, Never>) {
      let mustGoOn = broadcast.lock.withLock {
        guard !Task.isCancelled, !broadcast.isFinished, reader.isSubscribed,
          reader.queue.pendingCount == 0
        else { return true }
        reader.waiters.append(continuation)
        return false
      }
      if mustGoOn { continuation.resume() }
    }
  }
}

/// The lock of a ``Broadcast``. Apart, because what is inlinable can't name a type of an import that users
/// of the module don't see.
@usableFromInline final class BroadcastLock: Sendable {
  private let lock = NSLock()

  @usableFromInline init() {}

  @inlinable func withLock<Result>(_ body: () -> Result) -> Result {
    acquire()
    defer { release() }
    return body()
  }

  @usableFromInline func acquire() { lock.lock() }
  @usableFromInline func release() { lock.unlock() }
}

/// The queue of a reader that only wants to know that something has changed: however much, once.
package struct ChangeQueue: BroadcastQueue {
  @usableFromInline var isDue: Bool

  /// - Parameter isDue: whether there is a change to look at already.
  @inlinable package init(isDue: Bool = false) { self.isDue = isDue }

  @inlinable package mutating func add(_ event: Void) { isDue = true }

  @inlinable package mutating func next() -> Void? {
    defer { isDue = false }
    return isDue ? () : nil
  }

  @inlinable package var pendingCount: Int { isDue ? 1 : 0 }
}
