/// The content of an entry under `messages/` or `operations/`.
package struct MessageContent: Hashable, Sendable {
  package var text: String
  package var username: String
  package var timestamp: Int64

  /// The times that a Date of JavaScript can hold, in milliseconds. Any other counts as 0: it is no time.
  static let times: ClosedRange<Int64> = -8_640_000_000_000_000...8_640_000_000_000_000
  /// Longer texts are shown cut, and as such are harmless.
  package static let textLimit = 64 << 10
  /// Values beyond this aren't read.
  static let valueLimit = 1 << 20

  package init(text: String, username: String, timestamp: Int64) {
    self.text = text
    self.username = username
    self.timestamp = timestamp
  }

  /// Reads an entry's value; nil if it is no message.
  package init?(value: [UInt8]) {
    guard value.count <= Self.valueLimit else { return nil }
    var found: String?
    var username = ""
    var timestamp: Int64 = 0
    let isObject = FlatJSON.forEachField(value) { name, field in
      switch (name, field) {
      case ("message", .string(let string)): found = string
      case ("message", _): found = nil
      case ("username", .string(let string)): username = string
      case ("username", _): username = ""
      case ("timestamp", .number(let number)): timestamp = Self.time(number)
      case ("timestamp", _): timestamp = 0
      default: break
      }
    }
    guard isObject, var text = found else { return nil }
    if text.utf8.count > Self.textLimit {
      text = String(decoding: text.utf8.prefix(Self.textLimit), as: UTF8.self) + " […]"
    }
    if username.utf8.count > UserData.nameLimit {
      username = String(decoding: username.utf8.prefix(UserData.nameLimit), as: UTF8.self)
    }
    self.init(text: text, username: username, timestamp: timestamp)
  }

  /// Takes what an entry's value claims about itself besides the text.
  init(text: String, claims fields: [String: FlatJSON.Value]) {
    self.text = text
    username = ""
    if case .string(let name) = fields["username"] { username = name }
    if username.utf8.count > UserData.nameLimit {
      username = String(decoding: username.utf8.prefix(UserData.nameLimit), as: UTF8.self)
    }
    timestamp = 0
    if case .number(let number) = fields["timestamp"] { timestamp = Self.time(number) }
  }

  /// The time that a number stands for.
  private static func time(_ number: Double) -> Int64 {
    guard let time = Int64(exactly: number.rounded()), times.contains(time) else { return 0 }
    return time
  }

  /// The value that the workshop's class stores for this message.
  package func value(key: String) -> [UInt8] {
    value(key: key, field: "message") { FlatJSON.write(text, to: &$0) }
  }

  /// The value that `@geut/saga` stores for an operation whose JSON is this text.
  func operationValue(key: String) -> [UInt8] {
    value(key: key, field: "operation") { $0.append(contentsOf: text.utf8) }
  }

  private func value(
    key: String, field: StaticString, body: (inout [UInt8]) -> Void
  ) -> [UInt8] {
    var output = Array("{\"key\":".utf8)
    FlatJSON.write(key, to: &output)
    output.append(contentsOf: ",\"\(field)\":".utf8)
    body(&output)
    output.append(contentsOf: ",\"username\":".utf8)
    FlatJSON.write(username, to: &output)
    output.append(contentsOf: ",\"timestamp\":\(timestamp)}".utf8)
    return output
  }
}
