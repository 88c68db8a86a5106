internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import HyperDB
internal import HypercoreCrypto

/// The encoding of values: a folder does not record which one was used.
enum ValueFormat: String, ExpressibleByArgument, CaseIterable {
  case json, utf8, binary

  /// Returns the bytes to store for a typed value; nil for a JSON `null`.
  func bytes(of text: String) throws -> [UInt8]? {
    guard self == .json else { return Array(text.utf8) }
    return try jsonBytes(Array(text.utf8), shown: text)
  }

  /// Returns the bytes to store for a value from standard input.
  func bytes(of input: [UInt8]) throws -> [UInt8]? {
    guard self == .json else { return input }
    let input = TextLines.withoutMark(input)
    return try jsonBytes(input, shown: String(decoding: input.prefix(256), as: UTF8.self))
  }

  private func jsonBytes(_ bytes: [UInt8], shown: String) throws -> [UInt8]? {
    do throws(JSONError) {
      let compact = try JSONText.compact(bytes)
      return ForeignText(compact) == ForeignText("null") ? nil : Array(compact.utf8)
    } catch {
      throw ValidationError(
        "The value \(SafeText.line(shown, limit: 60)) is no JSON (\(error)): quote text as '\"…\"', "
          + "or use --encoding utf8.")
    }
  }

  /// Returns a stored value as it is shown: in the given encoding, or as base64 if it is not in that.
  func shown(_ value: [UInt8]) -> ShownBytes {
    switch self {
    case .binary: return ShownBytes(json: .base64(value), isInEncoding: true)
    case .utf8: return ShownBytes(text: value)
    case .json:
      guard let text = try? JSONText.compact(value) else {
        return ShownBytes(json: .base64(value), isInEncoding: false)
      }
      return ShownBytes(json: .raw(text), isInEncoding: true)
    }
  }

  /// Returns a key and its value as `dat db import` reads them.
  func exported(_ node: DatabaseNode) -> JSON {
    .members(node.keyFields + (node.value.map { shown($0).fields("value") } ?? [("value", .null)]))
  }

  /// Returns a stored value for people, on one line.
  func text(_ node: DatabaseNode) -> String {
    if node.isDeleted { return "(deleted)" }
    guard let value = node.value else { return self == .json ? "null" : "(no value)" }
    let shown = shown(value)
    let note =
      shown.isInEncoding ? "" : self == .json ? "(no JSON; base64) " : "(no UTF-8; base64) "
    return note + SafeText.line(shown.text)
  }
}

/// Bytes as they are shown: their meaning, or base64, which is marked so that it is not mistaken for
/// text.
struct ShownBytes: Sendable {
  let json: JSON
  /// False for base64 in place of the expected encoding.
  let isInEncoding: Bool

  init(json: JSON, isInEncoding: Bool) {
    self.json = json
    self.isInEncoding = isInEncoding
  }

  /// Takes bytes that should be UTF-8: a key, a text.
  init(text bytes: [UInt8]) {
    if let text = String(validating: bytes, as: UTF8.self) {
      self.init(json: .string(text), isInEncoding: true)
    } else {
      self.init(json: .base64(bytes), isInEncoding: false)
    }
  }

  /// The text for people, without quotes.
  var text: String { if case .string(let text) = json { text } else { json.text } }

  /// Returns the field of an object for programs, with `nameEncoding` beside it for base64.
  func fields(_ name: String) -> [(String, JSON)] {
    [(name, json)] + (isInEncoding ? [] : [("\(name)Encoding", "base64")])
  }
}

extension JSON {
  static func base64(_ bytes: [UInt8]) -> JSON { .string(Data(bytes).base64EncodedString()) }
}

extension DatabaseNode {
  /// The key for programs.
  var keyFields: [(String, JSON)] { ShownBytes(text: keyBytes).fields("key") }

  /// The key for people, on one line.
  var shownKey: String {
    let key = ShownBytes(text: keyBytes)
    return key.isInEncoding ? SafeText.line(key.text) : "(no UTF-8; base64) \(key.text)"
  }
}

/// The output of the database commands.
struct DatabaseOutput: Sendable {
  let output: Output
  let format: ValueFormat

  init(_ output: Output, _ format: ValueFormat = .json) {
    self.output = output
    self.format = format
  }

  func json(_ node: DatabaseNode) -> JSON {
    let clock = node.clock.map { ($0.key.hex, JSON.integer(Int64(clamping: $0.value))) }
      .sorted { $0.0 < $1.0 }
    let value = node.value.map { format.shown($0).fields("value") } ?? [("value", .null)]
    return .members(
      node.keyFields + value + [
        ("deleted", .bool(node.isDeleted)), ("feed", .string(node.feed.hex)),
        ("seq", .integer(Int64(clamping: node.seq))), ("clock", .members(clock)),
      ])
  }

  func json(_ nodes: [DatabaseNode]) -> JSON { .array(nodes.map(json)) }

  func json(_ change: DatabaseDifference) -> JSON {
    ["left": change.left.map(json) ?? .null, "right": change.right.map(json) ?? .null]
  }

  /// Prints the nodes of a key.
  func print(_ nodes: [DatabaseNode], withKey: Bool) {
    if output.json { return output.value(json(nodes)) }
    for node in nodes {
      let note = nodes.count > 1 ? output.dim("  (in conflict, by \(node.feed.hex.prefix(8)))") : ""
      let key = withKey ? "\(output.bold(node.shownKey)): " : ""
      output.line("\(key)\(format.text(node))\(note)")
    }
  }

  /// Prints one entry.
  func print(_ node: DatabaseNode) {
    if output.json { return output.value(json(node)) }
    let location = output.dim("\(node.feed.hex.prefix(8)) \(node.seq)")
    if node.keyBytes.isEmpty, node.value == nil {
      output.line("\(location) lists the writers")
    } else {
      output.line("\(location) \(output.bold(node.shownKey)): \(format.text(node))")
    }
  }

  /// Prints one difference: `+` only in the first state, `-` only in the second, `~` different in both.
  func print(_ change: DatabaseDifference) {
    if output.json { return output.value(json(change)) }
    let sign = change.right == nil ? "+" : change.left == nil ? "-" : "~"
    for node in change.left ?? change.right ?? [] {
      output.line("\(sign) \(output.bold(node.shownKey)): \(format.text(node))")
    }
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Returns the feeds of a database with their lengths.
  static func json(_ feeds: [DatabaseFeed]) -> JSON {
    .array(
      feeds.map {
        ["key": .string($0.key.hex), "length": .integer(Int64(clamping: $0.length))]
      })
  }
}
