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
/// Unchecked with this proof: `readers` with their queues, `lastNumber`, `isFinished` and `lastEvent` are
/// accessed under the lock only.
package final class Broadcast<Queue: BroadcastQueue>: @unchecked Sendable {
  private struct Reader {
    var queue: Queue
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let lock = NSLock()
  private var readers: [UInt64: Reader] = [:]
  private var lastNumber: UInt64 = 0
  private var isFinished = false
  private var lastEvent: Queue.Event?

  package init() {}

  /// Adds a reader. Its `queue` is empty, or holds events already.
  ///
  /// After ``finish(_:)`` the reader gets what the queue holds and the last event.
  package func subscribe(_ queue: Queue) -> Subscription {
    lock.withLock {
      lastNumber += 1
      var queue = queue
      if let lastEvent { queue.add(lastEvent) }
      readers[lastNumber] = Reader(queue: queue)
      return Subscription(self, lastNumber)
    }
  }

  /// True if nobody is subscribed.
  package var isEmpty: Bool { lock.withLock { readers.isEmpty } }

  /// The number of events that wait, for each reader.
  package var pendingCounts: [Int] { lock.withLock { readers.values.map(\.queue.pendingCount) } }

  /// Notifies every reader of an event.
  package func send(_ event: Queue.Event) {
    wake(lock.withLock { isFinished ? [] : add(event) })
  }

  /// Ends every reader's sequence after the events that wait for it.
  ///
  /// - Parameter event: the last event; later readers get it as well.
  package func finish(_ event: Queue.Event? = nil) {
    wake(
      lock.withLock {
        guard !isFinished else { return [] }
        isFinished = true
        lastEvent = event
        if let event { return add(event) }
        return readers.keys.flatMap { takeWaiters($0) }
      })
  }

  private func add(_ event: Queue.Event) -> [CheckedContinuation<Void, Never>] {
    var waiters: [CheckedContinuation<Void, Never>] = []
    for number in readers.keys {
      readers[number]?.queue.add(event)
      waiters += takeWaiters(number)
    }
    return waiters
  }

  private func takeWaiters(_ number: UInt64) -> [CheckedContinuation<Void, Never>] {
    guard let waiters = readers[number]?.waiters, !waiters.isEmpty else { return [] }
    readers[number]?.waiters = []
    return waiters
  }

  private func wake(_ waiters: [CheckedContinuation<Void, Never>]) {
    for waiter in waiters { waiter.resume() }
  }

  // MARK: One reader

  /// One reader's subscription.
  package final class Subscription: Sendable {
    private let broadcast: Broadcast
    private let number: UInt64

    fileprivate init(_ broadcast: Broadcast, _ number: UInt64) {
      self.broadcast = broadcast
      self.number = number
    }

    deinit { cancel() }

    /// Unsubscribes at once, which ends every wait for an event.
    package func cancel() {
      broadcast.wake(broadcast.lock.withLock { broadcast.remove(number) })
    }

    /// Returns the next event, and waits for one if there is none.
    ///
    /// - Returns: nil at the end, or if the task is cancelled.
    package func next() async -> Queue.Event? {
      while !Task.isCancelled {
        if let event = withQueue({ $0.next() }) ?? nil { return event }
        guard await waits() else { return nil }
      }
      return nil
    }

    /// Calls `body` with the queue, to take from it in a way of its own; returns nil after ``cancel()``.
    package func withQueue<Result>(_ body: (inout Queue) -> Result) -> Result? {
      broadcast.lock.withLock {
        guard var reader = broadcast.readers[number] else { return nil }
        // Removed meanwhile, so that the queue is not copied.
        broadcast.readers[number] = nil
        defer { broadcast.readers[number] = reader }
        return body(&reader.queue)
      }
    }

    /// Waits until an event has arrived since the queue was found empty.
    ///
    /// - Returns: false at the end, or if the task is cancelled.
    package func waits() async -> Bool {
      if isOver { return false }
      await withTaskCancellationHandler {
        await withCheckedContinuation { broadcast.wait(number, $0) }
      } onCancel: {
        broadcast.wake(broadcast.lock.withLock { broadcast.takeWaiters(number) })
      }
      return !Task.isCancelled && !isOver
    }

    private var isOver: Bool {
      broadcast.lock.withLock {
        guard let reader = broadcast.readers[number] else { return true }
        return broadcast.isFinished && reader.queue.pendingCount == 0
      }
    }
  }

  /// Keeps the continuation until there is an event; resumes it at once if there is one already.
  private func wait(_ number: UInt64, _ continuation: CheckedContinuation<Void, Never>) {
    let mustGoOn = lock.withLock {
      guard !Task.isCancelled, !isFinished, let reader = readers[number],
        reader.queue.pendingCount == 0
      else { return true }
      readers[number]?.waiters.append(continuation)
      return false
    }
    if mustGoOn { continuation.resume() }
  }

  private func remove(_ number: UInt64) -> [CheckedContinuation<Void, Never>] {
    readers.removeValue(forKey: number)?.waiters ?? []
  }
}

/// The queue of a reader that only needs to know that something has changed. Any number of changes counts as
/// one.
package struct ChangeQueue: BroadcastQueue {
  private var isDue: Bool

  /// - Parameter isDue: whether there is a change to look at already.
  package init(isDue: Bool = false) { self.isDue = isDue }

  package mutating func add(_ event: Void) { isDue = true }

  package mutating func next() -> Void? {
    defer { isDue = false }
    return isDue ? () : nil
  }

  package var pendingCount: Int { isDue ? 1 : 0 }
}
