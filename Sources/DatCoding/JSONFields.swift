internal import Foundation

/// The fields of a JSON object, each as compact JSON text.
package struct JSONFields {
  private var fields: [String: String] = [:]

  /// Nil for what is no JSON object.
  package init?(_ text: String) {
    guard let compact = JSONText.compact(Array(text.utf8)), compact.utf8.first == 0x7b else {
      return nil
    }
    let bytes = Array(compact.utf8)
    var position = 1
    while position < bytes.count, bytes[position] != UInt8(ascii: "}") {
      if bytes[position] == UInt8(ascii: ",") { position += 1 }
      let name = Self.end(of: bytes, from: position)
      let value = Self.end(of: bytes, from: name + 1)
      guard
        let key = try? JSONDecoder().decode(String.self, from: Data(bytes[position..<name]))
      else { return nil }
      fields[key] = String(decoding: bytes[(name + 1)..<value], as: UTF8.self)
      position = value
    }
  }

  package subscript(name: String) -> String? { fields[name] }

  /// Where the value that starts at `start` of compact JSON ends.
  private static func end(of bytes: [UInt8], from start: Int) -> Int {
    var position = start
    var depth = 0
    var isString = false
    while position < bytes.count {
      let byte = bytes[position]
      if isString {
        if byte == UInt8(ascii: "\\") { position += 1 }
        if byte == UInt8(ascii: "\"") { isString = false }
      } else {
        switch byte {
        case UInt8(ascii: "\""): isString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          if depth == 0 { return position }
          depth -= 1
        case UInt8(ascii: ","), UInt8(ascii: ":"):
          if depth == 0 { return position }
        default: break
        }
      }
      position += 1
    }
    return position
  }
}
