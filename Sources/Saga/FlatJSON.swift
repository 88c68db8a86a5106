/// Reads and writes the small JSON objects of a room: messages and user data.
///
/// What a stranger sent is bounded before it is looked at: by its size at the caller's, by its depth
/// here. Written is what JavaScript's `JSON.stringify` writes: compact, fields in the given order,
/// slashes as they are.
struct FlatJSON {
  /// A value of an object's field, as far as a room needs to know it.
  enum Value: Hashable, Sendable {
    case string(String)
    case number(Double)
    case bool(Bool)
    case null
    /// An array of numbers, which is how JavaScript writes bytes.
    case numbers([Double])
    /// An object.
    case object([String: Value])
    /// Any other array.
    case other
  }

  /// Nesting beyond this is refused.
  static let depthLimit = 32

  /// The fields of the object that `bytes` spell; nil where they are no JSON object. Of a field that
  /// is there twice the last counts, as in JavaScript.
  static func object(_ bytes: [UInt8]) -> [String: Value]? {
    guard case .object(let fields) = value(bytes) else { return nil }
    return fields
  }

  /// Tells the fields of the object that `bytes` spell, in order.
  ///
  /// - Returns: false where they are no JSON object: then nothing counts of what was told.
  static func forEachField(_ bytes: [UInt8], _ body: (String, Value) -> Void) -> Bool {
    bytes.withUnsafeBufferPointer { buffer in
      var reader = FlatJSON(bytes: buffer)
      reader.skipSpace()
      guard reader.current == UInt8(ascii: "{"), reader.readFields(depth: 0, body) else {
        return false
      }
      reader.skipSpace()
      return reader.position == buffer.count
    }
  }

  /// The value that `bytes` spell; nil where they are no JSON.
  static func value(_ bytes: [UInt8]) -> Value? {
    bytes.withUnsafeBufferPointer { buffer in
      var reader = FlatJSON(bytes: buffer)
      guard let value = reader.readValue(depth: 0) else { return nil }
      reader.skipSpace()
      return reader.position == buffer.count ? value : nil
    }
  }

  /// The text of a field of the object that `bytes` spell, as it stands there; nil where they are no
  /// JSON object or it has no such field.
  static func text(of field: String, in bytes: [UInt8]) -> ArraySlice<UInt8>? {
    let found: Range<Int>? = bytes.withUnsafeBufferPointer { buffer in
      var reader = FlatJSON(bytes: buffer)
      reader.skipSpace()
      guard reader.take(UInt8(ascii: "{")) else { return nil }
      var found: Range<Int>?
      repeat {
        reader.skipSpace()
        guard reader.current == UInt8(ascii: "\""), let name = reader.readString() else {
          return nil
        }
        reader.skipSpace()
        guard reader.take(UInt8(ascii: ":")) else { return nil }
        reader.skipSpace()
        let start = reader.position
        guard reader.readValue(depth: 1) != nil else { return nil }
        if name == field { found = start..<reader.position }
        reader.skipSpace()
      } while reader.take(UInt8(ascii: ","))
      return reader.take(UInt8(ascii: "}")) ? found : nil
    }
    return found.map { bytes[$0] }
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
      position += 1
    }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard current == byte else { return false }
    position += 1
    return true
  }

  private mutating func take(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard bytes.count - position >= count else { return false }
    for offset in 0..<count where bytes[position + offset] != word.utf8Start[offset] {
      return false
    }
    position += count
    return true
  }

  private mutating func readValue(depth: Int) -> Value? {
    guard depth <= Self.depthLimit else { return nil }
    skipSpace()
    switch current {
    case UInt8(ascii: "\""): return readString().map(Value.string)
    case UInt8(ascii: "{"): return readObject(depth: depth)
    case UInt8(ascii: "["): return readArray(depth: depth)
    case UInt8(ascii: "t"): return take("true") ? .bool(true) : nil
    case UInt8(ascii: "f"): return take("false") ? .bool(false) : nil
    case UInt8(ascii: "n"): return take("null") ? .null : nil
    default: return readNumber().map(Value.number)
    }
  }

  private mutating func readObject(depth: Int) -> Value? {
    var fields: [String: Value] = [:]
    return readFields(depth: depth) { fields[$0] = $1 } ? .object(fields) : nil
  }

  private mutating func readFields(depth: Int, _ body: (String, Value) -> Void) -> Bool {
    position += 1
    skipSpace()
    if take(UInt8(ascii: "}")) { return true }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\""), let name = readString() else { return false }
      skipSpace()
      guard take(UInt8(ascii: ":")), let value = readValue(depth: depth + 1) else { return false }
      body(name, value)
      skipSpace()
      if take(UInt8(ascii: "}")) { return true }
      guard take(UInt8(ascii: ",")) else { return false }
    }
  }

  private mutating func readArray(depth: Int) -> Value? {
    position += 1
    var numbers: [Double]? = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return .numbers([]) }
    while true {
      guard let value = readValue(depth: depth + 1) else { return nil }
      if case .number(let number) = value { numbers?.append(number) } else { numbers = nil }
      skipSpace()
      if take(UInt8(ascii: "]")) { return numbers.map(Value.numbers) ?? .other }
      guard take(UInt8(ascii: ",")) else { return nil }
    }
  }

  private mutating func readNumber() -> Double? {
    let start = position
    _ = take(UInt8(ascii: "-"))
    var integer: UInt64 = 0
    var digits = 0
    while let byte = current, byte >= 0x30, byte <= 0x39 {
      digits += 1
      if digits <= 15 { integer = integer * 10 + UInt64(byte - 0x30) }
      position += 1
    }
    if digits == 0 { return nil }
    let firstDigit = bytes[bytes[start] == UInt8(ascii: "-") ? start + 1 : start]
    if digits > 1, firstDigit == 0x30 { return nil }
    let isWhole = current != UInt8(ascii: ".") && current != 0x65 && current != 0x45
    if isWhole, digits <= 15 {
      return bytes[start] == UInt8(ascii: "-") ? -Double(integer) : Double(integer)
    }
    if take(UInt8(ascii: ".")) {
      guard let byte = current, byte >= 0x30, byte <= 0x39 else { return nil }
      while let byte = current, byte >= 0x30, byte <= 0x39 { position += 1 }
    }
    if current == 0x65 || current == 0x45 {
      position += 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
      guard let byte = current, byte >= 0x30, byte <= 0x39 else { return nil }
      while let byte = current, byte >= 0x30, byte <= 0x39 { position += 1 }
    }
    return Double(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func readString() -> String? {
    position += 1
    let start = position
    // Most strings have no escapes.
    while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
      if byte < 0x20 { return nil }
      position += 1
    }
    guard let end = current else { return nil }
    if end == UInt8(ascii: "\"") {
      defer { position += 1 }
      return String(decoding: bytes[start..<position], as: UTF8.self)
    }
    var text = Array(bytes[start..<position])
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): guard readEscape(into: &text) else { return nil }
      case 0..<0x20: return nil
      default: text.append(byte)
      }
    }
    return nil
  }

  private mutating func readEscape(into text: inout [UInt8]) -> Bool {
    guard let byte = current else { return false }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      guard let unit = readUnit() else { return false }
      var scalar: Unicode.Scalar = "\u{fffd}"
      if let plain = Unicode.Scalar(unit) {
        scalar = plain
      } else if unit < 0xdc00, take("\\u") {
        // A pair of surrogates; a lone one stays a replacement character.
        guard let low = readUnit() else { return false }
        if (0xdc00...0xdfff).contains(low) {
          scalar = Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)) ?? "\u{fffd}"
        } else if let other = Unicode.Scalar(low) {
          text.append(contentsOf: Array("\u{fffd}".utf8))
          scalar = other
        }
      }
      text.append(contentsOf: Array(String(scalar).utf8))
    default: return false
    }
    return true
  }

  private mutating func readUnit() -> UInt32? {
    guard bytes.count - position >= 4 else { return nil }
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else { return nil }
      unit = unit << 4 | UInt32(digit)
      position += 1
    }
    return unit
  }

  // MARK: Writing

  /// Appends `text` as a JSON string.
  static func write(_ text: String, to output: inout [UInt8]) {
    let hex = Array("0123456789abcdef".utf8)
    output.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.append(contentsOf: [0x5c, byte])
      case 0x08: output.append(contentsOf: [0x5c, UInt8(ascii: "b")])
      case 0x0c: output.append(contentsOf: [0x5c, UInt8(ascii: "f")])
      case 0x0a: output.append(contentsOf: [0x5c, UInt8(ascii: "n")])
      case 0x0d: output.append(contentsOf: [0x5c, UInt8(ascii: "r")])
      case 0x09: output.append(contentsOf: [0x5c, UInt8(ascii: "t")])
      case 0..<0x20:
        output.append(contentsOf: [0x5c, UInt8(ascii: "u"), 0x30, 0x30])
        output.append(hex[Int(byte >> 4)])
        output.append(hex[Int(byte & 15)])
      default: output.append(byte)
      }
    }
    output.append(UInt8(ascii: "\""))
  }
}
