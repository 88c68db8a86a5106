public import HypercoreCrypto
public import Saga

/// The identity of a room, and ours in it. Never changes.
public struct RoomIdentity: Sendable, Hashable {
  /// The key that is shared to invite.
  public var room: PublicKey
  /// The key of our own feed in the room.
  public var own: PublicKey
  /// Our name.
  public var username: String
  /// Tells whether newcomers wait for ``RoomSource/accept(_:)``; false: they are let in at once.
  public var asks: Bool

  public init(room: PublicKey, own: PublicKey, username: String, asks: Bool) {
    self.room = room
    self.own = own
    self.username = username
    self.asks = asks
  }
}

/// The state of a room when the page comes to it, besides its messages.
public struct RoomState: Sendable {
  /// The other users who are here.
  public var people: [UserData]
  /// Those who wait for an answer.
  public var requests: [UserData]
  /// Tells whether what we write is read by others.
  public var isAuthorized: Bool
  /// The feeds whose messages are hidden here.
  public var muted: Set<PublicKey>
  /// The last block of our own feed: what we wrote up to here was written in an earlier life.
  public var ownSeq: UInt64
  /// Tells whether stored messages are still being read: until ``SagaEvent/ready``.
  public var isLoading: Bool

  public init(
    people: [UserData], requests: [UserData], isAuthorized: Bool, muted: Set<PublicKey> = [],
    ownSeq: UInt64, isLoading: Bool = false
  ) {
    self.people = people
    self.requests = requests
    self.isAuthorized = isAuthorized
    self.muted = muted
    self.ownSeq = ownSeq
    self.isLoading = isLoading
  }
}

/// A room that a page can be opened on. Its messages stay where they are: the page asks for those that it
/// shows.
public protocol RoomSource: Sendable {
  /// The identity of the room, and ours in it.
  var identity: RoomIdentity { get async }
  /// The events from the call on, without the messages that are there already. Called once.
  func events() async -> AsyncStream<SagaEvent>
  /// The state now. An event that is already part of it does no harm.
  var state: RoomState { get async }

  /// The number of messages.
  var messageCount: Int { get async }
  /// A part of the messages; nil if it is to be around one that is not there.
  func page(_ position: PagePosition, limit: Int) async -> MessagePage?
  /// A message; nil if it is not there.
  func message(_ id: Message.ID) async -> Message?
  /// The messages of other feeds under the key of a message.
  func messages(sharingKeyOf id: Message.ID) async -> [Message.ID]
  /// The newest messages before a place with some words in them, newest first, by none of some feeds.
  func search(
    _ words: String, before place: Message.Place?, without feeds: Set<PublicKey>, limit: Int
  ) async -> [Message]
  /// The feeds that wrote.
  var authors: [Author] { get async }
  /// The latest message before a place, or of all for nil, by none of some feeds.
  func latestMessage(before place: Message.Place?, without feeds: Set<PublicKey>) async -> Message?
  /// The number of messages after a place by none of some feeds.
  func messageCount(after place: Message.Place?, without feeds: Set<PublicKey>) async -> Int

  /// Writes a message and returns its name.
  func write(_ text: String) async throws -> Message.ID
  /// Lets somebody in.
  func accept(_ key: PublicKey) async throws
  /// Turns somebody away and mutes them, here only: another writer may still let them in.
  func refuse(_ key: PublicKey) async throws
  /// Hides here what a feed writes, or shows it again.
  func setMuted(_ isMuted: Bool, _ key: PublicKey) async
}
