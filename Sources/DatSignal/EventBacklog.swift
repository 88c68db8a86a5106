internal import NIOConcurrencyHelpers
internal import NIOCore

/// The events of a client that wait for its reader.
///
/// ```
/// connected  message  message  …  message  disconnected  connected  message
///            ^ goes first if there are too many
/// ```
///
/// A hub may send messages faster than they are read, and they may be lost: peers send what matters again. That the client
/// is connected is told once, so it stays however many messages follow.
struct EventBacklog: Sendable {
  private struct State {
    var events: CircularBuffer<SignalHub.Event> = []
    var messageCount = 0
    var isFinished = false
    var readers: [CheckedContinuation<SignalHub.Event?, Never>] = []
  }

  private let state = NIOLockedValueBox(State())
  private let limit: Int

  /// - Parameter limit: the most messages, and the most other events.
  init(limit: Int) { self.limit = max(limit, 1) }

  /// Adds an event, unless this is finished. The oldest of its kind goes if there are too many.
  func add(_ event: SignalHub.Event) {
    let reader = state.withLockedValue { state -> CheckedContinuation<SignalHub.Event?, Never>? in
      if state.isFinished { return nil }
      if !state.readers.isEmpty { return state.readers.removeFirst() }
      let count = event.isMessage ? state.messageCount : state.events.count - state.messageCount
      if count >= limit,
        let oldest = state.events.firstIndex(where: { $0.isMessage == event.isMessage })
      {
        state.events.remove(at: oldest)
        if event.isMessage { state.messageCount -= 1 }
      }
      state.events.append(event)
      if event.isMessage { state.messageCount += 1 }
      return nil
    }
    reader?.resume(returning: event)
  }

  /// Returns the oldest event, or waits for one; nil after ``finish()``, once all were returned.
  func next() async -> SignalHub.Event? {
    await withCheckedContinuation { continuation in
      let (mustWait, event) = state.withLockedValue { state -> (Bool, SignalHub.Event?) in
        if let event = state.events.popFirst() {
          if event.isMessage { state.messageCount -= 1 }
          return (false, event)
        }
        if state.isFinished { return (false, nil) }
        state.readers.append(continuation)
        return (true, nil)
      }
      if !mustWait { continuation.resume(returning: event) }
    }
  }

  /// Adds nothing more.
  func finish() {
    let readers = state.withLockedValue { state in
      state.isFinished = true
      defer { state.readers = [] }
      return state.readers
    }
    for reader in readers { reader.resume(returning: nil) }
  }
}

extension SignalHub.Event {
  fileprivate var isMessage: Bool { if case .message = self { true } else { false } }
}
