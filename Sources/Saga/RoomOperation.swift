internal import DatCoding
internal import Foundation
public import HypercoreCrypto

/// What the entries of a room are.
///
/// Both kinds can share one database; each ignores the other's entries.
public enum RoomKind: Hashable, Sendable {
  /// Messages of text under `messages/`: the workshop's Saga class.
  case messages
  /// Any JSON value under `operations/`: `@geut/saga` 1.0.
  case operations

  /// What the database keys of its entries begin with.
  var prefix: String { self == .messages ? "messages/" : "operations/" }

  /// Reads an entry's value; nil where it is not of this kind.
  func content(_ value: [UInt8]) -> MessageContent? {
    self == .messages ? MessageContent(value: value) : MessageContent(operationValue: value)
  }
}

/// An operation of a room: a JSON value that one of its users wrote.
///
/// The rules of messages hold: the author's later value of the same key replaces the first
/// (``isEdited``), another's is flagged and not shown (``isConflicted``).
public struct RoomOperation: Hashable, Sendable {
  // Kept as foreign text, so that comparing and hashing go by bytes.
  private var foreignKey: ForeignText
  private var foreignName: ForeignText

  /// The entry's key in the database, `operations/<id>`.
  public var key: String {
    get { foreignKey.string }
    set { foreignKey = ForeignText(newValue) }
  }
  /// What was written, as JSON text.
  public var json: [UInt8]
  /// The name that the author went by; a label, not an identity.
  public var username: String {
    get { foreignName.string }
    set { foreignName = ForeignText(newValue) }
  }
  /// When it was written, in milliseconds since 1970 by the author's clock.
  public var timestamp: Int64
  /// Who wrote it: the key of the feed that holds it, proven by its signature.
  public var feed: PublicKey
  /// The entry's place in that feed.
  public var seq: UInt64
  /// Whether the author has replaced an earlier value.
  public var isEdited: Bool
  /// Whether another feed wrote under the same key. That other value is not shown.
  public var isConflicted: Bool

  /// What was written, as a value.
  ///
  /// - Throws: `DecodingError` where it is of another form: a stranger may write anything.
  public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    try JSONDecoder().decode(type, from: Data(json))
  }

  init(_ message: Message) {
    foreignKey = ForeignText(message.key)
    json = Array(message.text.utf8)
    foreignName = ForeignText(message.username)
    timestamp = message.timestamp
    feed = message.feed
    seq = message.seq
    isEdited = message.isEdited
    isConflicted = message.isConflicted
  }
}

extension Saga {
  /// All operations, sorted by time, then key; none in a room of messages.
  public var operations: [RoomOperation] {
    guard options.kind == .operations else { return [] }
    log.sortIn()
    return log.messages.map(RoomOperation.init)
  }

  /// Writes an operation. When it returns, the operation is in ``operations`` and its event was sent.
  ///
  /// - Parameter value: is written as JSON.
  /// - Returns: its key, `operations/<id>`.
  /// - Throws: ``SagaError`` with `wrongKind` in a room of messages, `tooLarge` beyond 1 MiB less
  ///   what surrounds it; `EncodingError`; what the database throws.
  ///
  /// Stands for `writeOperation(obj)` of `@geut/saga`.
  @discardableResult
  public func writeOperation(_ value: some Encodable) async throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return try await writeOperation(json: Array(encoder.encode(value)))
  }

  /// Writes an operation that is JSON text already.
  ///
  /// - Throws: as ``writeOperation(_:)``, and ``SagaError`` with `notJSON`.
  @discardableResult
  public func writeOperation(json: [UInt8]) async throws -> String {
    try check(.operations)
    // One level is the entry's own.
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
    try await write(value, key: key)
    return key
  }

  private func tooLarge(_ count: Int) -> SagaError {
    SagaError(
      .tooLarge,
      "An operation can have \(MessageContent.valueLimit) bytes with what surrounds it; this one "
        + "has \(count).")
  }
}
