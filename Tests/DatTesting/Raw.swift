internal import DatCoding
public import HypercoreCrypto

/// Frames made by hand, for what no well-behaved end would send.
public enum Raw {
  /// A varint's shortest form.
  public static func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    Varint.write(value, to: &bytes)
    return bytes
  }

  public static func frame(_ channel: UInt64, _ type: UInt8, _ body: [UInt8]) -> [UInt8] {
    let payload = varint(channel << 4 | UInt64(type)) + body
    return varint(UInt64(payload.count)) + payload
  }

  public static func feed(
    _ channel: UInt64, _ name: DiscoveryKey, nonce: [UInt8]? = nil
  ) -> [UInt8] {
    frame(
      channel, 0,
      [0x0a, 0x20] + name.bytes + (nonce.map { [0x12, UInt8($0.count)] + $0 } ?? []))
  }

  public static func handshake(_ channel: UInt64 = 0, extensions: [String] = []) -> [UInt8] {
    var names: [UInt8] = []
    for name in extensions { names += [0x22, UInt8(name.utf8.count)] + Array(name.utf8) }
    return frame(channel, 1, [0x10, 0x01] + names)
  }

  /// A Have of one block.
  public static func have(_ channel: UInt64, _ start: UInt64) -> [UInt8] {
    frame(channel, 3, [0x08] + varint(start))
  }

  /// A field of bytes.
  public static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    [number << 3 | 2] + varint(UInt64(bytes.count)) + bytes
  }
}
