internal import Foundation
internal import Hypercore

/// Where a command's words go: lines for people, or one JSON object a line for programs.
struct Output: Sendable {
  /// Whether programs are reading.
  let json: Bool
  /// Whether people are reading on a terminal.
  let isTerminal: Bool
  /// Whether colours are wanted: a terminal, and `NO_COLOR` is not set.
  let colours: Bool
  /// Takes lines for people in place of standard output and standard error: a line editor has the
  /// terminal then.
  var sink: (@Sendable (String) -> Void)?

  init(json: Bool) {
    self.json = json
    isTerminal = !json && isatty(STDOUT_FILENO) == 1
    colours =
      isTerminal
      && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
  }

  /// Prints text as it is.
  func write(_ text: String) { Self.write(text, to: .standardOutput) }

  /// Prints a line for people.
  func line(_ text: String) {
    if let sink { sink(text + "\n") } else { Self.write(text + "\n", to: .standardOutput) }
  }

  /// Prints an object for programs, on one line.
  func object(_ fields: KeyValuePairs<String, JSON>) {
    Self.write(JSON.object(fields).text + "\n", to: .standardOutput)
  }

  /// Prints bytes as they are.
  func bytes(_ bytes: [UInt8]) { Self.write(Data(bytes), to: .standardOutput) }

  /// Reports a failure in one sentence on standard error, whoever reads.
  func failure(_ text: String) {
    Self.write("dat: \(SafeText.line(text))\n", to: .standardError)
  }

  /// Reports a failure in one sentence.
  func problem(_ text: String) {
    if json {
      object(["event": "error", "message": .string(text)])
    } else if let sink {
      sink("dat: \(SafeText.line(text))\n")
    } else {
      Self.write("dat: \(SafeText.line(text))\n", to: .standardError)
    }
  }

  /// Tells what opening a feed found, a line each on standard error.
  func findings(_ report: RepairReport, of feed: String?) {
    for finding in report.findings {
      failure("\(feed.map { "feed \($0): " } ?? "")\(finding)")
    }
  }

  /// Prints a value for programs, on one line.
  func value(_ value: JSON) { Self.write(value.text + "\n", to: .standardOutput) }

  func dim(_ text: String) -> String {
    colours && !text.isEmpty ? "\u{1b}[2m\(text)\u{1b}[0m" : text
  }

  func bold(_ text: String) -> String { colours ? "\u{1b}[1m\(text)\u{1b}[0m" : text }

  /// A name in the colour of its owner's key.
  func name(_ name: String, of key: some Sequence<UInt8>) -> String {
    guard colours else { return name }
    let palette = [31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96]
    let sum = key.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xffff }
    return "\u{1b}[\(palette[sum % palette.count])m\(name)\u{1b}[0m"
  }

  private static let lock = NSLock()

  static func write(_ text: String, to handle: FileHandle) {
    write(Data(text.utf8), to: handle)
  }

  private static func write(_ data: Data, to handle: FileHandle) {
    lock.lock()
    defer { lock.unlock() }
    // A reader that has gone is no reason to stop: the pipe's signal is ignored.
    try? handle.write(contentsOf: data)
  }
}

/// A JSON value whose objects keep the order of their fields.
enum JSON: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral
{
  case string(String)
  case integer(Int64)
  case bool(Bool)
  case null
  case array([JSON])
  case members([(String, JSON)])
  /// JSON text as it stands.
  case raw(String)

  init(stringLiteral value: String) { self = .string(value) }
  init(integerLiteral value: Int64) { self = .integer(value) }
  init(booleanLiteral value: Bool) { self = .bool(value) }
  init(dictionaryLiteral elements: (String, JSON)...) { self = .members(elements) }
  init(arrayLiteral elements: JSON...) { self = .array(elements) }

  static func object(_ fields: KeyValuePairs<String, JSON>) -> JSON {
    .members(fields.map { ($0.key, $0.value) })
  }

  /// Compact JSON, slashes as they are.
  var text: String {
    switch self {
    case .string(let string): Self.quoted(string)
    case .integer(let number): String(number)
    case .bool(let bool): bool ? "true" : "false"
    case .null: "null"
    case .raw(let text): text
    case .array(let values): "[" + values.map(\.text).joined(separator: ",") + "]"
    case .members(let members):
      "{" + members.map { Self.quoted($0.0) + ":" + $0.1.text }.joined(separator: ",") + "}"
    }
  }

  /// Whether a character would do something to a terminal, or hide or reorder what stands around it.
  private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }

  private static func quoted(_ string: String) -> String {
    var text = "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where isHidden(scalar):
        for unit in String(scalar).utf16 {
          let digits = String(unit, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
