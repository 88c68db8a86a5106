public import HypercoreCrypto

/// What happens in a room.
@nonexhaustive
public enum SagaEvent: Hashable, Sendable {
  /// A message that was not shown before, one's own included. Those that are stored already come first,
  /// sorted by time.
  case message(Message)
  /// All stored messages were told.
  case ready
  /// The author replaced the text of a message, or an earlier entry of its key turned up.
  case edit(Message)
  /// The author deleted a message.
  case removal(Message)
  /// Another feed has written under the message's key; its text is not shown.
  case conflict(Message)
  /// An entry that is no message; it is skipped.
  case unreadable(key: String, feed: PublicKey)
  /// A user has come, with the first of the user's connections.
  case join(UserData)
  /// A user has gone, with the last one.
  case leave(UserData)
  /// This user's own feed is now one of the room's: what was written here is read by others.
  case authorized
  /// A newcomer wants to write; see ``AuthorizationPolicy/ask``.
  case request(UserData)
  /// A newcomer has to wait: the room has as many feeds as it may, or too many came in a minute.
  case waiting(UserData, reason: String)
  /// A block of this user's feed was sent to a peer that had asked for it: entries up to `seq`.
  case sent(seq: UInt64)
  /// Something went wrong that has no caller to be told.
  case error(SagaError)
}

/// Why a room refused or failed.
public struct SagaError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of failure it is, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// The peer sent no user data, or none that can be read.
    case noUserData
    /// The room was closed.
    case closed
    /// The text is larger than a message may be.
    case tooLarge
    /// The database failed.
    case database
    /// A connection ended with an error.
    case connection
  }

  /// What kind of failure it is, for programs.
  public let code: Code
  /// A sentence for people.
  public let reason: String

  /// A failure with its reason.
  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { reason }
}

/// The events of a room from its first stored message on.
///
/// A reader that is slow delays nobody and misses nothing: events wait for it in order. A user who came
/// and went unseen is not mentioned.
public struct SagaEvents: AsyncSequence, Sendable {
  public typealias Element = SagaEvent

  let saga: Saga

  public func makeAsyncIterator() -> Iterator { Iterator(saga: saga) }

  /// Waits for one event after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let saga: Saga
    private var number: UInt64?

    init(saga: Saga) { self.saga = saga }

    /// The next event; nil once the room is closed, or when the task is cancelled.
    public mutating func next() async -> SagaEvent? {
      if number == nil { number = await saga.subscribe() }
      guard let number else { return nil }
      return await saga.nextEvent(number)
    }
  }
}

/// Events that one reader has not seen.
struct SagaEventQueue {
  private var events: [SagaEvent] = []
  private var position = 0
  private(set) var isClosed = false
  var waiter: CheckedContinuation<Void, Never>?

  mutating func add(_ event: SagaEvent) {
    if case .leave(let user) = event,
      let place = events[position...].lastIndex(where: {
        if case .join(let joined) = $0 { return joined.key == user.key }
        return false
      })
    {
      events.remove(at: place)
      return
    }
    if case .sent = event, case .sent = events[position...].last {
      events[events.count - 1] = event
      return
    }
    events.append(event)
  }

  mutating func close() { isClosed = true }

  mutating func next() -> SagaEvent? {
    guard position < events.count else { return nil }
    defer {
      position += 1
      if position == events.count {
        events.removeAll(keepingCapacity: events.count <= 1024)
        position = 0
      }
    }
    return events[position]
  }
}
