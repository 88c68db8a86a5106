/// A reader of JSON text from outside, within bounds, that builds only the values that are asked for.
///
/// The text is read once from beginning to end. The caller says what it expects next; values that it leaves
/// unread are checked and skipped. Names of fields are compared as bytes and never become keys of a
/// dictionary. Time and memory are linear in the text, whatever it contains.
///
/// ```swift
/// try JSONReader.read(bytes, within: .init(bytes: 65_536, depth: 32)) { reader throws(JSONError) in
///   try reader.readObject { name, reader throws(JSONError) in
///     switch name {
///     case "username": username = try reader.readString()
///     default: break
///     }
///   }
/// }
/// ```
package struct JSONReader {
  /// The limits on what is read.
  package struct Bounds: Hashable, Sendable {
    /// The most bytes of the whole text.
    package var bytes: Int
    /// The greatest depth of nested arrays and objects.
    package var depth: Int

    package init(bytes: Int, depth: Int) {
      self.bytes = bytes
      self.depth = depth
    }

    /// For values that people store: any size that a block can have, and the depth limit of Foundation's
    /// reader.
    package static let values = Bounds(bytes: .max, depth: 512)
  }

  /// The kind of a value.
  package enum Kind: Hashable, Sendable { case object, array, string, number, bool, null }

  let bytes: UnsafeBufferPointer<UInt8>
  let depthLimit: Int
  /// The offset of the next byte to read.
  var position = 0
  /// The number of arrays and objects around the caller's position.
  var depth = 0

  /// Reads one value, after which only white space may follow.
  package static func read<Value>(
    _ bytes: [UInt8], within bounds: Bounds,
    _ body: (inout JSONReader) throws(JSONError) -> Value
  ) throws(JSONError) -> Value {
    guard bytes.count <= bounds.bytes else { throw JSONError(.tooLong(limit: bounds.bytes), at: 0) }
    let result: Result<Value, JSONError> = bytes.withUnsafeBufferPointer { buffer in
      var reader = JSONReader(bytes: buffer, depthLimit: bounds.depth)
      do throws(JSONError) {
        let value = try reader.readWhole(body)
        reader.skipSpace()
        guard reader.position == buffer.count else { throw reader.malformed() }
        return .success(value)
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// Checks that the bytes are JSON within the bounds.
  package static func check(_ bytes: [UInt8], within bounds: Bounds) throws(JSONError) {
    try read(bytes, within: bounds) { reader throws(JSONError) in _ = try reader.skip() }
  }

  /// The kind of the next value, by its first byte; nil at the end, or if no value begins with that byte.
  package var kind: Kind? {
    mutating get {
      skipSpace()
      guard let byte = current else { return nil }
      switch byte {
      case UInt8(ascii: "{"): return .object
      case UInt8(ascii: "["): return .array
      case UInt8(ascii: "\""): return .string
      case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
      case UInt8(ascii: "n"): return .null
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
      default: return nil
      }
    }
  }

  /// Reads an object. `field` is called for each field in order, with the reader at its value. If a field
  /// occurs twice, JavaScript uses the last.
  package mutating func readObject(
    _ field: (JSONName, inout JSONReader) throws(JSONError) -> Void
  ) throws(JSONError) {
    try open(UInt8(ascii: "{"))
    skipSpace()
    if !consume(UInt8(ascii: "}")) {
      repeat {
        let name = try readName()
        try readWhole { reader throws(JSONError) in try field(name, &reader) }
        skipSpace()
      } while consume(UInt8(ascii: ","))
      try expect(UInt8(ascii: "}"))
    }
    depth -= 1
  }

  /// Reads an array. `element` is called for each element, with the reader at it.
  package mutating func readArray(
    _ element: (inout JSONReader) throws(JSONError) -> Void
  ) throws(JSONError) {
    try open(UInt8(ascii: "["))
    skipSpace()
    if !consume(UInt8(ascii: "]")) {
      repeat {
        try readWhole(element)
        skipSpace()
      } while consume(UInt8(ascii: ","))
      try expect(UInt8(ascii: "]"))
    }
    depth -= 1
  }

  /// Reads a string, with U+FFFD for half a surrogate pair and for invalid UTF-8.
  package mutating func readString() throws(JSONError) -> String {
    skipSpace()
    guard current == UInt8(ascii: "\"") else { throw malformed() }
    let (range, hasEscapes) = try skipString()
    return text(of: range, hasEscapes: hasEscapes)
  }

  /// Reads a string that must be valid to the last character: with a replacement it would be another text.
  package mutating func readExactString() throws(JSONError) -> String {
    skipSpace()
    guard current == UInt8(ascii: "\"") else { throw malformed() }
    let (range, hasEscapes) = try skipString()
    if hasEscapes {
      var parts = JSONEscape(bytes, range)
      while let part = parts.next() {
        if case .halfPair = part { throw JSONError(.halfPair, at: range.lowerBound) }
      }
    }
    return text(of: range, hasEscapes: hasEscapes)
  }

  /// Reads a number as JavaScript does: as the nearest double.
  package mutating func readNumber() throws(JSONError) -> Double {
    skipSpace()
    let start = position
    let isWhole = try skipNumber()
    if isWhole, position - start <= 15 {
      let isNegative = bytes[start] == UInt8(ascii: "-")
      var integer: Int64 = 0
      for byte in bytes[(isNegative ? start + 1 : start)..<position] {
        integer = integer * 10 + Int64(byte - 0x30)
      }
      return isNegative ? -Double(integer) : Double(integer)
    }
    guard let number = Double(String(decoding: bytes[start..<position], as: UTF8.self)) else {
      throw JSONError(.malformed, at: start)
    }
    return number
  }

  /// Reads `true` or `false`.
  package mutating func readBool() throws(JSONError) -> Bool {
    skipSpace()
    if consume("true") { return true }
    guard consume("false") else { throw malformed() }
    return false
  }

  /// Reads a string if one is next; otherwise skips the value and returns nil.
  package mutating func readStringIfPresent() throws(JSONError) -> String? {
    guard kind == .string else { return nil }
    return try readString()
  }

  /// Reads a number if one is next; otherwise skips the value and returns nil.
  package mutating func readNumberIfPresent() throws(JSONError) -> Double? {
    guard kind == .number else { return nil }
    return try readNumber()
  }

  /// Checks a value and skips it.
  ///
  /// - Returns: its range in the text.
  @discardableResult
  package mutating func skip() throws(JSONError) -> Range<Int> {
    skipSpace()
    let start = position
    try walk()
    return start..<position
  }

  /// The offset in bytes of what is read next; after ``kind``, that of a value.
  package var offset: Int { position }

  // MARK: Parts

  /// Runs `body` at a value, and skips the value if `body` did not read it.
  private mutating func readWhole<Value>(
    _ body: (inout JSONReader) throws(JSONError) -> Value
  ) throws(JSONError) -> Value {
    skipSpace()
    let start = position
    let value = try body(&self)
    if position == start { try walk() }
    return value
  }

  private mutating func readName() throws(JSONError) -> JSONName {
    skipSpace()
    guard current == UInt8(ascii: "\"") else { throw malformed() }
    let (range, hasEscapes) = try skipString()
    let name =
      hasEscapes
      ? JSONName(text: text(of: range, hasEscapes: true))
      : JSONName(bytes: UnsafeBufferPointer(rebasing: bytes[range]))
    skipSpace()
    try expect(UInt8(ascii: ":"))
    return name
  }

  private mutating func open(_ byte: UInt8) throws(JSONError) {
    skipSpace()
    try expect(byte)
    depth += 1
    if depth > depthLimit { throw JSONError(.tooDeep(limit: depthLimit), at: position) }
  }
}

/// The name of a field, valid only while it is being read.
package struct JSONName {
  private let bytes: UnsafeBufferPointer<UInt8>?
  private let text: String?

  init(bytes: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes
    text = nil
  }

  init(text: String) {
    bytes = nil
    self.text = text
  }

  /// The name as text.
  package var string: String { text ?? bytes.map { String(decoding: $0, as: UTF8.self) } ?? "" }

  package static func == (one: Self, other: StaticString) -> Bool {
    let wanted = UnsafeBufferPointer(start: other.utf8Start, count: other.utf8CodeUnitCount)
    guard let bytes = one.bytes else { return one.text?.utf8.elementsEqual(wanted) ?? false }
    guard bytes.count == wanted.count else { return false }
    for index in wanted.indices where bytes[index] != wanted[index] { return false }
    return true
  }

  package static func ~= (pattern: StaticString, name: Self) -> Bool { name == pattern }
}

/// The reason why text is not the JSON that was expected.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Problem: Hashable, Sendable {
    /// The text has more bytes than `limit`.
    case tooLong(limit: Int)
    /// Arrays and objects are nested more than `limit` deep.
    case tooDeep(limit: Int)
    /// The text is not JSON, or not of the expected form.
    case malformed
    /// A number is too large for any double.
    case hugeNumber
    /// The name of a field has a run of combining marks that is longer than ``ForeignText/markLimit``.
    case manyMarks
    /// A string contains half a surrogate pair, which stands for no character.
    case halfPair
  }

  package let problem: Problem
  /// The offset in the text, in bytes.
  package let offset: Int

  package init(_ problem: Problem, at offset: Int) {
    self.problem = problem
    self.offset = offset
  }

  package var description: String {
    switch problem {
    case .tooLong(let limit): "it has more than \(limit) bytes"
    case .tooDeep(let limit): "more than \(limit) arrays and objects are nested"
    case .malformed: "it is malformed at byte \(offset + 1)"
    case .manyMarks:
      "the name at byte \(offset + 1) has more than \(ForeignText.markLimit) combining marks in a run"
    case .halfPair: "half of a character is in the string at byte \(offset)"
    case .hugeNumber: "the number at byte \(offset + 1) is beyond what JSON's readers can hold"
    }
  }
}
