/// JSON text, checked and written as `JSON.stringify` writes it: no white space, nothing escaped that
/// need not be, fields in the order they came in.
package struct JSONText {
  private let bytes: [UInt8]
  private var position = 0
  private var result: [UInt8] = []
  private static let depthLimit = 512

  private struct Malformed: Error {}

  /// The compact text; nil where the bytes are no JSON.
  package static func compact(_ bytes: [UInt8]) -> String? {
    var text = JSONText(bytes: bytes)
    text.result.reserveCapacity(bytes.count)
    do {
      try text.value(depth: 0)
      text.skipSpace()
      guard text.position == bytes.count else { return nil }
    } catch {
      return nil
    }
    return String(validating: text.result, as: UTF8.self)
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || (0x09...0x0d).contains(byte) && byte != 0x0b {
      position += 1
    }
  }

  private mutating func value(depth: Int) throws(Malformed) {
    skipSpace()
    guard depth < Self.depthLimit, let byte = next else { throw Malformed() }
    switch byte {
    case UInt8(ascii: "{"): try list(depth, end: UInt8(ascii: "}"), isObject: true)
    case UInt8(ascii: "["): try list(depth, end: UInt8(ascii: "]"), isObject: false)
    case UInt8(ascii: "\""): try string()
    case UInt8(ascii: "t"): try word("true")
    case UInt8(ascii: "f"): try word("false")
    case UInt8(ascii: "n"): try word("null")
    default: try number()
    }
  }

  private mutating func list(_ depth: Int, end: UInt8, isObject: Bool) throws(Malformed) {
    result.append(bytes[position])
    position += 1
    skipSpace()
    if next == end {
      result.append(end)
      position += 1
      return
    }
    while true {
      if isObject {
        skipSpace()
        guard next == UInt8(ascii: "\"") else { throw Malformed() }
        try string()
        skipSpace()
        try take(UInt8(ascii: ":"))
      }
      try value(depth: depth + 1)
      skipSpace()
      if next == end {
        result.append(end)
        position += 1
        return
      }
      try take(UInt8(ascii: ","))
    }
  }

  private mutating func take(_ byte: UInt8) throws(Malformed) {
    guard next == byte else { throw Malformed() }
    result.append(byte)
    position += 1
  }

  private mutating func word(_ word: String) throws(Malformed) {
    for byte in word.utf8 { try take(byte) }
  }

  private mutating func number() throws(Malformed) {
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    let first = position
    try digits()
    if bytes[first] == UInt8(ascii: "0"), position > first + 1 { throw Malformed() }
    var isInteger = true
    if next == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      try digits()
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    let text = bytes[start..<position]
    guard let number = Double(String(decoding: text, as: UTF8.self)), number.isFinite else {
      throw Malformed()
    }
    if isInteger, abs(number) < 9_007_199_254_740_992 {
      result += number == 0 ? [UInt8(ascii: "0")] : Array(text)
    } else {
      result += Array(Self.text(number).utf8)
    }
  }

  /// A number as JavaScript prints it.
  private static func text(_ number: Double) -> String {
    if number == number.rounded(), abs(number) < 9_007_199_254_740_992 {
      return String(Int64(number))
    }
    // The shortest digits are the same; only exponents look different.
    var text = "\(number)"
    if text.hasSuffix(".0") { text.removeLast(2) }
    return text.replacing("e-0", with: "e-").replacing("e+0", with: "e+")
  }

  private mutating func digits() throws(Malformed) {
    let start = position
    while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    if position == start { throw Malformed() }
  }

  private mutating func string() throws(Malformed) {
    result.append(UInt8(ascii: "\""))
    position += 1
    while let byte = next {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        result.append(byte)
        return
      case UInt8(ascii: "\\"): try escape()
      case 0..<0x20: throw Malformed()
      default: result.append(byte)
      }
    }
    throw Malformed()
  }

  private mutating func escape() throws(Malformed) {
    guard let byte = next else { throw Malformed() }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): result += [UInt8(ascii: "\\"), byte]
    case UInt8(ascii: "/"): result.append(byte)
    case UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"),
      UInt8(ascii: "t"):
      result += [UInt8(ascii: "\\"), byte]
    case UInt8(ascii: "u"): try unicode()
    default: throw Malformed()
    }
  }

  private mutating func unicode() throws(Malformed) {
    let unit = try hexUnit()
    if (0xd800..<0xdc00).contains(unit) {
      let start = position
      if next == UInt8(ascii: "\\"), position + 1 < bytes.count,
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = try hexUnit()
        if (0xdc00..<0xe000).contains(low) {
          append(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00))
          return
        }
      }
      position = start
    }
    append(unit)
  }

  private mutating func hexUnit() throws(Malformed) -> UInt32 {
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw Malformed()
      }
      unit = unit << 4 | UInt32(digit)
      position += 1
    }
    return unit
  }

  private mutating func append(_ value: UInt32) {
    let short: [UInt32: Character] = [8: "b", 9: "t", 10: "n", 12: "f", 13: "r"]
    if let letter = short[value] {
      result += Array("\\\(letter)".utf8)
    } else if value == 0x22 || value == 0x5c {
      result += [UInt8(ascii: "\\"), UInt8(value)]
    } else if let scalar = Unicode.Scalar(value), value >= 0x20 {
      result += Array(String(Character(scalar)).utf8)
    } else {
      // Half of a pair, or a control character.
      let digits = String(value, radix: 16)
      result += Array("\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
    }
  }
}
