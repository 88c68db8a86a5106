internal import DatCoding
internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// The history as a file.
enum Export: String, Sendable {
  /// One JSON object a line, with the whole text; invisible characters are escaped.
  case jsonl
  /// A line of time, name and fingerprint for each message, then its text, indented.
  case text

  var contentType: String {
    self == .jsonl ? "application/jsonl; charset=utf-8" : "text/plain; charset=utf-8"
  }

  /// Returns one message, with the line feed that ends it.
  func entry(_ message: Message) -> String {
    switch self {
    case .jsonl:
      var fields: [(String, JSON)] = []
      if message.isEdited { fields.append(("edited", true)) }
      fields += [
        ("feed", .string(message.feed.hex)), ("key", .string(message.key)),
        ("message", .string(message.text)),
      ]
      if message.sharesKey { fields.append(("sharesKey", true)) }
      fields += [
        ("timestamp", .integer(message.timestamp)), ("username", .string(message.username)),
      ]
      return JSON.members(fields).text + "\n"
    case .text:
      let seconds = Double(min(max(message.timestamp, 0), 253_402_300_799_000)) / 1_000
      let time = Date(timeIntervalSince1970: seconds).formatted(.iso8601)
      let name = VisibleText.line(message.username)
      let head = "\(time) \(name.isEmpty ? "(no name)" : name) [\(message.feed.hex.prefix(12))]"
      let lines = ForeignText(message.text).lines
      return head + lines.map { "\n  " + $0.line() }.joined() + "\n"
    }
  }
}

extension RoomView {
  /// Returns the next part of an export: at most `limit` messages after a place, and the place to go on from.
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
