/// Text from outside: of a peer, a file, a browser, an argument.
///
/// Swift compares, hashes, searches and cuts `String` by normalised characters, which takes quadratic
/// time for a letter with very many combining marks: 64 KiB of them cost seconds. This text is compared,
/// hashed and sorted by its bytes, so every operation here is linear whatever is in it. Two spellings of
/// one character are two texts.
package struct ForeignText: Hashable, Comparable, Sendable {
  /// The text, to be handed on and printed; everything else is for this type to do.
  package let string: String

  /// Takes text as it is.
  package init(_ string: String) {
    var string = string
    // Bridged text has no contiguous bytes, which all that follows reads.
    string.makeContiguousUTF8()
    self.string = string
  }

  /// Takes bytes as UTF-8, with U+FFFD for what is none.
  package init(bytes: some Collection<UInt8>) {
    string = String(decoding: bytes, as: UTF8.self)
  }

  /// Takes bytes as UTF-8; nil if they are none.
  package init?(validating bytes: some Sequence<UInt8>) {
    guard let string = String(validating: bytes, as: UTF8.self) else { return nil }
    self.string = string
  }

  /// The bytes in UTF-8.
  package var utf8: String.UTF8View { string.utf8 }

  package static func == (one: Self, other: Self) -> Bool {
    one.withBytes { one in
      other.withBytes { other in one.count == other.count && one.elementsEqual(other) }
    }
  }

  /// Orders texts by their bytes, which is the order of their scalars.
  package static func < (one: Self, other: Self) -> Bool {
    one.withBytes { one in other.withBytes { other in one.lexicographicallyPrecedes(other) } }
  }

  package func hash(into hasher: inout Hasher) {
    withBytes { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(0xff as UInt8)
  }

  /// Whether the text begins with these bytes.
  package func starts(with prefix: StaticString) -> Bool {
    withBytes { bytes in
      bytes.starts(
        with: UnsafeBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount))
    }
  }

  /// Whether the text begins with another.
  package func starts(with prefix: ForeignText) -> Bool {
    withBytes { bytes in prefix.withBytes { bytes.starts(with: $0) } }
  }

  /// Whether the text ends with another.
  package func ends(with end: ForeignText) -> Bool {
    utf8.count >= end.utf8.count && utf8.reversed().starts(with: end.utf8.reversed())
  }

  /// The text without its first `count` bytes, which end a scalar.
  package func dropFirst(bytes count: Int) -> ForeignText {
    ForeignText(bytes: string.utf8.dropFirst(count))
  }

  /// The longest beginning of at most `count` bytes that ends between two scalars.
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

  /// The pieces between bytes of one kind, empty ones included; at most `limit` of them, the last
  /// with all that remains.
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

  /// The text with its ASCII letters in lower case; others stay.
  package var asciiLowercased: ForeignText {
    ForeignText(
      bytes: withBytes { $0.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 } })
  }

  /// Whether nothing but white space is in the text.
  package var isBlank: Bool { string.unicodeScalars.allSatisfy(\.properties.isWhitespace) }

  private func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    // Contiguous by `init`, so the second way is never taken.
    string.utf8.withContiguousStorageIfAvailable(body)
      ?? Array(string.utf8).withUnsafeBufferPointer(body)
  }
}
