public import Hypercore
public import HypercoreCrypto

/// What happens in a room.
@nonexhaustive
public enum SagaEvent: Hashable, Sendable {
  /// A message that was not shown before, one's own included. Those that are stored already come first,
  /// sorted by time.
  case message(Message)
  /// In a room of operations: one that was not told before, or that is now edited or in conflict. Those
  /// that are stored already come first, sorted by time.
  case operation(RoomOperation)
  /// All stored messages or operations were told.
  case ready
  /// The author replaced the text of a message, or an earlier entry of its key turned up.
  case edit(Message)
  /// The author deleted a message, or an operation, whose text is its JSON.
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
  /// What this feed holds is not to be shown here any more, or is again.
  case muted(PublicKey, Bool)
  /// A block of this user's feed was sent to a peer that had asked for it: entries up to `seq`.
  case sent(seq: UInt64)
  /// The key of a feed has signed two histories; with the user's own nothing more is written here.
  case forked(ForkEvidence)
  /// What this user wrote before, and is not here, can be had from a peer: writing is possible again.
  case restored
  /// Something went wrong that has no caller to be told.
  case error(SagaError)
}

extension SagaEvent {
  /// What is told of a change in a room of a kind.
  init(_ change: MessageLog.Change, in kind: RoomKind) {
    switch change {
    case .added(let message) where kind == .operations,
      .edited(let message) where kind == .operations,
      .conflicted(let message) where kind == .operations:
      self = .operation(RoomOperation(message))
    case .added(let message): self = .message(message)
    case .edited(let message): self = .edit(message)
    case .removed(let message): self = .removal(message)
    case .conflicted(let message): self = .conflict(message)
    case .unreadable(let key, let feed): self = .unreadable(key: key, feed: feed)
    }
  }
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
    /// A message was to be written in a room of operations, or the other way round.
    case wrongKind
    /// An operation is no JSON.
    case notJSON
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
  let stored: Bool
  /// The queue that is filling already; nil for one that begins with the first iteration.
  var queue: UInt64?

  public func makeAsyncIterator() -> Iterator {
    Iterator(saga: saga, stored: stored, number: queue)
  }

  /// Waits for one event after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let saga: Saga
    let stored: Bool
    private var number: UInt64?
    /// Events that were taken together, and how many of them were handed out.
    private var taken: [SagaEvent] = []
    private var place = 0

    init(saga: Saga, stored: Bool, number: UInt64?) {
      self.saga = saga
      self.stored = stored
      self.number = number
    }

    /// The next event; nil once the room is closed, or when the task is cancelled.
    public mutating func next() async -> SagaEvent? {
      if number == nil { number = await saga.subscribe(stored: stored) }
      if place == taken.count {
        guard let number, let more = await saga.nextEvents(number) else { return nil }
        taken = more
        place = 0
      }
      defer { place += 1 }
      return taken[place]
    }
  }
}

/// Events that one reader has not seen.
struct SagaEventQueue {
  private enum Item {
    case event(SagaEvent)
    /// What is stored: shared with the room's own list, not copied for each reader.
    case stored(ArraySlice<Message>, RoomKind)
  }

  /// Whether what is stored is told first.
  let wantsStored: Bool
  private var items: [Item] = []
  private var position = 0
  private(set) var isClosed = false
  var waiter: CheckedContinuation<Void, Never>?

  init(wantsStored: Bool) { self.wantsStored = wantsStored }

  mutating func add(stored messages: [Message], _ kind: RoomKind) {
    if wantsStored, !messages.isEmpty { items.append(.stored(messages[...], kind)) }
  }

  mutating func add(_ event: SagaEvent) {
    if case .leave(let user) = event,
      let place = items[position...].lastIndex(where: {
        if case .event(.join(let joined)) = $0 { return joined.key == user.key }
        return false
      })
    {
      items.remove(at: place)
      return
    }
    if case .sent = event, case .event(.sent) = items[position...].last {
      items[items.count - 1] = .event(event)
      return
    }
    items.append(.event(event))
  }

  mutating func close() { isClosed = true }

  /// How many events are handed over at once.
  private static let takenAtOnce = 512

  /// The next events; nil where there are none.
  mutating func take() -> [SagaEvent]? {
    guard position < items.count else { return nil }
    var taken: [SagaEvent] = []
    while position < items.count, taken.count < Self.takenAtOnce {
      switch items[position] {
      case .event(let event):
        taken.append(event)
        position += 1
      case .stored(let messages, let kind):
        let part = messages.prefix(Self.takenAtOnce - taken.count)
        for message in part {
          taken.append(kind == .messages ? .message(message) : .operation(RoomOperation(message)))
        }
        if part.count == messages.count {
          position += 1
        } else {
          items[position] = .stored(messages.dropFirst(part.count), kind)
        }
      }
    }
    if position == items.count {
      items = []
      position = 0
    }
    return taken
  }
}
