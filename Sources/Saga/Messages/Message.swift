internal import DatCoding
public import HypercoreCrypto

/// A message of a room, as it is shown.
///
/// A message belongs to the feed that holds it: only later entries of that feed edit or delete it, and an
/// entry of another feed under the same key is another message.
public struct Message: Hashable, Sendable, Identifiable {
  /// The name of a message: the key of its entry, and the feed that wrote it.
  ///
  /// Keys are compared byte by byte. As JSON it is an object of `key`, as text, and `feed`, in hex; a key
  /// that is not UTF-8 is in `keyHex` instead.
  public struct ID: Hashable, Sendable {
    /// The key of the entry in the database, `messages/<id>`, as bytes.
    public let keyBytes: [UInt8]
    /// The feed that holds the entry.
    public let feed: PublicKey

    /// Names the message of a feed under a key.
    public init(key: String, feed: PublicKey) {
      self.init(keyBytes: Array(key.utf8), feed: feed)
    }

    /// Names the message of a feed under a key that need not be text.
    public init(keyBytes: [UInt8], feed: PublicKey) {
      self.keyBytes = keyBytes
      self.feed = feed
    }

    /// The key as text. Bytes that are not UTF-8 are replaced.
    public var key: String { String(decoding: keyBytes, as: UTF8.self) }
  }

  /// A place in the order in which messages are shown: by time, then key, then feed.
  ///
  /// It stays valid if its message is edited or deleted.
  public struct Place: Hashable, Sendable, Comparable, Codable {
    /// The time of the message, in milliseconds since 1970.
    public let timestamp: Int64
    /// The name of the message.
    public let id: ID

    /// Makes the place of a message of this time and name.
    public init(timestamp: Int64, id: ID) {
      self.timestamp = timestamp
      self.id = id
    }

    public static func < (one: Place, other: Place) -> Bool {
      if one.timestamp != other.timestamp { return one.timestamp < other.timestamp }
      if one.id.keyBytes != other.id.keyBytes {
        return one.id.keyBytes.lexicographicallyPrecedes(other.id.keyBytes)
      }
      return one.id.feed.bytes.lexicographicallyPrecedes(other.id.feed.bytes)
    }
  }

  // Kept as foreign text, so that they are compared as bytes.
  private var foreignText: ForeignText
  private var foreignName: ForeignText

  /// The name of the message: its key and its feed.
  public var id: ID
  /// The text. It may contain anything: escape it when it is shown.
  public var text: String {
    get { foreignText.string }
    set { foreignText = ForeignText(newValue) }
  }
  /// The name that the author used; a label, not an identity.
  public var username: String {
    get { foreignName.string }
    set { foreignName = ForeignText(newValue) }
  }
  /// The time of writing, in milliseconds since 1970 by the author's clock; 0 for a time that no calendar
  /// holds.
  public var timestamp: Int64
  /// The index of the entry in its feed.
  public var seq: UInt64
  /// True if the author has replaced an earlier text.
  public var isEdited = false
  /// True if another feed has a message under the same key. Neither is at fault: each belongs to its
  /// author.
  public var sharesKey = false

  /// The key of the entry in the database, as text.
  public var key: String { id.key }
  /// The key of the feed that holds the message, proven by its signature: its author.
  public var feed: PublicKey { id.feed }
  /// The place among the others.
  public var place: Place { Place(timestamp: timestamp, id: id) }

  /// Makes a message of its parts.
  public init(
    id: ID, text: String, username: String, timestamp: Int64, seq: UInt64, isEdited: Bool = false,
    sharesKey: Bool = false
  ) {
    self.id = id
    foreignText = ForeignText(text)
    foreignName = ForeignText(username)
    self.timestamp = timestamp
    self.seq = seq
    self.isEdited = isEdited
    self.sharesKey = sharesKey
  }

  /// Hashes the name and the index in the feed: no other message of one replica has the same.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(id)
    hasher.combine(seq)
  }

  init(_ id: ID, _ content: MessageContent, seq: UInt64, isEdited: Bool, sharesKey: Bool) {
    self.id = id
    foreignText = content.foreignText
    foreignName = content.foreignName
    timestamp = content.timestamp
    self.seq = seq
    self.isEdited = isEdited
    self.sharesKey = sharesKey
  }
}

extension Message.ID: Codable {
  private enum Field: String, CodingKey {
    case key, keyHex, feed
  }

  /// Reads what ``encode(to:)`` writes.
  ///
  /// - Throws: `DecodingError` if the feed is not a key.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Field.self)
    guard let feed = PublicKey(hex: try fields.decode(String.self, forKey: .feed)) else {
      throw DecodingError.dataCorruptedError(
        forKey: .feed, in: fields, debugDescription: "A feed's key is 64 hex digits.")
    }
    if let hex = try fields.decodeIfPresent(String.self, forKey: .keyHex) {
      guard let bytes = Hex.decode(hex) else {
        throw DecodingError.dataCorruptedError(
          forKey: .keyHex, in: fields, debugDescription: "A key in hex is of hex digits.")
      }
      self.init(keyBytes: bytes, feed: feed)
    } else {
      self.init(key: try fields.decode(String.self, forKey: .key), feed: feed)
    }
  }

  /// Writes `key` and `feed`.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Field.self)
    try fields.encode(feed.hex, forKey: .feed)
    if let key = String(validating: keyBytes, as: UTF8.self) {
      try fields.encode(key, forKey: .key)
    } else {
      try fields.encode(Hex.encode(keyBytes), forKey: .keyHex)
    }
  }
}
