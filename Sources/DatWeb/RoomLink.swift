internal import DatCoding
public import HypercoreCrypto

/// The notations of a room's key.
public enum RoomLink {
  /// Returns `dat://` and the 64 hex digits of the key.
  public static func link(to key: PublicKey) -> String { "dat://\(key.hex)" }

  /// Returns the address of a room on the workshop's page, which takes the key from its query.
  ///
  /// - Parameters:
  ///   - url: the address of the page.
  ///   - key: the key of the room.
  public static func page(at url: String, of key: PublicKey) -> String {
    let bytes = url.utf8.prefix { $0 != UInt8(ascii: "#") }
    let mark = bytes.contains(UInt8(ascii: "?")) ? "&" : "?"
    return "\(String(decoding: bytes, as: UTF8.self))\(mark)key=\(key.hex)"
  }

  /// Returns the key in pasted text: the digits alone, a `dat://` link, or an address with `?key=` or `#key=`
  /// as Olaf shares it; nil for anything else.
  public static func key(in text: String) -> PublicKey? {
    // Text with a key in it is short.
    guard text.utf8.count <= 4_096 else { return nil }
    let shown = text.unicodeScalars.filter { !$0.properties.isWhitespace }
    var rest = ForeignText(String(shown)).asciiLowercased
    if rest.starts(with: "dat://") {
      rest = ForeignText(bytes: rest.utf8.dropFirst(6).prefix { !"/?#+".utf8.contains($0) })
    } else if let range = rest.string.utf8.firstRange(of: "key=".utf8) {
      rest = ForeignText(bytes: rest.utf8[range.upperBound...].prefix { !"&#".utf8.contains($0) })
    }
    return PublicKey(hex: rest.string)
  }
}
