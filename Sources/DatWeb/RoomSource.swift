public import HypercoreCrypto
public import Saga

/// The identity of a room, and of the user in it. It never changes.
public struct RoomIdentity: Sendable, Hashable {
  /// The key that is shared to invite.
  public var room: PublicKey
  /// The key of the user's own feed in the room.
  public var own: PublicKey
  /// The user's name.
  public var username: String
  /// True if newcomers wait for ``RoomSource/accept(_:)``; false if they are let in at once.
  public var asks: Bool

  public init(room: PublicKey, own: PublicKey, username: String, asks: Bool) {
    self.room = room
    self.own = own
    self.username = username
    self.asks = asks
  }
}

/// The state of a room when the page opens it, without its messages.
public struct RoomState: Sendable {
  /// The other users who are here.
  public var people: [UserData]
  /// Users who wait for an answer.
  public var requests: [UserData]
  /// True if others read what the user writes.
  public var isAuthorized: Bool
  /// The feeds whose messages are hidden here.
  public var muted: Set<PublicKey>
  /// The last block of the user's own feed; everything up to it was written in an earlier run.
  public var ownSeq: UInt64
  /// True while stored messages are still being read: until ``SagaEvent/ready``.
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

/// A room that a page can be opened on. It keeps its messages: the page asks for those that it
/// shows.
public protocol RoomSource: Sendable {
  /// The identity of the room, and ours in it.
  var identity: RoomIdentity { get async }
  /// Returns the events from the call on, without the messages that are already there. Called once.
  func events() async -> AsyncStream<SagaEvent>
  /// The current state. An event that is already part of it does no harm.
  var state: RoomState { get async }

  /// The number of messages.
  var messageCount: Int { get async }
  /// Returns a part of the messages; nil if it is to be around one that is not there.
  func page(_ position: PagePosition, limit: Int) async -> MessagePage?
  /// Returns a message; nil if it is not there.
  func message(_ id: Message.ID) async -> Message?
  /// Returns the messages of other feeds under the key of a message.
  func messages(sharingKeyOf id: Message.ID) async -> [Message.ID]
  /// Returns the newest messages before a place with some words in them, newest first, by none of some feeds.
  func search(
    _ words: String, before place: Message.Place?, without feeds: Set<PublicKey>, limit: Int
  ) async -> [Message]
  /// The feeds that wrote messages.
  var authors: [Author] { get async }
  /// Returns the latest message before a place, or of all for nil, by none of some feeds.
  func latestMessage(before place: Message.Place?, without feeds: Set<PublicKey>) async -> Message?
  /// Returns the number of messages after a place by none of some feeds.
  func messageCount(after place: Message.Place?, without feeds: Set<PublicKey>) async -> Int

  /// Writes a message and returns its name.
  func write(_ text: String) async throws -> Message.ID
  /// Lets a newcomer in.
  func accept(_ key: PublicKey) async throws
  /// Refuses and mutes a newcomer, here only: another writer may still let it in.
  func refuse(_ key: PublicKey) async throws
  /// Hides a feed's messages here, or shows them again.
  func setMuted(_ isMuted: Bool, _ key: PublicKey) async
}
