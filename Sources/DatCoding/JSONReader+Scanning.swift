// The grammar, byte by byte. Open arrays and objects are kept in a list of their closing bytes, so the depth
// of a text is bounded by its limit and not by the stack.
extension JSONReader {
  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  func malformed() -> JSONError { JSONError(.malformed, at: position) }

  mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
      position += 1
    }
  }

  /// Skips a byte if it is next.
  ///
  /// - Returns: true if it was.
  mutating func consume(_ byte: UInt8) -> Bool {
    guard current == byte else { return false }
    position += 1
    return true
  }

  /// Skips a word if it is next.
  ///
  /// - Returns: true if it was.
  mutating func consume(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard bytes.count - position >= count else { return false }
    for offset in 0..<count where bytes[position + offset] != word.utf8Start[offset] {
      return false
    }
    position += count
    return true
  }

  mutating func expect(_ byte: UInt8) throws(JSONError) {
    guard consume(byte) else { throw malformed() }
  }

  /// Skips one value.
  ///
  /// - Parameter token: called with each part that is not white space, in order: the range of a name or a
  ///   string with its quotes, of a number or a word, or of a single byte.
  mutating func walk(_ token: (Token, Range<Int>) throws(JSONError) -> Void) throws(JSONError) {
    var ends: [UInt8] = []
    repeat {
      skipSpace()
      guard let byte = current else { throw malformed() }
      if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
        // The code of the closing byte is that of the opening one plus two.
        ends.append(byte + 2)
        if depth + ends.count > depthLimit {
          throw JSONError(.tooDeep(limit: depthLimit), at: position)
        }
        position += 1
        try token(.mark, position - 1..<position)
        skipSpace()
        if current != byte + 2 {
          if byte == UInt8(ascii: "{") { try walkName(token) }
          continue
        }
      } else {
        try walkScalar(byte, token)
      }
      // After a value: the bytes that close what it ends, then the comma before the next.
      while let end = ends.last {
        skipSpace()
        let start = position
        if consume(end) {
          ends.removeLast()
          try token(.mark, start..<position)
          continue
        }
        try expect(UInt8(ascii: ","))
        try token(.mark, start..<position)
        if end == UInt8(ascii: "}") {
          skipSpace()
          try walkName(token)
        }
        break
      }
    } while !ends.isEmpty
  }

  mutating func walk() throws(JSONError) { try walk { (_, _) throws(JSONError) in } }

  /// The kinds of parts that ``walk(_:)`` reports.
  enum Token { case mark, name, string, number, word }

  private mutating func walkName(
    _ token: (Token, Range<Int>) throws(JSONError) -> Void
  ) throws(JSONError) {
    guard current == UInt8(ascii: "\"") else { throw malformed() }
    let start = position
    _ = try skipString()
    try token(.name, start..<position)
    skipSpace()
    try expect(UInt8(ascii: ":"))
    try token(.mark, position - 1..<position)
  }

  private mutating func walkScalar(
    _ byte: UInt8, _ token: (Token, Range<Int>) throws(JSONError) -> Void
  ) throws(JSONError) {
    let start = position
    switch byte {
    case UInt8(ascii: "\""):
      _ = try skipString()
      try token(.string, start..<position)
    case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
      guard consume("true") || consume("false") || consume("null") else { throw malformed() }
      try token(.word, start..<position)
    default:
      _ = try skipNumber()
      try token(.number, start..<position)
    }
  }

  /// Skips a string that begins here.
  ///
  /// - Returns: the range of its text, without the quotes, and whether the text has escapes.
  mutating func skipString() throws(JSONError) -> (Range<Int>, hasEscapes: Bool) {
    position += 1
    let start = position
    var hasEscapes = false
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return (start..<position - 1, hasEscapes)
      case UInt8(ascii: "\\"):
        hasEscapes = true
        try skipEscape()
      case 0..<0x20:
        position -= 1
        throw malformed()
      default: break
      }
    }
    throw malformed()
  }

  private mutating func skipEscape() throws(JSONError) {
    guard let byte = current else { throw malformed() }
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 1
    case UInt8(ascii: "u"):
      position += 1
      for _ in 0..<4 {
        guard let byte = current, Hex.value(byte) != nil else { throw malformed() }
        position += 1
      }
    default: throw malformed()
    }
  }

  /// Skips a number.
  ///
  /// - Returns: true if it has neither a fraction nor an exponent.
  mutating func skipNumber() throws(JSONError) -> Bool {
    _ = consume(UInt8(ascii: "-"))
    let first = position
    try skipDigits()
    if position - first > 1, bytes[first] == UInt8(ascii: "0") {
      throw JSONError(.malformed, at: first)
    }
    var isWhole = true
    if consume(UInt8(ascii: ".")) {
      isWhole = false
      try skipDigits()
    }
    if consume(UInt8(ascii: "e")) || consume(UInt8(ascii: "E")) {
      isWhole = false
      if !consume(UInt8(ascii: "+")) { _ = consume(UInt8(ascii: "-")) }
      try skipDigits()
    }
    return isWhole
  }

  private mutating func skipDigits() throws(JSONError) {
    let start = position
    while let byte = current, (0x30...0x39).contains(byte) { position += 1 }
    if position == start { throw malformed() }
  }

  /// Returns the text at a range of a string that was skipped.
  func text(of range: Range<Int>, hasEscapes: Bool) -> String {
    guard hasEscapes else { return String(decoding: bytes[range], as: UTF8.self) }
    var text: [UInt8] = []
    text.reserveCapacity(range.count)
    var escapes = JSONEscape(bytes, range)
    while let part = escapes.next() {
      switch part {
      case .byte(let byte): text.append(byte)
      case .scalar(let scalar): text.append(contentsOf: scalar.utf8Bytes)
      case .halfPair: text.append(contentsOf: [0xef, 0xbf, 0xbd])
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

/// The bytes of a checked string with its escapes resolved.
struct JSONEscape {
  enum Part {
    /// A byte as it is.
    case byte(UInt8)
    /// The scalar that an escape stands for.
    case scalar(Unicode.Scalar)
    /// Half of a surrogate pair, which is not text.
    case halfPair(UInt32)
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position: Int
  private let end: Int

  init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  mutating func next() -> Part? {
    guard position < end else { return nil }
    let byte = bytes[position]
    position += 1
    guard byte == UInt8(ascii: "\\"), position < end else { return .byte(byte) }
    let letter = bytes[position]
    position += 1
    switch letter {
    case UInt8(ascii: "b"): return .scalar("\u{8}")
    case UInt8(ascii: "f"): return .scalar("\u{c}")
    case UInt8(ascii: "n"): return .scalar("\n")
    case UInt8(ascii: "r"): return .scalar("\r")
    case UInt8(ascii: "t"): return .scalar("\t")
    case UInt8(ascii: "u"): return unit()
    default: return .scalar(Unicode.Scalar(letter))
    }
  }

  private mutating func unit() -> Part {
    let first = value(at: position)
    position = min(position + 4, end)
    if let scalar = Unicode.Scalar(first) { return .scalar(scalar) }
    if first < 0xdc00, position + 6 <= end, bytes[position] == UInt8(ascii: "\\"),
      bytes[position + 1] == UInt8(ascii: "u")
    {
      let second = value(at: position + 2)
      if (0xdc00...0xdfff).contains(second),
        let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
      {
        position += 6
        return .scalar(scalar)
      }
    }
    return .halfPair(first)
  }

  private func value(at start: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in start..<min(start + 4, end) {
      value = value << 4 | UInt32(Hex.value(bytes[index]) ?? 0)
    }
    return value
  }
}

extension Unicode.Scalar {
  /// The bytes in UTF-8, without a `String` in between.
  var utf8Bytes: UTF8.EncodedScalar { UTF8.encode(self) ?? UTF8.encodedReplacementCharacter }
}
