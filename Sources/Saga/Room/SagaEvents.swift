public import Hypercore
public import HypercoreCrypto

/// An event of a room.
@nonexhaustive
public enum SagaEvent: Hashable, Sendable {
  /// The number of stored entries read so far, while a room without an index, or with an old one, is opened:
  /// all of its entries have to be read once.
  case loading(done: UInt64, of: UInt64)
  /// A message that was not shown before, the user's own included. Stored messages come first, sorted by
  /// time.
  case message(Message)
  /// In a room of operations: an operation that is new to the reader, or was edited. Stored operations come
  /// first, sorted by time.
  case operation(RoomOperation)
  /// All stored messages or operations have been delivered.
  case ready
  /// The author replaced the text of a message, or an earlier entry of its key turned up.
  case edit(Message)
  /// The author deleted a message, or an operation, whose text is its JSON. The text is the last one that
  /// was shown.
  case removal(Message)
  /// An entry that is not a message; it is skipped.
  case unreadable(Message.ID)
  /// A user has come, with its first connection. Its name and key are claims unless
  /// ``UserData/isProven``.
  case join(UserData)
  /// The data of a user that is here has changed: the user has proven to hold its key, or a proven connection
  /// contradicted a claim.
  case change(UserData)
  /// A user has gone, with its last connection.
  case leave(UserData)
  /// The local feed is now one of the room's: others read what was written here.
  case authorized
  /// A newcomer wants to write; see ``AuthorizationPolicy/ask``. Delivered again if the key is proven after it
  /// was listed unproven.
  case request(UserData)
  /// No request of this key is pending any more: they were answered, or ended with their connections.
  case requestGone(PublicKey)
  /// A newcomer has to wait: the room has as many feeds as it may, or too many came in a minute. Delivered
  /// for at most five newcomers a minute.
  case waiting(UserData, reason: String)
  /// The messages of this feed are no longer to be shown here, or are again.
  case muted(PublicKey, Bool)
  /// A feed has lost its place in the room to others: its messages are no longer part of the room, and
  /// each is delivered as a new one if the feed comes back.
  case feedGone(PublicKey)
  /// A block of the local feed was sent to a peer that had requested it: entries up to `seq`.
  case sent(seq: UInt64)
  /// The key of a feed has signed two histories. If it is the local feed, nothing more is written here.
  case forked(ForkEvidence)
  /// A peer has what this user wrote before and what is missing here: writing is possible again.
  case restored
  /// An error without a caller that could receive it.
  case error(SagaError)
}

/// An error of a room.
public struct SagaError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure, for programs.
  @nonexhaustive
  public enum Code: Hashable, Sendable {
    /// The peer sent no user data, or none that can be read.
    case noUserData
    /// The room was closed.
    case closed
    /// The text is larger than a message may be.
    case tooLarge
    /// A message was written in a room of operations, or the other way round.
    case wrongKind
    /// There is no message of the local user under that key. Nothing was written.
    case noMessage
    /// An operation is not JSON.
    case notJSON
    /// The database failed.
    case database
    /// A connection ended with an error.
    case connection
  }

  /// The kind of failure, for programs.
  public let code: Code
  /// A sentence for people.
  public let reason: String

  /// Makes an error with its reason.
  public init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  public var description: String { reason }
}

/// The events of a room since the call of ``Saga/events(stored:)``.
///
/// A slow reader delays nobody, and little waits for it: of a message at most one event, without its text.
/// The sequence ends when the room is closed or its task is cancelled. One task should read it: iterating
/// again continues after what was delivered.
public struct SagaEvents: AsyncSequence, Sendable {
  public typealias Element = SagaEvent

  let saga: Saga
  let reader: RoomReader

  public func makeAsyncIterator() -> Iterator { Iterator(saga: saga, reader: reader) }

  /// Returns the next event, as ``Iterator/next()`` does.
  package func next() async -> SagaEvent? { await saga.nextEvent(reader) }

  /// An iterator that waits for one event after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let saga: Saga
    let reader: RoomReader
    /// Events that were taken together, and the number of them that were returned.
    private var taken: [SagaEvent] = []
    private var place = 0

    init(saga: Saga, reader: RoomReader) {
      self.saga = saga
      self.reader = reader
    }

    /// Returns the next event; nil once the room is closed, or if the task is cancelled.
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
