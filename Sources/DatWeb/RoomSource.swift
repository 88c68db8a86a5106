public import HypercoreCrypto
public import Saga

/// A message of a room, as the page needs it.
public struct ChatMessage: Sendable, Hashable {
  /// The key that names the message in the room's database.
  public var key: String
  /// What was written: a stranger's text, of any length, not to be trusted.
  public var text: String
  /// The name that the message claims.
  public var username: String
  /// When it was written, by the writer's clock: milliseconds since 1970.
  public var timestamp: Int64
  /// The feed that holds the message: its true author.
  public var feed: PublicKey
  /// Whether its author has overwritten it.
  public var isEdited: Bool
  /// Whether another feed has written a value under the same key.
  public var isConflicted: Bool

  public init(
    key: String, text: String, username: String, timestamp: Int64, feed: PublicKey,
    isEdited: Bool = false, isConflicted: Bool = false
  ) {
    self.key = key
    self.text = text
    self.username = username
    self.timestamp = timestamp
    self.feed = feed
    self.isEdited = isEdited
    self.isConflicted = isConflicted
  }
}

/// What a room is and who we are in it. Never changes.
public struct RoomIdentity: Sendable, Hashable {
  /// The key that is shared to invite.
  public var room: PublicKey
  /// The key of our own feed in the room.
  public var own: PublicKey
  /// Our name.
  public var username: String
  /// Whether newcomers wait for ``RoomSource/accept(_:)``; false: they are let in at once.
  public var asks: Bool

  public init(room: PublicKey, own: PublicKey, username: String, asks: Bool) {
    self.room = room
    self.own = own
    self.username = username
    self.asks = asks
  }
}

/// Something that happened in a room.
public enum RoomChange: Sendable {
  /// A message is new, or has changed.
  case message(ChatMessage)
  /// The message of this key was removed.
  case removal(key: String)
  /// A feed holds something under this key that is no message.
  case unreadable(key: String, feed: PublicKey)
  /// The first connection to somebody is up.
  case join(UserData)
  /// The last connection to somebody is gone.
  case leave(UserData)
  /// We may write now.
  case authorized
  /// Somebody asks to be let in.
  case request(UserData)
  /// Somebody can't be let in yet; a sentence says why.
  case waiting(UserData, reason: String)
  /// A request was answered, here or by another writer.
  case requestGone(PublicKey)
  /// What a feed writes is not to be shown here any more, or is again.
  case muted(PublicKey, Bool)
  /// The block of our own message was sent to a peer that had asked for it.
  case sent(key: String)
  /// Our own feed has two histories, and nothing more is written here; a sentence for people.
  case forked(String)
  /// Something went wrong; a sentence for people.
  case problem(String)
}

/// How a room stands when the page comes to it, and what happens from then on.
public struct RoomOpening: Sendable {
  public var messages: [ChatMessage]
  public var people: [UserData]
  public var requests: [UserData]
  public var isAuthorized: Bool
  /// Whose messages are hidden here.
  public var muted: Set<PublicKey>
  /// Every change after this state. A change that is already part of the state does no harm.
  public var changes: AsyncStream<RoomChange>

  public init(
    messages: [ChatMessage], people: [UserData], requests: [UserData], isAuthorized: Bool,
    muted: Set<PublicKey> = [], changes: AsyncStream<RoomChange>
  ) {
    self.messages = messages
    self.people = people
    self.requests = requests
    self.isAuthorized = isAuthorized
    self.muted = muted
    self.changes = changes
  }
}

/// A room that a page can be opened on.
public protocol RoomSource: Sendable {
  /// What the room is and who we are in it.
  var identity: RoomIdentity { get async }
  /// The room's state and the changes that follow. Called once.
  func open() async -> RoomOpening
  /// Writes a message and returns its key.
  func write(_ text: String) async throws -> String
  /// Lets somebody in.
  func accept(_ key: PublicKey) async throws
  /// Turns somebody away and mutes them, here only: another writer may still let them in.
  func refuse(_ key: PublicKey) async throws
  /// Hides here what a feed writes, or shows it again.
  func setMuted(_ isMuted: Bool, _ key: PublicKey) async
}
