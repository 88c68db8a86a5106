public import HypercoreCrypto

/// The target of a link: an archive, or something in it.
///
/// Links of 2018 were written in several ways: the key alone, `dat://KEY`, `dat://KEY/path`,
/// `dat://KEY+VERSION/path`, `https://host/KEY`.
public struct ArchiveLink: Hashable, Sendable {
  /// The archive's key.
  public let key: PublicKey
  /// The version in the link.
  public let version: UInt64?
  /// The file or folder in the link; the root if there is none.
  public let path: ArchivePath

  /// Makes a link to an archive, or to something in it.
  public init(key: PublicKey, version: UInt64? = nil, path: ArchivePath = .root) {
    self.key = key
    self.version = version
    self.path = path
  }

  /// Reads a link; nil if the text has no run of exactly 64 hex digits.
  ///
  /// Stands for `dat-encoding` and `dat-link-resolve`, which drop version and path.
  public init?(_ text: String) {
    let bytes = Array(text.utf8.prefix(16_384))
    guard let range = Self.keyRange(in: bytes),
      let key = PublicKey(hex: String(decoding: bytes[range], as: UTF8.self).lowercased())
    else { return nil }
    self.key = key
    var rest = bytes[range.upperBound...]
    var version: UInt64?
    if rest.first == UInt8(ascii: "+") {
      let digits = rest.dropFirst().prefix { $0 >= 0x30 && $0 <= 0x39 }
      version = UInt64(String(decoding: digits, as: UTF8.self))
      rest = rest.dropFirst(1 + digits.count)
    }
    self.version = version
    let path = rest.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
    self.path = path.first == UInt8(ascii: "/") ? ArchivePath(text: Self.decoded(path)) : .root
  }

  /// Returns the first run of at least 64 hex digits, if it has exactly 64.
  private static func keyRange(in bytes: [UInt8]) -> Range<Int>? {
    var start = 0
    for index in 0...bytes.count {
      if index < bytes.count, isHex(bytes[index]) { continue }
      if index - start >= 64 { return index - start == 64 ? start..<index : nil }
      start = index + 1
    }
    return nil
  }

  private static func isHex(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
    default: false
    }
  }

  private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), rest.count >= 2, rest.prefix(2).allSatisfy(isHex),
        let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }
}
