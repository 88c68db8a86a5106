internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// The history as a file.
enum Export: String, Sendable {
  /// A JSON object a line, with the whole text; characters that show nothing are escaped.
  case jsonl
  /// A line of time, name and fingerprint a message, then its text, indented.
  case text

  private struct Line: Encodable {
    var key: String
    var message: String
    var username: String
    var timestamp: Int64
    var feed: String
    var edited: Bool?
    var sharesKey: Bool?
  }

  var contentType: String {
    self == .jsonl ? "application/jsonl; charset=utf-8" : "text/plain; charset=utf-8"
  }

  /// One message, with the line feed that ends it.
  func entry(_ message: Message) -> String {
    switch self {
    case .jsonl:
      let line = Line(
        key: message.key, message: message.text, username: message.username,
        timestamp: message.timestamp, feed: message.feed.hex,
        edited: message.isEdited ? true : nil, sharesKey: message.sharesKey ? true : nil)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      guard let data = try? encoder.encode(line) else { return "" }
      return Self.escapeHidden(String(decoding: data, as: UTF8.self)) + "\n"
    case .text:
      let seconds = Double(min(max(message.timestamp, 0), 253_402_300_799_000)) / 1_000
      let time = Date(timeIntervalSince1970: seconds).formatted(.iso8601)
      let name = VisibleText.line(message.username)
      let head = "\(time) \(name.isEmpty ? "(no name)" : name) [\(message.feed.hex.prefix(12))]"
      let lines = message.text.split(separator: "\n", omittingEmptySubsequences: false)
      return head + lines.map { "\n  " + VisibleText.line($0) }.joined() + "\n"
    }
  }

  /// JSON with escapes for what shows nothing: it means the same and is safe to print.
  private static func escapeHidden(_ json: String) -> String {
    guard json.unicodeScalars.contains(where: VisibleText.isHidden) else { return json }
    var result = ""
    for scalar in json.unicodeScalars {
      guard VisibleText.isHidden(scalar) else {
        result.unicodeScalars.append(scalar)
        continue
      }
      for unit in String(scalar).utf16 {
        result += "\\u" + String(repeating: "0", count: 4 - String(unit, radix: 16).count)
        result += String(unit, radix: 16)
      }
    }
    return result
  }
}

extension RoomView {
  /// The next part of an export: at most `limit` messages after a place, and where to go on.
  func export(
    _ format: Export, after place: Message.Place?, limit: Int
  ) async -> (text: String, next: Message.Place?) {
    let page = await source.page(place.map(PagePosition.after) ?? .oldest, limit: limit)
    guard let page else { return ("", nil) }
    var text = ""
    for message in page.messages { text += format.entry(message) }
    return (text, page.isEnd ? nil : page.messages.last?.place)
  }
}
