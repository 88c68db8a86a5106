internal import Foundation

/// Words to search for in texts, ignoring case and simple accents.
///
/// A text is read scalar by scalar, once: a stranger's text can't make it slow. Combining marks are ignored,
/// however many there are.
package struct SearchPattern: Sendable {
  private let words: [UInt32]
  /// The words as bytes, if they are ASCII: most are.
  private let ascii: [UInt8]?

  /// Nil if the words leave nothing to search for, such as marks alone.
  package init?(_ text: String) {
    words = Self.folded(text)
    guard !words.isEmpty else { return nil }
    ascii = words.allSatisfy { $0 < 0x80 } ? words.map { UInt8($0) } : nil
  }

  /// Returns whether a text contains the words.
  package func matches(_ text: String) -> Bool { firstMatch(in: text) != nil }

  /// Returns the UTF-8 offset at which the words first begin in a text; nil if it doesn't contain them.
  package func firstMatch(in text: String) -> Int? {
    var text = text
    return text.withUTF8 { bytes in
      guard bytes.contains(where: { $0 >= 0x80 }) else {
        return ascii.flatMap { Self.find($0, bytes) }
      }
      return find(bytes)
    }
  }

  /// Searches a text of ASCII.
  private static func find(_ words: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    guard bytes.count >= words.count else { return nil }
    let first = words[0]
    for start in 0...(bytes.count - words.count) where lower(bytes[start]) == first {
      if (1..<words.count).allSatisfy({ lower(bytes[start + $0]) == words[$0] }) { return start }
    }
    return nil
  }

  private static func lower(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
  }

  private func find(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    var folded: [UInt32] = []
    var offsets: [Int] = []
    var offset = 0
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      Self.fold(scalar) {
        folded.append($0)
        offsets.append(offset)
      }
      offset += UTF8.width(scalar)
    }
    guard folded.count >= words.count else { return nil }
    for start in 0...(folded.count - words.count) where folded[start] == words[0] {
      if (1..<words.count).allSatisfy({ folded[start + $0] == words[$0] }) { return offsets[start] }
    }
    return nil
  }

  private static func folded(_ text: String) -> [UInt32] {
    var folded: [UInt32] = []
    for scalar in text.unicodeScalars { fold(scalar) { folded.append($0) } }
    return folded
  }

  /// Passes the letters that a scalar stands for to `body`: in lower case, without marks.
  private static func fold(_ scalar: Unicode.Scalar, _ body: (UInt32) -> Void) {
    if scalar.value < 0x80 { return body(UInt32(lower(UInt8(scalar.value)))) }
    if scalar.value < UInt32(table.count) {
      for letter in table[Int(scalar.value)] { body(letter) }
    } else {
      for letter in letters(of: scalar) { body(letter) }
    }
  }

  private static func letters(of scalar: Unicode.Scalar) -> [UInt32] {
    if scalar.properties.generalCategory == .nonspacingMark { return [] }
    return scalar.properties.lowercaseMapping.unicodeScalars.map(\.value)
  }

  /// The letters of the scripts with case and accents, up to and including Latin and Greek extended.
  private static let table: [[UInt32]] = (0..<0x2000).map { value in
    guard let scalar = Unicode.Scalar(UInt32(value)) else { return [] }
    return String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars.flatMap(letters)
  }
}
