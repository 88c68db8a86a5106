internal import ArgumentParser
internal import DatCoding
internal import Foundation
internal import HyperDB
internal import HypercoreCrypto

/// How values are written and shown: a folder does not say which encoding was used.
enum ValueFormat: String, ExpressibleByArgument, CaseIterable {
  case json, utf8, binary

  /// The bytes to store for what was typed; nil for a JSON `null`.
  func bytes(of text: String) throws -> [UInt8]? {
    guard self == .json else { return Array(text.utf8) }
    return try jsonBytes(Array(text.utf8), shown: text)
  }

  /// The bytes to store for what came on standard input.
  func bytes(of input: [UInt8]) throws -> [UInt8]? {
    guard self == .json else { return input }
    return try jsonBytes(input, shown: String(decoding: input, as: UTF8.self))
  }

  private func jsonBytes(_ bytes: [UInt8], shown: String) throws -> [UInt8]? {
    guard let compact = try? JSONText.compact(bytes) else {
      throw ValidationError(
        "The value \(SafeText.line(shown, limit: 60)) is no JSON: quote text as '\"…\"', or use "
          + "--encoding utf8.")
    }
    return compact == "null" ? nil : Array(compact.utf8)
  }

  /// A stored value for programs.
  func json(_ node: DatabaseNode) throws -> JSON {
    guard let value = node.value else { return .null }
    switch self {
    case .binary: return .string(Data(value).base64EncodedString())
    case .utf8: return .string(String(decoding: value, as: UTF8.self))
    case .json:
      guard let text = try? JSONText.compact(value) else {
        throw ValidationError(
          "The value of \"\(SafeText.line(node.key, limit: 80))\" in block \(node.seq) of feed "
            + "\(node.feed) is no JSON: use --encoding utf8 or binary.")
      }
      return .raw(text)
    }
  }

  /// A stored value for people, on one line.
  func text(_ node: DatabaseNode) throws -> String {
    if node.isDeleted { return "(deleted)" }
    guard node.value != nil else { return self == .json ? "null" : "(no value)" }
    switch try json(node) {
    case .string(let text): return SafeText.line(text)
    case let json: return SafeText.line(json.text)
    }
  }
}

/// What the database commands print.
struct DatabaseOutput: Sendable {
  let output: Output
  let format: ValueFormat

  init(_ output: Output, _ format: ValueFormat = .json) {
    self.output = output
    self.format = format
  }

  func json(_ node: DatabaseNode) throws -> JSON {
    let clock = node.clock.map { ($0.key.hex, JSON.integer(Int64(clamping: $0.value))) }
      .sorted { $0.0 < $1.0 }
    return [
      "key": .string(node.key), "value": try format.json(node), "deleted": .bool(node.isDeleted),
      "feed": .string(node.feed.hex), "seq": .integer(Int64(clamping: node.seq)),
      "clock": .members(clock),
    ]
  }

  func json(_ nodes: [DatabaseNode]) throws -> JSON { .array(try nodes.map(json)) }

  func json(_ change: DatabaseDifference) throws -> JSON {
    [
      "left": try change.left.map(json) ?? .null, "right": try change.right.map(json) ?? .null,
    ]
  }

  /// The nodes of a key.
  func print(_ nodes: [DatabaseNode], withKey: Bool) throws {
    if output.json { return output.value(try json(nodes)) }
    for node in nodes {
      let note = nodes.count > 1 ? output.dim("  (in conflict, by \(node.feed.hex.prefix(8)))") : ""
      let key = withKey ? "\(output.bold(SafeText.line(node.key))): " : ""
      output.line("\(key)\(try format.text(node))\(note)")
    }
  }

  /// One entry.
  func print(_ node: DatabaseNode) throws {
    if output.json { return output.value(try json(node)) }
    let place = output.dim("\(node.feed.hex.prefix(8)) \(node.seq)")
    if node.keyBytes.isEmpty, node.value == nil {
      output.line("\(place) lists the writers")
    } else {
      let value = node.isDeleted ? "(deleted)" : try format.text(node)
      output.line("\(place) \(output.bold(SafeText.line(node.key))): \(value)")
    }
  }

  /// One difference: `+` only in the first state, `-` only in the second, `~` different in both.
  func print(_ change: DatabaseDifference) throws {
    if output.json { return output.value(try json(change)) }
    let sign = change.right == nil ? "+" : change.left == nil ? "-" : "~"
    for node in change.left ?? change.right ?? [] {
      output.line("\(sign) \(output.bold(SafeText.line(node.key))): \(try format.text(node))")
    }
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// The feeds of a database and how long they are.
  static func json(_ feeds: [DatabaseFeed]) -> JSON {
    .array(
      feeds.map {
        ["key": .string($0.key.hex), "length": .integer(Int64(clamping: $0.length))]
      })
  }
}
