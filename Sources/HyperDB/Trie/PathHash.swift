internal import HypercoreCrypto

/// The hash that turns a component of a key into 32 digits of two bits. Tests pass in their own, to make
/// keys collide.
package struct PathHash: Sendable {
  private let custom: (@Sendable (UnsafeRawBufferPointer) -> UInt64)?

  /// SipHash-2-4 with a key of zeros, as in the reference.
  package static let standard = PathHash(custom: nil)

  private init(custom: (@Sendable (UnsafeRawBufferPointer) -> UInt64)?) { self.custom = custom }

  /// A hash for tests: the digits are taken from the lowest bits up.
  package init(_ hash: @escaping @Sendable (UnsafeRawBufferPointer) -> UInt64) { custom = hash }

  func component(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    if let custom { return custom(bytes) }
    return ShortHash.hash(bytes)
  }

  /// Returns the path of a key: 32 digits for each component between slashes, without an empty first and an
  /// empty last component.
  ///
  /// - Parameter terminated: true if the path ends in the terminator, as that of a key does and
  ///   that of a prefix does not.
  ///
  /// Source: hyperdb `lib/hash.js`. Fixture: `vectors/path-hash.json`.
  package func path(of key: [UInt8], terminated: Bool) -> HashPath {
    key.withUnsafeBytes { path(of: $0, terminated: terminated) }
  }

  /// Returns the path of a key in memory.
  func path(of bytes: UnsafeRawBufferPointer, terminated: Bool) -> HashPath {
    var words = PathWords()
    var start = 0
    var end = bytes.count
    let slash = UInt8(ascii: "/")
    if end > 0, bytes[0] == slash { start = 1 }
    if start == end { return HashPath(words: words, digits: 0, isTerminated: terminated) }
    if bytes[end - 1] == slash { end -= 1 }
    var segmentStart = start
    for index in start...end where index == end || bytes[index] == slash {
      words.append(component(UnsafeRawBufferPointer(rebasing: bytes[segmentStart..<index])))
      segmentStart = index + 1
    }
    return HashPath(words: words, digits: words.count * 32, isTerminated: terminated)
  }
}

/// The rules for keys.
package enum EntryKey {
  /// Returns a key without one leading slash. Source: hyperdb `lib/normalize.js`.
  package static func normalize(_ key: [UInt8]) -> [UInt8] {
    key.first == UInt8(ascii: "/") ? Array(key.dropFirst()) : key
  }

  /// Returns whether `key` starts with `prefix`, byte for byte.
  static func hasPrefix(_ key: UnsafeBufferPointer<UInt8>, _ prefix: [UInt8]) -> Bool {
    guard key.count >= prefix.count else { return false }
    for index in prefix.indices where key[index] != prefix[index] { return false }
    return true
  }

  /// Returns whether a key is `prefix` or in the folder of that name, with or without a slash at its end.
  static func isUnder(_ prefix: [UInt8], _ key: UnsafeBufferPointer<UInt8>) -> Bool {
    guard hasPrefix(key, prefix) else { return false }
    let slash = UInt8(ascii: "/")
    return prefix.isEmpty || prefix.last == slash || key.count == prefix.count
      || key[prefix.count] == slash
  }

  /// Returns whether a key has no components. Such a key would stand with the entries that authorize, and no
  /// list would show it.
  static func isEmpty(_ key: [UInt8]) -> Bool { key.isEmpty || key == [UInt8(ascii: "/")] }

  /// Returns a stored key as it is given out. Since calls drop one leading slash, a key that has one gets
  /// one more.
  static func shown(_ key: [UInt8]) -> [UInt8] {
    key.first == UInt8(ascii: "/") ? [UInt8(ascii: "/")] + key : key
  }

  /// Returns whether `left` comes before `right` in the order of JavaScript strings: by UTF-16 units, which
  /// puts U+10000 and above before U+E000 to U+FFFF.
  package static func precedes(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    for index in 0..<min(left.count, right.count) where left[index] != right[index] {
      let (a, b) = (left[index], right[index])
      if a >= 0xf0, b == 0xee || b == 0xef { return true }
      if b >= 0xf0, a == 0xee || a == 0xef { return false }
      return a < b
    }
    return left.count < right.count
  }

  /// Returns the number of components of a key that are hashed.
  static func segments(_ key: some Sequence<UInt8>) -> Int {
    var slashes = 0
    for byte in key where byte == UInt8(ascii: "/") { slashes += 1 }
    return slashes + 1
  }
}
