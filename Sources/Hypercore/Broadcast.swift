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
/// Unchecked with this proof: `readers` with their queues, `lastNumber`, `isFinished` and `lastEvent` are
/// touched under the lock only.
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

  /// Adds a reader, for which `queue` holds events already or is empty.
  ///
  /// After ``finish(_:)`` it gets what the queue holds and the last event.
  package func subscribe(_ queue: Queue) -> Subscription {
    lock.withLock {
      lastNumber += 1
      var queue = queue
      if let lastEvent { queue.add(lastEvent) }
      readers[lastNumber] = Reader(queue: queue)
      return Subscription(self, lastNumber)
    }
  }

  /// Tells whether nobody is subscribed.
  package var isEmpty: Bool { lock.withLock { readers.isEmpty } }

  /// The number of events that wait, by reader.
  package var pendingCounts: [Int] { lock.withLock { readers.values.map(\.queue.pendingCount) } }

  /// Gives an event to every reader.
  package func send(_ event: Queue.Event) {
    wake(lock.withLock { isFinished ? [] : add(event) })
  }

  /// Ends every reader's sequence after what waits for it.
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

  /// One reader's place among those that are subscribed.
  package final class Subscription: Sendable {
    private let broadcast: Broadcast
    private let number: UInt64

    fileprivate init(_ broadcast: Broadcast, _ number: UInt64) {
      self.broadcast = broadcast
      self.number = number
    }

    deinit { cancel() }

    /// Unsubscribes at once: whoever waits is at the end.
    package func cancel() {
      broadcast.wake(broadcast.lock.withLock { broadcast.remove(number) })
    }

    /// The next event; waits for one.
    ///
    /// - Returns: nil at the end, or when the task is cancelled.
    package func next() async -> Queue.Event? {
      while !Task.isCancelled {
        if let event = withQueue({ $0.next() }) ?? nil { return event }
        guard await waits() else { return nil }
      }
      return nil
    }

    /// Shows `body` the queue, to take from it in its own way; nil after ``cancel()``.
    package func withQueue<Result>(_ body: (inout Queue) -> Result) -> Result? {
      broadcast.lock.withLock {
        guard var reader = broadcast.readers[number] else { return nil }
        // Taken out meanwhile, so that the queue is not copied.
        broadcast.readers[number] = nil
        defer { broadcast.readers[number] = reader }
        return body(&reader.queue)
      }
    }

    /// Waits until an event has come since the queue was found empty.
    ///
    /// - Returns: false at the end, or when the task is cancelled.
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

  /// Keeps the continuation until there is something; resumes it at once if there is already.
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

/// The queue of a reader that only wants to know that something has changed: however much, once.
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
