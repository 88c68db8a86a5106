public import HypercoreCrypto

/// The archive that a name in place of a link's key stands for, as its host says in the file
/// `/.well-known/dat`, or its owner in a DNS record.
///
/// Source: the name rules of Beaker, dat-dns 3.
public struct ArchiveNameAnswer: Hashable, Sendable {
  /// The archive's key.
  public let key: PublicKey
  /// For how many seconds it may be kept; 0 for not at all.
  public let lifetime: UInt64

  /// The lifetime of an answer that says nothing of it: an hour.
  public static let defaultLifetime: UInt64 = 3600
  /// The longest lifetime: a week.
  public static let longestLifetime: UInt64 = 604_800
  /// Bytes of such a file that are read.
  public static let fileBytes = 4096

  init(key: PublicKey, lifetime: UInt64?) {
    self.key = key
    self.lifetime = min(lifetime ?? Self.defaultLifetime, Self.longestLifetime)
  }

  /// Reads the file: `dat://KEY` in the first line, with a slash after it or none, and `ttl=SECONDS` in the
  /// second, which can be missing.
  public init?(file: [UInt8]) {
    let lines = file.prefix(Self.fileBytes).split(
      separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false)
    guard let first = lines.first.map(Self.trimmed), Self.hasPrefix(first, "dat://") else {
      return nil
    }
    var name = first.dropFirst(6)
    if name.last == UInt8(ascii: "/") { name = name.dropLast() }
    guard let key = Self.key(name) else { return nil }
    var lifetime: UInt64?
    if lines.count > 1 {
      let second = Self.trimmed(lines[1])
      if Self.hasPrefix(second, "ttl=") { lifetime = Self.number(second.dropFirst(4)) }
    }
    self.init(key: key, lifetime: lifetime)
  }

  /// Reads the TXT records of a name, the first that has `datkey=` and a key in it.
  ///
  /// - Parameter records: each record's text, and for how many seconds it may be kept.
  public init?(records: [(text: [UInt8], lifetime: UInt32)]) {
    for record in records {
      let text = record.text[...]
      var rest = text
      while rest.count >= 71 {
        if Self.hasPrefix(rest, "datkey="), let key = Self.key(rest.dropFirst(7).prefix(64)) {
          self.init(key: key, lifetime: UInt64(record.lifetime))
          return
        }
        rest = rest.dropFirst()
      }
    }
    return nil
  }

  private static func key(_ hex: ArraySlice<UInt8>) -> PublicKey? {
    guard hex.count == 64 else { return nil }
    return PublicKey(hex: String(decoding: hex.map(lowercased), as: UTF8.self))
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
  }

  private static func hasPrefix(_ text: ArraySlice<UInt8>, _ prefix: String) -> Bool {
    text.prefix(prefix.utf8.count).lazy.map(lowercased).elementsEqual(prefix.utf8)
  }

  private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let spaces: [UInt8] = [0x09, 0x0d, 0x20]
    var line = line.drop { spaces.contains($0) }
    while let last = line.last, spaces.contains(last) { line = line.dropLast() }
    return line
  }

  /// Digits alone; more than fit a number are the largest one.
  private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
    guard !digits.isEmpty, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
    return UInt64(String(decoding: digits, as: UTF8.self)) ?? .max
  }
}

/// A link with a host's name in place of the key, such as `dat://example.com/page.html`.
public struct NamedLink: Hashable, Sendable {
  /// The host, in lower case, with a port if there is one.
  public let host: String
  /// The rest of the link as it is written: version, path, query.
  public let rest: String

  /// Reads a link; nil for one with a key, of another scheme, or without a host's name.
  public init?(_ text: String) {
    let bytes = Array(text.utf8.prefix(16_384))
    guard ArchiveLink(text) == nil, bytes.prefix(6).map(Self.lowercased) == Array("dat://".utf8)
    else { return nil }
    let name = bytes.dropFirst(6).prefix(while: Self.isNamed)
    let rest = bytes.dropFirst(6 + name.count)
    guard !name.isEmpty, name.count <= 253, name.first != UInt8(ascii: "."),
      rest.isEmpty
        || [UInt8(ascii: "/"), UInt8(ascii: "+"), UInt8(ascii: "?")].contains(rest.first)
    else { return nil }
    host = String(decoding: name.map(Self.lowercased), as: UTF8.self)
    self.rest = String(decoding: rest, as: UTF8.self)
  }

  /// Returns the link with the key in place of the name.
  public func link(with key: PublicKey) -> String { "dat://\(key.hex)\(rest)" }

  private static func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
  }

  private static func isNamed(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    default:
      [UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":")].contains(byte)
    }
  }
}
