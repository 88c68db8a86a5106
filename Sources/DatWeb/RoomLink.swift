public import HypercoreCrypto

/// The ways a room's key is written down.
public enum RoomLink {
  /// `dat://` and the 64 hex digits of the key.
  public static func link(to key: PublicKey) -> String { "dat://\(key.hex)" }

  /// The key in what somebody pasted: the digits alone, a `dat://` link, or an address with
  /// `?key=` or `#key=` as Olaf shares it; nil for anything else.
  public static func key(in text: String) -> PublicKey? {
    var rest = Substring(text.filter { !$0.isWhitespace }.lowercased())
    if rest.hasPrefix("dat://") {
      rest = rest.dropFirst(6).prefix { $0 != "/" && $0 != "?" && $0 != "#" && $0 != "+" }
    } else if let range = rest.firstRange(of: "key=") {
      rest = rest[range.upperBound...].prefix { $0 != "&" && $0 != "#" }
    }
    return PublicKey(hex: rest)
  }
}
