/// Text from outside: from a peer, a file, a browser, an argument.
///
/// Swift compares, hashes, searches and splits `String` by normalised characters, which takes quadratic time
/// for a letter with very many combining marks: 64 KiB of them cost seconds. This text is compared, hashed
/// and sorted by its bytes, so every operation here is linear whatever it contains. Two spellings of one
/// character are two texts.
package struct ForeignText: Hashable, Comparable, Sendable {
  /// The text as a `String`, to be passed on and printed; use this type for all else.
  package let string: String

  /// Creates the text from a `String` as it is.
  package init(_ string: String) {
    var string = string
    // Bridged text has no contiguous bytes, which the code below relies on.
    string.makeContiguousUTF8()
    self.string = string
  }

  /// Decodes bytes as UTF-8, with U+FFFD for invalid ones.
  package init(bytes: some Collection<UInt8>) {
    string = String(decoding: bytes, as: UTF8.self)
  }

  /// Decodes bytes as UTF-8; nil if they are invalid.
  package init?(validating bytes: some Sequence<UInt8>) {
    guard let string = String(validating: bytes, as: UTF8.self) else { return nil }
    self.string = string
  }

  /// The text's bytes in UTF-8.
  package var utf8: String.UTF8View { string.utf8 }

  package static func == (one: Self, other: Self) -> Bool {
    one.withBytes { one in
      other.withBytes { other in one.count == other.count && one.elementsEqual(other) }
    }
  }

  /// Orders texts by their bytes, which is the same as by their scalars.
  package static func < (one: Self, other: Self) -> Bool {
    one.withBytes { one in other.withBytes { other in one.lexicographicallyPrecedes(other) } }
  }

  package func hash(into hasher: inout Hasher) {
    withBytes { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(0xff as UInt8)
  }

  /// Returns whether the text begins with these bytes.
  package func starts(with prefix: StaticString) -> Bool {
    withBytes { bytes in
      bytes.starts(
        with: UnsafeBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount))
    }
  }

  /// Returns whether the text begins with another.
  package func starts(with prefix: ForeignText) -> Bool {
    withBytes { bytes in prefix.withBytes { bytes.starts(with: $0) } }
  }

  /// Returns whether the text ends with another.
  package func ends(with end: ForeignText) -> Bool {
    utf8.count >= end.utf8.count && utf8.reversed().starts(with: end.utf8.reversed())
  }

  /// Returns the text without its first `count` bytes, which must end between two scalars.
  package func dropFirst(bytes count: Int) -> ForeignText {
    ForeignText(bytes: string.utf8.dropFirst(count))
  }

  /// Returns the longest beginning of at most `count` bytes that ends between two scalars.
  package func cut(toBytes count: Int) -> ForeignText {
    guard utf8.count > count else { return self }
    return ForeignText(
      bytes: withBytes { bytes in
        var end = max(count, 0)
        // A byte 10xxxxxx continues a scalar.
        while end > 0, bytes[end] & 0xc0 == 0x80 { end -= 1 }
        return Array(bytes[..<end])
      })
  }

  /// Splits the text at each byte of this value, keeping empty pieces. Returns at most `limit` of them, the
  /// last with all that remains.
  package func split(separator: UInt8, limit: Int = .max) -> [ForeignText] {
    withBytes { bytes in
      bytes.split(
        separator: separator, maxSplits: max(limit, 1) - 1, omittingEmptySubsequences: false
      ).map { ForeignText(bytes: $0) }
    }
  }

  /// The text without white space at both ends.
  package var trimmed: ForeignText {
    var scalars = string.unicodeScalars[...]
    while scalars.first?.properties.isWhitespace == true { scalars.removeFirst() }
    while scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
    return scalars.endIndex == string.endIndex && scalars.startIndex == string.startIndex
      ? self : ForeignText(String(scalars))
  }

  /// The text with its ASCII letters in lower case; others are unchanged.
  package var asciiLowercased: ForeignText {
    ForeignText(
      bytes: withBytes { $0.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 } })
  }

  /// True if the text has nothing but white space.
  package var isBlank: Bool { string.unicodeScalars.allSatisfy(\.properties.isWhitespace) }

  private func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    // The bytes are contiguous since `init`, so the fallback is never used.
    string.utf8.withContiguousStorageIfAvailable(body)
      ?? Array(string.utf8).withUnsafeBufferPointer(body)
  }
}
