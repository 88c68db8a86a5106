internal import DatCoding
internal import HypercoreCrypto
internal import Saga

/// The JSON that the page receives. Names are short but whole words; times are milliseconds since
/// 1970; keys are hex.
enum Wire {
  /// The look of a name, with which the page distinguishes names that look alike.
  struct Look: Encodable, Sendable {
    /// Equal for names that look alike.
    var shape: String
    /// True if its letters are of scripts that no language mixes.
    var isMixed: Bool?

    init(_ name: String) {
      let look = NameLook(of: ForeignText(name))
      shape = look.text
      isMixed = look.mixesScripts ? true : nil
    }
  }

  struct Message: Encodable, Sendable {
    var key: String
    /// At most ``Limits/listedText`` bytes of the text.
    var text: String
    /// The number of bytes of the whole text, if `text` is only its beginning.
    var length: Int?
    var name: String
    var look: Look
    var feed: String
    /// The writer's own claim; nil if it is not a date at all.
    var time: Int64?
    /// The place in the history, together with key and feed.
    var order: Int64
    var isEdited: Bool?
    /// True if another feed has a message under the same key.
    var sharesKey: Bool?
    var delivery: String?
  }

  /// The name of a message.
  struct Name: Encodable, Sendable {
    var key: String
    var feed: String
  }

  struct Person: Encodable, Sendable {
    var key: String
    var name: String
    var look: Look
    var isHere: Bool
    var isMuted: Bool
    /// For a person who is here: true if the peer has proven to hold the key; nil if that is unknown.
    var isProven: Bool?
    /// The time of arrival or, if gone, of leaving; for a person known only by messages, that of the last one.
    var since: Int64
    var messages: Int
  }

  struct Request: Encodable, Sendable {
    var key: String
    var name: String
    var look: Look
    var time: Int64
    /// True if the peer has proven to hold the key; otherwise key and name are claims.
    var isProven: Bool
    /// For a claim: the address that it comes from, if that is known.
    var address: String?
  }

  struct Notice: Encodable, Sendable {
    var id: Int
    var kind: String
    var time: Int64
    var key: String
    var name: String
    var look: Look
    /// For `waiting`: the reason.
    var detail: String?
  }

  struct Me: Encodable, Sendable {
    var key: String
    var name: String
    var look: Look
    var isAuthorized: Bool
  }

  struct Room: Encodable, Sendable {
    var key: String
    /// The name of the room's maker, as the maker's own messages give it.
    var maker: String?
    var asks: Bool
  }

  /// The content of an event: the whole state, or what changed since the last event.
  struct Update: Encodable, Sendable {
    /// The identity of this run of the program: numbers of another one mean nothing here.
    var run: String
    var revision: Int
    /// True if the messages are the newest page, and whatever the page held before is invalid.
    var isWhole: Bool
    /// In a whole state: true if there are no older messages.
    var isStart: Bool?
    var total: Int
    var messages: [Message]?
    var removed: [Name]?
    var me: Me?
    var room: Room?
    var people: [Person]?
    var requests: [Request]?
    var notices: [Notice]?
    var problem: String?
    var fork: Fork?
    /// The number of messages that don't show yet, since their time is ahead.
    var ahead: Int?
    /// The part of the stored messages that was read, in percent.
    var loaded: Int?
  }

  struct Page: Encodable, Sendable {
    var messages: [Message]
    /// True if nothing is older than the first one.
    var isStart: Bool
    /// True if nothing is newer than the last one.
    var isEnd: Bool
  }

  struct Found: Encodable, Sendable {
    var message: Message
    /// The part of the text with the match.
    var excerpt: String
  }

  struct SearchResult: Encodable, Sendable {
    /// The matches, newest first.
    var found: [Found]
    /// True if there may be more, before the last one.
    var isMore: Bool
  }

  struct Share: Encodable, Sendable {
    var key: String
    var link: String
    /// The link's QR code: a string of 0 and 1 a row.
    var code: [String]?
    /// The address of the room on the workshop's page, if that is known.
    var page: String?
  }

  struct RoomSummary: Encodable, Sendable {
    var key: String
    var maker: String?
    var last: Message?
    var unread: Int
    var here: Int
    /// The number of people who ask to be let in.
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

/// The limits on what the page receives and may send, with their reasons.
enum Limits {
  /// Bytes of one message's text in a list: a screenful; the rest comes on demand.
  static let listedText = 4_096
  /// Bytes of one message's text that are ever shown, and that may be written.
  static let shownText = 65_536
  /// Bytes of a name.
  static let name = 256
  /// Messages in an answer: at 4 KiB each under a megabyte.
  static let page = 200
  /// Messages in a whole state: two screens.
  static let firstPage = 100
  /// Bytes of a posted body: the longest message with every character escaped (`\u0000`).
  static let body = 6 * shownText + 1_024
  /// The time, in milliseconds, by which a message may be ahead. Clocks are an hour wrong when daylight saving
  /// begins and ends, and seldom more.
  static let ahead: Int64 = 3_600_000
  /// Requests that are listed.
  static let requests = 100
  /// Connections at once: a tab holds one and uses a few more.
  static let connections = 256
  /// Bytes of a request's header fields.
  static let header = 16_384
}

extension Wire.Message {
  init(_ message: Message, delivery: Delivery?, listed: Int = Limits.listedText) {
    let length = message.text.utf8.count
    key = message.key
    text = VisibleText.prefix(message.text, bytes: listed)
    self.length = length > listed ? length : nil
    name = VisibleText.prefix(message.username, bytes: Limits.name)
    look = Wire.Look(name)
    feed = message.feed.hex
    // Nobody wrote anything before 1970; times beyond any calendar count as 0.
    time = message.timestamp > 0 ? message.timestamp : nil
    order = message.timestamp
    isEdited = message.isEdited ? true : nil
    sharesKey = message.sharesKey ? true : nil
    self.delivery = delivery?.rawValue
  }
}

extension Wire.Name {
  init(_ id: Message.ID) {
    key = id.key
    feed = id.feed.hex
  }
}
