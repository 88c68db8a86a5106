/// JSON text as it is stored, and as it is printed.
package enum JSONText {
  /// The text written as JavaScript's `JSON.stringify` writes what `JSON.parse` reads: no white space,
  /// nothing escaped that need not be, fields in the order they came in.
  ///
  /// One thing is not as there: a number that a double can't hold exactly stays as it is written,
  /// where JavaScript would change it without a word.
  ///
  /// - Throws: ``JSONError`` if it is no JSON, has no end in UTF-8, or is nested too deep.
  package static func compact(
    _ bytes: [UInt8], within bounds: JSONReader.Bounds = .values
  ) throws(JSONError) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    try JSONReader.read(bytes, within: bounds) { reader throws(JSONError) in
      let text = reader.bytes
      try reader.walk { token, range throws(JSONError) in
        switch token {
        case .mark, .word: result.append(contentsOf: text[range])
        case .string: append(string: text, range, to: &result)
        case .number: try append(number: text[range], at: range.lowerBound, to: &result)
        }
      }
    }
    guard let text = String(validating: result, as: UTF8.self) else {
      throw JSONError(.malformed, at: 0)
    }
    return text
  }

  private static func append(
    string bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, to result: inout [UInt8]
  ) {
    result.append(UInt8(ascii: "\""))
    var parts = JSONEscape(bytes, range.lowerBound + 1..<range.upperBound - 1)
    while let part = parts.next() {
      switch part {
      case .byte(let byte): result.append(byte)
      case .scalar(let scalar): JSONWriter.append(scalar, to: &result)
      case .halfPair(let unit):
        JSONWriter.append(unit: UInt16(truncatingIfNeeded: unit), to: &result)
      }
    }
    result.append(UInt8(ascii: "\""))
  }

  private static func append(
    number bytes: Slice<UnsafeBufferPointer<UInt8>>, at offset: Int, to result: inout [UInt8]
  ) throws(JSONError) {
    let written = String(decoding: bytes, as: UTF8.self)
    guard let number = Double(written), number.isFinite else {
      throw JSONError(.hugeNumber, at: offset)
    }
    let script = JSONWriter.text(number)
    // A double is written with the fewest digits that lead back to it: other digits are another number.
    let isSame = DecimalDigits(written) == DecimalDigits(script)
    result.append(contentsOf: isSame ? Array(script.utf8) : Array(bytes))
  }

  /// JSON with escapes for every character that acts on what stands around it or shows nothing. It means
  /// the same to a program, and is safe to print.
  package static func printable(_ json: String) -> String {
    // Below U+00AD only controls hide.
    guard json.utf8.contains(where: { $0 >= 0x7f || $0 < 0x20 }),
      json.unicodeScalars.contains(where: ForeignText.isHidden)
    else { return json }
    var result: [UInt8] = []
    result.reserveCapacity(json.utf8.count + 64)
    for scalar in json.unicodeScalars {
      if ForeignText.isHidden(scalar) {
        for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
          JSONWriter.append(unit: unit, to: &result)
        }
      } else {
        result.append(contentsOf: scalar.utf8Bytes)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
