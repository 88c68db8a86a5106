/// Where a command's words go: lines for people, or one JSON object a line for programs.
struct Output: Sendable {
  /// Whether programs are reading.
  let json: Bool
  /// Whether people are reading on a terminal.
  let isTerminal: Bool
  /// Whether colours are wanted.
  let colours: Bool
  /// Takes lines for people in place of standard output and standard error: a line editor has the
  /// terminal then.
  var sink: (@Sendable (String) -> Void)?

  init(json: Bool) {
    self.json = json
    isTerminal = !json && StandardStreams.isOutputTerminal
    colours = isTerminal && StandardStreams.showsColours
  }

  /// Prints text as it is.
  func write(_ text: String) { StandardStreams.write(text) }

  /// Prints a line for people.
  func line(_ text: String) {
    if let sink { sink(text + "\n") } else { StandardStreams.write(text + "\n") }
  }

  /// Prints an object for programs, on one line.
  func object(_ fields: KeyValuePairs<String, JSON>) {
    StandardStreams.write(JSON.object(fields).text + "\n")
  }

  /// Prints bytes as they are.
  func bytes(_ bytes: [UInt8]) { StandardStreams.write(bytes) }

  /// Reports a failure in one sentence on standard error, whoever reads.
  func failure(_ text: String) { StandardStreams.complain("dat: \(SafeText.line(text))\n") }

  /// Reports a failure in one sentence.
  func problem(_ text: String) {
    if json {
      object(["event": "error", "message": .string(text)])
    } else if let sink {
      sink("dat: \(SafeText.line(text))\n")
    } else {
      failure(text)
    }
  }

  /// Prints a value for programs, on one line.
  func value(_ value: JSON) { StandardStreams.write(value.text + "\n") }

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
