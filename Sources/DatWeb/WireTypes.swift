internal import HypercoreCrypto

/// The JSON that the page is told. Names are short but whole words; times are milliseconds since
/// 1970; keys are hex.
enum Wire {
  struct Message: Encodable, Sendable {
    var key: String
    /// At most ``Limits/listedText`` bytes of the text.
    var text: String
    /// How many bytes the whole text has, where `text` is only its beginning.
    var length: Int?
    var name: String
    var feed: String
    /// The writer's own claim; absent when it is no date at all.
    var time: Int64?
    /// The place in the log, with the key.
    var order: Int64
    var isEdited: Bool?
    var isConflicted: Bool?
    var delivery: String?
  }

  struct Person: Encodable, Sendable {
    var key: String
    var name: String
    var isHere: Bool
    var isMuted: Bool
    /// Here: since when; gone: since when; known from messages only: when they last wrote.
    var since: Int64
    var messages: Int
  }

  struct Request: Encodable, Sendable {
    var key: String
    var name: String
    var time: Int64
  }

  struct Notice: Encodable, Sendable {
    var id: Int
    var kind: String
    var time: Int64
    var key: String
    var name: String
    /// Of `waiting`: why.
    var detail: String?
  }

  struct Me: Encodable, Sendable {
    var key: String
    var name: String
    var isAuthorized: Bool
  }

  struct Room: Encodable, Sendable {
    var key: String
    /// The name of whoever made the room, as their own messages give it.
    var maker: String?
    var asks: Bool
  }

  /// What the event stream carries: all of the state, or what changed since the last one.
  struct Update: Encodable, Sendable {
    /// Names this run of the program: numbers of another one mean nothing here.
    var run: String
    var revision: Int
    /// The messages are the newest page and whatever the page held before is void.
    var isWhole: Bool
    /// Of a whole state: there are no older messages.
    var isStart: Bool?
    var total: Int
    var messages: [Message]?
    var removed: [String]?
    var me: Me?
    var room: Room?
    var people: [Person]?
    var requests: [Request]?
    var notices: [Notice]?
    var problem: String?
    var fork: Fork?
  }

  struct Page: Encodable, Sendable {
    var messages: [Message]
    /// Nothing is older than the first one.
    var isStart: Bool
    /// Nothing is newer than the last one.
    var isEnd: Bool
  }

  struct Found: Encodable, Sendable {
    var message: Message
    /// The part of the text that holds what was looked for.
    var excerpt: String
  }

  struct SearchResult: Encodable, Sendable {
    /// Newest first.
    var found: [Found]
    /// There may be more, before the last one.
    var isMore: Bool
  }

  struct Share: Encodable, Sendable {
    var key: String
    var link: String
    /// The link's QR code: a string of 0 and 1 a row.
    var code: [String]?
  }

  struct RoomSummary: Encodable, Sendable {
    var key: String
    var maker: String?
    var last: Message?
    var unread: Int
    var here: Int
    /// How many ask to be let in.
    var requests: Int
  }

  struct Start: Encodable, Sendable {
    var rooms: [RoomSummary]
    var username: String
    var canMake: Bool
    var canJoin: Bool
  }

  struct Failure: Encodable, Sendable {
    struct Body: Encodable, Sendable {
      var code: String
      var reason: String
    }
    var error: Body
  }
}

/// The caps of what the page is sent and may send, with their reasons.
enum Limits {
  /// Bytes of one message's text in a list: a screenful; the rest comes when asked for.
  static let listedText = 4_096
  /// Bytes of one message's text that are shown at all, and that may be written.
  static let shownText = 65_536
  /// Bytes of a name.
  static let name = 256
  /// Messages a request gives: at 4 KiB each under a megabyte.
  static let page = 200
  /// Messages in a whole state: two screens.
  static let firstPage = 100
  /// Bytes of a posted body: the longest message with every character escaped (`\u0000`).
  static let body = 6 * shownText + 1_024
  /// Requests that are listed.
  static let requests = 100
  /// Connections at once: a tab holds one and uses a few more.
  static let connections = 256
  /// Bytes of a request's header fields.
  static let header = 16_384
}

extension Wire.Message {
  init(_ entry: MessageLog.Entry, listed: Int = Limits.listedText) {
    let message = entry.message
    let length = message.text.utf8.count
    key = message.key
    text = VisibleText.prefix(message.text, bytes: listed)
    self.length = length > listed ? length : nil
    name = VisibleText.prefix(message.username, bytes: Limits.name)
    feed = message.feed.hex
    // What a Date of JavaScript can hold.
    time = (0...8_640_000_000_000_000).contains(message.timestamp) ? message.timestamp : nil
    order = entry.order
    isEdited = message.isEdited ? true : nil
    isConflicted = message.isConflicted ? true : nil
    delivery = entry.delivery?.rawValue
  }
}
