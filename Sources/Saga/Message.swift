internal import DatCoding
public import HypercoreCrypto

/// A message of a room, as shown.
public struct Message: Hashable, Sendable {
  // Kept as foreign text, so that comparing and hashing go by bytes.
  private var foreignKey: ForeignText
  private var foreignText: ForeignText
  private var foreignName: ForeignText

  /// The entry's key in the database, `messages/<id>`.
  public var key: String {
    get { foreignKey.string }
    set { foreignKey = ForeignText(newValue) }
  }
  /// The text. Anything may be in it: escape it where it is shown.
  public var text: String {
    get { foreignText.string }
    set { foreignText = ForeignText(newValue) }
  }
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
  /// Whether the author has replaced an earlier text.
  public var isEdited = false
  /// Whether another feed wrote under the same key. That other text is not shown.
  public var isConflicted = false

  /// A message of these parts, neither edited nor in conflict.
  public init(
    key: String, text: String, username: String, timestamp: Int64, feed: PublicKey, seq: UInt64
  ) {
    foreignKey = ForeignText(key)
    foreignText = ForeignText(text)
    foreignName = ForeignText(username)
    self.timestamp = timestamp
    self.feed = feed
    self.seq = seq
  }
}

/// What an entry under `messages/` or `operations/` holds.
package struct MessageContent: Hashable, Sendable {
  private var foreignText: ForeignText
  private var foreignName: ForeignText
  package var timestamp: Int64

  package var text: String { foreignText.string }
  package var username: String { foreignName.string }

  /// Longer texts are shown cut, and as such are harmless.
  package static let textLimit = 64 << 10
  /// Values beyond this aren't read.
  static let valueLimit = 1 << 20

  package init(text: String, username: String, timestamp: Int64) {
    foreignText = ForeignText(text)
    foreignName = ForeignText(username)
    self.timestamp = timestamp
  }

  /// What is read of an entry's value.
  static let bounds = JSONReader.Bounds(bytes: valueLimit, depth: 32)

  /// Reads an entry's value; nil if it is no message.
  package init?(value: [UInt8]) {
    self.init(value: value, field: "message") { reader throws(JSONError) in
      try reader.readStringIfPresent()
    }
  }

  /// Reads the value of an operation's entry, whose text here is the operation's JSON.
  init?(operationValue value: [UInt8]) {
    self.init(value: value, field: "operation") { reader throws(JSONError) in
      String(decoding: value[try reader.skip()], as: UTF8.self)
    }
  }

  /// Reads what is under `field` by `body`, and what the value claims about itself besides.
  private init?(
    value: [UInt8], field: StaticString,
    body: (inout JSONReader) throws(JSONError) -> String?
  ) {
    var found: String?
    var name = ""
    var time: Int64 = 0
    do throws(JSONError) {
      try JSONReader.read(value, within: Self.bounds) { reader throws(JSONError) in
        try reader.readObject { key, reader throws(JSONError) in
          switch key {
          case field: found = try body(&reader)
          case "username": name = try reader.readStringIfPresent() ?? ""
          case "timestamp":
            time = try reader.readNumberIfPresent().flatMap { Int64(exactly: $0.rounded()) } ?? 0
          default: break
          }
        }
      }
    } catch {
      return nil
    }
    guard var text = found else { return nil }
    if field.utf8CodeUnitCount == 7, text.utf8.count > Self.textLimit {
      text = ForeignText(text).cut(toBytes: Self.textLimit).string + " […]"
    }
    self.init(
      text: text, username: ForeignText(name).cut(toBytes: UserData.nameLimit).string,
      timestamp: time)
  }

  /// The value that the workshop's class stores for this message.
  package func value(key: String) -> [UInt8] {
    value(key: key, field: "message") { JSONWriter.append(text, to: &$0) }
  }

  /// The value that `@geut/saga` stores for an operation whose JSON is this text.
  func operationValue(key: String) -> [UInt8] {
    value(key: key, field: "operation") { $0.append(contentsOf: text.utf8) }
  }

  private func value(
    key: String, field: StaticString, body: (inout [UInt8]) -> Void
  ) -> [UInt8] {
    var output = Array("{\"key\":".utf8)
    JSONWriter.append(key, to: &output)
    output.append(contentsOf: ",\"\(field)\":".utf8)
    body(&output)
    output.append(contentsOf: ",\"username\":".utf8)
    JSONWriter.append(username, to: &output)
    output.append(contentsOf: ",\"timestamp\":\(timestamp)}".utf8)
    return output
  }
}
