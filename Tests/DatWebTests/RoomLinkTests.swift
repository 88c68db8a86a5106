import DatWeb
import HypercoreCrypto
import Testing

/// The notations of a room's key.
struct RoomLinkTests {
  private let key = PublicKey(bytes: [UInt8](repeating: 0xa7, count: 32))!

  @Test func `a page's address takes the key into its query, whatever it has already`() {
    for (url, start) in [
      ("https://olaf.example", "https://olaf.example?"),
      ("https://olaf.example/chat#key=old", "https://olaf.example/chat?"),
      ("https://olaf.example/?lang=es#top", "https://olaf.example/?lang=es&"),
    ] {
      let link = RoomLink.page(at: url, of: key)
      #expect(link == "\(start)key=\(key.hex)")
      #expect(RoomLink.key(in: link) == key)
    }
  }

  @Test func `a key is found in what people paste`() {
    for text in [
      key.hex, key.hex.uppercased(), " \(key.hex)\n", "dat://\(key.hex)", "DAT://\(key.hex)/a?b#c",
      "dat://\(key.hex)+12", "https://olaf.example/#key=\(key.hex)",
      "https://olaf.example/?key=\(key.hex)&lang=es",
    ] {
      #expect(RoomLink.key(in: text) == key, "\(text)")
    }
    #expect(RoomLink.key(in: RoomLink.link(to: key)) == key)
    for text in [
      "", "dat://", String(key.hex.dropLast()), "https://olaf.example/?key=",
      String(repeating: " ", count: 4_100) + key.hex,
    ] {
      #expect(RoomLink.key(in: text) == nil, "\(text.prefix(80))")
    }
  }
}
