internal import Foundation

/// The events that wait for one reader of a ``Broadcast``, and the rule by which they are merged.
///
/// A queue must stay bounded while nobody takes from it: an event either replaces those that it makes stale,
/// or refers to data that is kept elsewhere.
package protocol BroadcastQueue: SendableMetatype {
  associatedtype Event: Sendable

  /// Adds an event, merging it with those that wait.
  mutating func add(_ event: Event)

  /// Removes the next event; nil if none waits.
  mutating func next() -> Event?

  /// The approximate number of events that wait.
  var pendingCount: Int { get }
}

/// A source of events with any number of readers.
///
/// One rule holds for slow readers: none delays the source or another reader, and none misses an event that
/// still matters. The events that wait for a reader are merged by its queue.
///
/// A reader is subscribed when ``subscribe(_:)`` returns. It is unsubscribed with the last reference to its
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

  /// Adds a reader. Its `queue` is empty, or holds events already.
  ///
  /// After ``finish(_:)`` the reader gets what the queue holds and the last event.
  @inlinable package func subscribe(_ queue: Queue) -> Subscription {
    lock.withLock {
      let reader = Reader(queue)
      if let lastEvent { reader.queue.add(lastEvent) }
      readers[ObjectIdentifier(reader)] = reader
      return Subscription(self, reader)
    }
  }

  /// True if nobody is subscribed.
  @inlinable package var isEmpty: Bool { lock.withLock { readers.isEmpty } }

  /// The number of events that wait, for each reader.
  package var pendingCounts: [Int] { lock.withLock { readers.values.map(\.queue.pendingCount) } }

  /// Notifies every reader of an event.
  @inlinable package func send(_ event: Queue.Event) {
    wake(
      lock.withLock {
        if isFinished { return [] }
        return forEachReader { $0.add(event) }
      })
  }

  /// Adds events to every reader's queue, and wakes each reader once.
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

  /// Ends every reader's sequence after the events that wait for it.
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
  /// - Returns: the continuations of the readers that waited.
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

  /// One reader's subscription.
  package final class Subscription: Sendable {
    @usableFromInline let broadcast: Broadcast
    @usableFromInline let reader: Reader

    @inlinable init(_ broadcast: Broadcast, _ reader: Reader) {
      self.broadcast = broadcast
      self.reader = reader
    }

    @inlinable deinit { cancel() }

    /// Unsubscribes at once, which ends every wait for an event.
    @inlinable package func cancel() {
      broadcast.wake(
        broadcast.lock.withLock {
          reader.isSubscribed = false
          broadcast.readers[ObjectIdentifier(reader)] = nil
          return reader.takeWaiters()
        })
    }

    /// Returns the next event, and waits for one if there is none.
    ///
    /// - Returns: nil at the end, or if the task is cancelled.
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

    /// Waits until an event has arrived since the queue was found empty.
    ///
    /// - Returns: false at the end, or if the task is cancelled.
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

    /// Keeps the continuation until there is an event; resumes it at once if there is one already.
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

/// The queue of a reader that only needs to know that something has changed. Any number of changes counts as
/// one.
package struct ChangeQueue: BroadcastQueue {
  @usableFromInline var isDue: Bool

  /// - Parameter isDue: true if there is a change to look at already.
  @inlinable package init(isDue: Bool = false) { self.isDue = isDue }

  @inlinable package mutating func add(_ event: Void) { isDue = true }

  @inlinable package mutating func next() -> Void? {
    defer { isDue = false }
    return isDue ? () : nil
  }

  @inlinable package var pendingCount: Int { isDue ? 1 : 0 }
}
