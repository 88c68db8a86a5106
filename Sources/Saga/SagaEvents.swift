public import HypercoreCrypto

/// An event of a room.
@nonexhaustive
public enum SagaEvent: Hashable, Sendable {
  /// The number of stored entries that were read so far, while a room is opened that has no index, or an old
  /// one: all of its entries have to be read once.
  case loading(done: UInt64, of: UInt64)
  /// A message that was not shown before, one's own included. Those that are stored already come first,
  /// sorted by time.
  case message(Message)
  /// In a room of operations: one that was not told before, or that is now edited. Those that are stored
  /// already come first, sorted by time.
  case operation(RoomOperation)
  /// All stored messages or operations were told.
  case ready
  /// The author replaced the text of a message, or an earlier entry of its key turned up.
  case edit(Message)
  /// The author deleted a message, or an operation, whose text is its JSON. The text is the one that was
  /// shown before.
  case removal(Message)
  /// An entry that is no message; it is skipped.
  case unreadable(Message.ID)
  /// A user has come, with the first of the user's connections. Its name and key are claims unless
  /// ``UserData/isProven``.
  case join(UserData)
  /// What is shown of a user that is here has changed: it was shown to hold its key, or a proven connection
  /// said something else than a claim had.
  case change(UserData)
  /// A user has gone, with the last one.
  case leave(UserData)
  /// This user's own feed is now one of the room's: what was written here is read by others.
  case authorized
  /// A newcomer wants to write; see ``AuthorizationPolicy/ask``. Told again for a key that is proven after
  /// it was listed unproven.
  case request(UserData)
  /// The requests of this key are over: answered, or gone with their connection.
  case requestGone(PublicKey)
  /// A newcomer has to wait: the room has as many feeds as it may, or too many came in a minute. Told of
  /// five newcomers a minute at most.
  case waiting(UserData, reason: String)
  /// The messages of this feed are not to be shown here any more, or are again.
  case muted(PublicKey, Bool)
  /// A feed has lost its place in the room to others: its messages are no part of the room any more, and
  /// each comes as a new one if the feed comes back.
  case feedGone(PublicKey)
  /// A block of this user's feed was sent to a peer that had asked for it: entries up to `seq`.
  case sent(seq: UInt64)
  /// Something went wrong that has no caller to be notified.
  case error(SagaError)
}

/// Why a room refused or failed.
public struct SagaError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure it is, for programs.
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
    /// There is no message of one's own under that key. Nothing was written.
    case noMessage
    /// An operation is no JSON.
    case notJSON
    /// The database failed.
    case database
    /// A connection ended with an error.
    case connection
  }

  /// The kind of failure it is, for programs.
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

/// The events of a room from the call of ``Saga/events(stored:)`` on.
///
/// A reader that is slow delays nobody, and little waits for it: of a message one event at most, without its
/// text. The sequence ends when the room is closed, and when its task is cancelled. To be read by one task:
/// iterating again goes on after what was told.
public struct SagaEvents: AsyncSequence, Sendable {
  public typealias Element = SagaEvent

  let saga: Saga
  let reader: RoomReader

  public func makeAsyncIterator() -> Iterator { Iterator(saga: saga, reader: reader) }

  /// The next event, as ``Iterator/next()`` gives it.
  package func next() async -> SagaEvent? { await saga.nextEvent(reader) }

  /// Waits for one event after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let saga: Saga
    let reader: RoomReader
    /// Events that were taken together, and how many of them were handed out.
    private var taken: [SagaEvent] = []
    private var place = 0

    init(saga: Saga, reader: RoomReader) {
      self.saga = saga
      self.reader = reader
    }

    /// The next event; nil once the room is closed, or when the task is cancelled.
    public mutating func next() async -> SagaEvent? {
      if place == taken.count {
        guard let more = await saga.nextEvents(reader) else { return nil }
        taken = more
        place = 0
      }
      defer { place += 1 }
      return taken[place]
    }
  }
}
