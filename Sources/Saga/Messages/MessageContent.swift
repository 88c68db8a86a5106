internal import DatCoding

/// The content of an entry under `messages/` or `operations/`.
package struct MessageContent: Hashable, Sendable {
  let foreignText: ForeignText
  let foreignName: ForeignText
  package var timestamp: Int64

  package var text: String { foreignText.string }
  package var username: String { foreignName.string }

  /// The times that a Date of JavaScript can hold, in milliseconds. Any other counts as 0.
  static let times: ClosedRange<Int64> = -8_640_000_000_000_000...8_640_000_000_000_000
  /// The longest text in bytes that is shown whole; longer ones are shown cut.
  package static let textLimit = 64 << 10
  /// The largest value in bytes that is read.
  static let valueLimit = 1 << 20

  package init(text: String, username: String, timestamp: Int64) {
    foreignText = ForeignText(text)
    foreignName = ForeignText(username)
    self.timestamp = timestamp
  }

  /// The bounds within which an entry's value is read.
  static let bounds = JSONReader.Bounds(bytes: valueLimit, depth: 32)

  /// Reads an entry's value; nil if it is not a message.
  package init?(value: [UInt8]) {
    self.init(value: value, field: "message") { reader throws(JSONError) in
      try reader.readStringIfPresent().map { text in
        if text.utf8.count <= Self.textLimit { return text }
        return ForeignText(text).cut(toBytes: Self.textLimit).string + " […]"
      }
    }
  }

  /// Reads the value of an operation's entry, whose text here is the operation's JSON.
  init?(operationValue value: [UInt8]) {
    self.init(value: value, field: "operation") { reader throws(JSONError) in
      String(decoding: value[try reader.skip()], as: UTF8.self)
    }
  }

  /// Reads what is under `field` with `body`, and the value's other claims about itself.
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
          case "timestamp": time = try reader.readNumberIfPresent().map(Self.time) ?? 0
          default: break
          }
        }
      }
    } catch {
      return nil
    }
    guard let found else { return nil }
    self.init(
      text: found, username: ForeignText(name).cut(toBytes: UserData.nameLimit).string,
      timestamp: time)
  }

  /// Returns the time that a number stands for.
  private static func time(_ number: Double) -> Int64 {
    guard let time = Int64(exactly: number.rounded()), times.contains(time) else { return 0 }
    return time
  }

  /// Returns the value that the workshop's class stores for this message.
  package func value(key: String) -> [UInt8] {
    value(key: key, field: "message") { JSONWriter.append(text, to: &$0) }
  }

  /// Returns the value that `@geut/saga` stores for an operation with this text as its JSON.
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
