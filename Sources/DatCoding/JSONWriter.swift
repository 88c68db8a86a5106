/// Writes parts of JSON byte for byte as JavaScript's `JSON.stringify` does.
package enum JSONWriter {
  /// Appends a string in quotes, with no needless escapes; slashes are not escaped.
  package static func append(_ text: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    for byte in text.utf8 { append(byte, to: &output) }
    output.append(UInt8(ascii: "\""))
  }

  /// A finite number in JavaScript's format.
  package static func text(_ number: Double) -> String {
    if number == number.rounded(), abs(number) < 9_007_199_254_740_992 {
      return String(Int64(number))
    }
    return DecimalDigits("\(number)").scriptText
  }

  static func append(_ scalar: Unicode.Scalar, to output: inout [UInt8]) {
    for byte in scalar.utf8Bytes { append(byte, to: &output) }
  }

  private static func append(_ byte: UInt8, to output: inout [UInt8]) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.append(contentsOf: [0x5c, byte])
    case 0x08: output.append(contentsOf: [0x5c, UInt8(ascii: "b")])
    case 0x0c: output.append(contentsOf: [0x5c, UInt8(ascii: "f")])
    case 0x0a: output.append(contentsOf: [0x5c, UInt8(ascii: "n")])
    case 0x0d: output.append(contentsOf: [0x5c, UInt8(ascii: "r")])
    case 0x09: output.append(contentsOf: [0x5c, UInt8(ascii: "t")])
    case 0..<0x20: append(unit: UInt16(byte), to: &output)
    default: output.append(byte)
    }
  }

  /// Appends `\uXXXX`.
  static func append(unit: UInt16, to output: inout [UInt8]) {
    output.append(0x5c)
    output.append(UInt8(ascii: "u"))
    for shift in [12, 8, 4, 0] as [UInt16] {
      let digit = UInt8(truncatingIfNeeded: unit >> shift & 15)
      output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
  }
}

/// A JSON value to print, whose objects keep the order of their fields.
package enum JSON: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral
{
  case string(String)
  case integer(Int64)
  case bool(Bool)
  case null
  case array([JSON])
  case members([(String, JSON)])
  /// Compact JSON in its stored form.
  case raw(String)

  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int64) { self = .integer(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(dictionaryLiteral elements: (String, JSON)...) { self = .members(elements) }
  package init(arrayLiteral elements: JSON...) { self = .array(elements) }

  package static func object(_ fields: KeyValuePairs<String, JSON>) -> JSON {
    .members(fields.map { ($0.key, $0.value) })
  }

  /// Compact JSON without any hidden characters: see ``JSONText/printable(_:)``.
  package var text: String {
    var output: [UInt8] = []
    append(to: &output)
    return JSONText.printable(String(decoding: output, as: UTF8.self))
  }

  private func append(to output: inout [UInt8]) {
    switch self {
    case .string(let string): JSONWriter.append(string, to: &output)
    case .integer(let number): output.append(contentsOf: "\(number)".utf8)
    case .bool(let bool): output.append(contentsOf: (bool ? "true" : "false").utf8)
    case .null: output.append(contentsOf: "null".utf8)
    case .raw(let text): output.append(contentsOf: text.utf8)
    case .array(let values):
      output.append(UInt8(ascii: "["))
      for (index, value) in values.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        value.append(to: &output)
      }
      output.append(UInt8(ascii: "]"))
    case .members(let members):
      output.append(UInt8(ascii: "{"))
      for (index, (name, value)) in members.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        JSONWriter.append(name, to: &output)
        output.append(UInt8(ascii: ":"))
        value.append(to: &output)
      }
      output.append(UInt8(ascii: "}"))
    }
  }
}
