internal import Foundation

/// The memory that all connections of the process together hold in incomplete frames.
///
/// Up to half of the budget, every connection is read. Beyond that, a connection that holds more than an
/// equal share of the rest is not read any further: the largest wait first, connections with small messages
/// never wait, and the total stays within the budget. The connection whose frame began first is always read,
/// so that honest ones finish one after another. Waiting doesn't stop the clock by which a frame must be
/// complete: incomplete frames of strangers are gone after ``WireLimits/frameDuration``.
///
/// `@unchecked Sendable`: the state is accessed only while the lock is held.
package final class FrameBudget: @unchecked Sendable {
  static let shared = FrameBudget(bytes: ReplicationLimits.halfReceivedBytes)

  private let lock = NSLock()
  private let bytes: Int
  private var total = 0
  private var holds: [ObjectIdentifier: (count: Int, number: UInt64)] = [:]
  private var lastNumber: UInt64 = 0
  private var waiters: [ObjectIdentifier: [CheckedContinuation<Void, Never>]] = [:]

  package init(bytes: Int) { self.bytes = bytes }

  /// One connection's share.
  package final class Hold: Sendable {
    private let budget: FrameBudget

    package init(_ budget: FrameBudget) { self.budget = budget }

    /// Sets the number of bytes of an incomplete frame that the connection holds.
    ///
    /// - Returns: true to go on reading.
    package func set(_ count: Int) -> Bool {
      budget.set(count > ReplicationLimits.uncountedBytes ? count : 0, of: ObjectIdentifier(self))
    }

    /// Waits until the connection may be read again, or ``end()``. Several calls may wait at a time.
    package func waitForRoom() async {
      await withCheckedContinuation { budget.wait(ObjectIdentifier(self), $0) }
    }

    /// Ends the connection's share.
    package func end() { budget.remove(ObjectIdentifier(self)) }

    deinit { budget.remove(ObjectIdentifier(self)) }
  }

  /// The number of bytes that are held now.
  package var heldBytes: Int { lock.withLock { total } }

  /// The number of calls that wait for room; for tests.
  package var waitingCount: Int { lock.withLock { waiters.values.reduce(0) { $0 + $1.count } } }

  private func set(_ count: Int, of id: ObjectIdentifier) -> Bool {
    var woken: [CheckedContinuation<Void, Never>] = []
    let goesOn = lock.withLock {
      let hold = holds[id]
      let before = hold?.count ?? 0
      if count == before { return mayRead(id) }
      if hold == nil { lastNumber += 1 }
      holds[id] = count > 0 ? (count, hold?.number ?? lastNumber) : nil
      total += count - before
      if count < before { woken = takeReady() }
      return mayRead(id)
    }
    for waiter in woken { waiter.resume() }
    return goesOn
  }

  private func wait(_ id: ObjectIdentifier, _ waiter: CheckedContinuation<Void, Never>) {
    let isReady = lock.withLock {
      if mayRead(id) { return true }
      waiters[id, default: []].append(waiter)
      return false
    }
    if isReady { waiter.resume() }
  }

  private func remove(_ id: ObjectIdentifier) {
    let woken: [CheckedContinuation<Void, Never>] = lock.withLock {
      guard let hold = holds.removeValue(forKey: id) else { return [] }
      total -= hold.count
      return takeReady()
    }
    for waiter in woken { waiter.resume() }
  }

  private func mayRead(_ id: ObjectIdentifier) -> Bool {
    guard total > bytes / 2, let hold = holds[id] else { return true }
    if hold.count <= (bytes - total) / holds.count { return true }
    return !holds.values.contains { $0.number < hold.number }
  }

  private func takeReady() -> [CheckedContinuation<Void, Never>] {
    let ready = waiters.keys.filter(mayRead)
    return ready.flatMap { waiters.removeValue(forKey: $0) ?? [] }
  }
}
