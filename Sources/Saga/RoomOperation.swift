internal import Foundation
public import HypercoreCrypto

/// The kind of a room's entries.
///
/// Both kinds can share one database; each ignores the other's entries.
public enum RoomKind: Hashable, Sendable {
  /// Messages of text under `messages/`: the workshop's Saga class.
  case messages
  /// Any JSON value under `operations/`: `@geut/saga` 1.0.
  case operations

  /// The beginning of the database keys of its entries.
  var prefix: String { self == .messages ? "messages/" : "operations/" }

  /// Reads an entry's value; nil if it is not of this kind.
  func content(_ value: [UInt8]) -> MessageContent? {
    self == .messages ? MessageContent(value: value) : MessageContent(operationValue: value)
  }
}

/// An operation of a room: a JSON value that one of its users wrote.
///
/// The rules of messages hold: a later value of the same feed under the same key replaces the first
/// (``isEdited``), and a value of another feed is another operation (``sharesKey``).
public struct RoomOperation: Hashable, Sendable, Identifiable {
  /// The name of the operation: its key, `operations/<id>`, and its feed.
  public var id: Message.ID
  /// The value that was written, as JSON text.
  public var json: [UInt8]
  /// The name that the author went by; a label, not an identity.
  public var username: String
  /// The time of writing, in milliseconds since 1970 by the author's clock.
  public var timestamp: Int64
  /// The entry's place in its feed.
  public var seq: UInt64
  /// Tells whether the author has replaced an earlier value.
  public var isEdited: Bool
  /// Tells whether another feed has an operation under the same key.
  public var sharesKey: Bool

  /// The key of the entry in the database, as text.
  public var key: String { id.key }
  /// The key of the feed that holds the operation, proven by its signature: its author.
  public var feed: PublicKey { id.feed }

  /// The value that was written, decoded.
  ///
  /// - Throws: `DecodingError` where it is of another form: a stranger may write anything.
  public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    try JSONDecoder().decode(type, from: Data(json))
  }

  init(_ message: Message) {
    id = message.id
    json = Array(message.text.utf8)
    username = message.username
    timestamp = message.timestamp
    seq = message.seq
    isEdited = message.isEdited
    sharesKey = message.sharesKey
  }
}

extension MessageContent {
  /// Reads the value of an operation's entry, whose text here is the operation's JSON.
  init?(operationValue value: [UInt8]) {
    guard value.count <= Self.valueLimit, let fields = FlatJSON.object(value),
      let operation = FlatJSON.text(of: "operation", in: value)
    else { return nil }
    self.init(text: String(decoding: operation, as: UTF8.self), claims: fields)
  }
}

extension Saga {
  /// All operations, sorted by time, key and feed; none in a room of messages.
  public var operations: [RoomOperation] {
    guard options.kind == .operations else { return [] }
    return allShown.map(RoomOperation.init)
  }

  /// Writes an operation. When it returns, the operation is in ``operations`` and its event was sent.
  ///
  /// - Parameter value: is written as JSON.
  /// - Returns: its name: the key `operations/<id>`, and one's own feed.
  /// - Throws: ``SagaError`` with `wrongKind` in a room of messages, `tooLarge` beyond 1 MiB less
  ///   what surrounds it; `EncodingError`; what the database throws.
  ///
  /// Stands for `writeOperation(obj)` of `@geut/saga`.
  @discardableResult
  public func writeOperation(_ value: some Encodable) async throws -> Message.ID {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return try await writeOperation(json: Array(encoder.encode(value)))
  }

  /// Writes an operation that is JSON text already.
  ///
  /// - Throws: as ``writeOperation(_:)``, and ``SagaError`` with `notJSON`.
  @discardableResult
  public func writeOperation(json: [UInt8]) async throws -> Message.ID {
    try check(.operations)
    guard FlatJSON.value(json) != nil else {
      throw SagaError(
        .notJSON,
        "An operation is a JSON value, nested \(FlatJSON.depthLimit - 1) deep at most; this is none."
      )
    }
    let key = newKey()
    let content = MessageContent(
      text: String(decoding: json, as: UTF8.self), username: username, timestamp: options.now())
    let value = content.operationValue(key: key)
    guard value.count <= MessageContent.valueLimit else {
      throw SagaError(
        .tooLarge,
        "An operation can have \(MessageContent.valueLimit) bytes with what surrounds it; this one "
          + "has \(value.count).")
    }
    return try await write(value, key: key)
  }
}
