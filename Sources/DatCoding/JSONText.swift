internal import Foundation

/// JSON text in the forms in which it is stored and printed.
package enum JSONText {
  /// Rewrites JSON as JavaScript's `JSON.stringify` writes what `JSON.parse` reads: no white space, no
  /// needless escapes, fields in their original order.
  ///
  /// One thing differs: a number that a double can't hold exactly stays as it is written, while JavaScript
  /// would silently change it.
  ///
  /// - Throws: ``JSONError`` if it is not JSON, is not valid UTF-8, is nested too deeply or has a number beyond a
  ///   double's range.
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
        case .name, .string: append(string: text, range, to: &result)
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
    // A double is written with the fewest digits that identify it: other digits are another number.
    let isSame = DecimalDigits(written) == DecimalDigits(script)
    result.append(contentsOf: isSame ? Array(script.utf8) : Array(bytes))
  }

  /// Decodes JSON from outside with Foundation's decoder. That makes a dictionary of the names of fields,
  /// which takes quadratic time for a name with very many combining marks, so such names are refused first.
  ///
  /// - Throws: `DecodingError`.
  package static func decode<Value: Decodable>(
    _ type: Value.Type = Value.self, from bytes: [UInt8]
  ) throws -> Value {
    do throws(JSONError) { try checkNames(bytes) } catch {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(codingPath: [], debugDescription: "\(error)", underlyingError: error))
    }
    return try JSONDecoder().decode(Value.self, from: Data(bytes))
  }

  /// Checks that no name has a run of marks longer than the limit, and that the bytes are JSON.
  static func checkNames(_ bytes: [UInt8]) throws(JSONError) {
    guard bytes.contains(where: { $0 >= 0x80 || $0 == UInt8(ascii: "\\") }) else { return }
    try JSONReader.read(bytes, within: .values) { reader throws(JSONError) in
      let source = reader
      try reader.walk { token, range throws(JSONError) in
        guard token == .name else { return }
        let name = source.text(of: range.lowerBound + 1..<range.upperBound - 1, hasEscapes: true)
        let text = ForeignText(name)
        guard text.withFewMarks == text else {
          throw JSONError(.manyMarks, at: range.lowerBound)
        }
      }
    }
  }

  /// Escapes every character of JSON that affects the text around it or shows nothing. The result means the
  /// same to a program, and is safe to print.
  package static func printable(_ json: String) -> String {
    // Below U+00AD only controls are hidden.
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
