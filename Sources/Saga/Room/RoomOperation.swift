internal import DatCoding
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

  /// The prefix of the database keys of its entries.
  var prefix: String { self == .messages ? "messages/" : "operations/" }

  /// Reads an entry's value; nil if it is not of this kind.
  func content(_ value: [UInt8]) -> MessageContent? {
    self == .messages ? MessageContent(value: value) : MessageContent(operationValue: value)
  }
}

/// An operation of a room: a JSON value that one of its users wrote.
///
/// As with messages, a later value of the same feed under the same key replaces the first
/// (``isEdited``), and a value of another feed is another operation (``sharesKey``).
public struct RoomOperation: Hashable, Sendable, Identifiable {
  // Kept as foreign text, so that comparing and hashing go by bytes.
  private var foreignName: ForeignText

  /// The name of the operation: its key, `operations/<id>`, and its feed.
  public var id: Message.ID
  /// The value, as JSON text.
  public var json: [UInt8]
  /// The name that the author used; a label, not an identity.
  public var username: String {
    get { foreignName.string }
    set { foreignName = ForeignText(newValue) }
  }
  /// The time of writing, in milliseconds since 1970 by the author's clock.
  public var timestamp: Int64
  /// The index of the entry in its feed.
  public var seq: UInt64
  /// True if the author has replaced an earlier value.
  public var isEdited: Bool
  /// True if another feed has an operation under the same key.
  public var sharesKey: Bool

  /// The key of the entry in the database, as text.
  public var key: String { id.key }
  /// The key of the feed that holds the operation, proven by its signature: its author.
  public var feed: PublicKey { id.feed }

  /// Returns the value, decoded.
  ///
  /// - Throws: `DecodingError` if it has another form: a stranger may write anything.
  public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    try JSONText.decode(type, from: json)
  }

  init(_ message: Message) {
    id = message.id
    json = Array(message.text.utf8)
    foreignName = ForeignText(message.username)
    timestamp = message.timestamp
    seq = message.seq
    isEdited = message.isEdited
    sharesKey = message.sharesKey
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
  /// - Parameter value: the value, which is written as JSON.
  /// - Returns: its name: the key `operations/<id>`, and the local feed.
  /// - Throws: ``SagaError`` with `wrongKind` in a room of messages, `tooLarge` beyond 1 MiB less
  ///   the JSON around it; `EncodingError`; the errors of the database.
  ///
  /// Stands for `writeOperation(obj)` of `@geut/saga`.
  @discardableResult
  public func writeOperation(_ value: some Encodable) async throws -> Message.ID {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return try await writeOperation(json: Array(encoder.encode(value)))
  }

  /// Writes an operation that is already JSON text.
  ///
  /// - Throws: as ``writeOperation(_:)``, and ``SagaError`` with `notJSON`.
  @discardableResult
  public func writeOperation(json: [UInt8]) async throws -> Message.ID {
    try check(.operations)
    // The entry itself takes one level.
    let bounds = JSONReader.Bounds(
      bytes: MessageContent.bounds.bytes, depth: MessageContent.bounds.depth - 1)
    do throws(JSONError) { try JSONReader.check(json, within: bounds) } catch {
      switch error.problem {
      case .tooLong: throw tooLarge(json.count)
      default: throw SagaError(.notJSON, "An operation is a JSON value; of this one, \(error).")
      }
    }
    let key = newKey()
    let content = MessageContent(
      text: String(decoding: json, as: UTF8.self), username: username, timestamp: options.now())
    let value = content.operationValue(key: key)
    guard value.count <= MessageContent.valueLimit else {
      throw tooLarge(value.count)
    }
    return try await write(value, key: key)
  }

  private func tooLarge(_ count: Int) -> SagaError {
    SagaError(
      .tooLarge,
      "An operation can have \(MessageContent.valueLimit) bytes with what surrounds it; this one "
        + "has \(count).")
  }
}
