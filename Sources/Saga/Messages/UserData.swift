internal import DatCoding
public import HypercoreCrypto

/// The data that a peer sends about its user when it connects. Nothing in it is proven, except the key if
/// ``isProven`` is true.
///
/// On the wire it is UTF-8 JSON in the handshake: `key` as JavaScript prints a buffer, then `username` and
/// `timestamp`. Source: the workshop's Saga, `replicate()`.
public struct UserData: Hashable, Sendable {
  /// The key of the feed that the user claims to write.
  public var key: PublicKey
  /// A label; anybody may use any name.
  public var username: String {
    get { foreignName.string }
    set { foreignName = ForeignText(newValue) }
  }
  // Kept as foreign text, so that comparing and hashing go by bytes.
  var foreignName: ForeignText
  /// The time since which the user is there, in milliseconds since 1970 by the user's clock.
  public var timestamp: Int64
  /// True if the peer has proven on this connection that it holds the key, so this is what the key's owner
  /// says. Noted here, not sent.
  public internal(set) var isProven = false
  /// The numeric address of the other end of the connection, if the transport gave it. Noted here,
  /// not sent.
  public internal(set) var address: String?

  /// Makes unproven user data of these parts.
  public init(key: PublicKey, username: String, timestamp: Int64) {
    self.key = key
    foreignName = ForeignText(username)
    self.timestamp = timestamp
  }

  /// The longest name in bytes; longer ones are cut. Longer user data as a whole is refused.
  static let nameLimit = 1024
  /// The bounds within which a peer's user data is read.
  private static let bounds = JSONReader.Bounds(bytes: 64 << 10, depth: 32)

  /// Reads the data that a peer sent; nil if it is not a JSON object, or its key isn't 32 bytes.
  ///
  /// The key may be in JavaScript's form, `{"type":"Buffer","data":[…]}`, or a bare list of numbers.
  public init?(bytes: [UInt8]) {
    var key: PublicKey?
    var name = ""
    var time: Int64 = 0
    do throws(JSONError) {
      try JSONReader.read(bytes, within: Self.bounds) { reader throws(JSONError) in
        try reader.readObject { field, reader throws(JSONError) in
          switch field {
          case "key": key = try Self.readKey(&reader)
          case "username": name = try reader.readStringIfPresent() ?? ""
          case "timestamp":
            time = try reader.readNumberIfPresent().flatMap { Int64(exactly: $0.rounded()) } ?? 0
          default: break
          }
        }
      }
    } catch {
      return nil
    }
    guard let key else { return nil }
    self.init(
      key: key, username: ForeignText(name).cut(toBytes: Self.nameLimit).string, timestamp: time)
  }

  private static func readKey(_ reader: inout JSONReader) throws(JSONError) -> PublicKey? {
    guard reader.kind == .object else { return try readNumbers(&reader) }
    var key: PublicKey?
    try reader.readObject { name, reader throws(JSONError) in
      if name == "data" { key = try readNumbers(&reader) }
    }
    return key
  }

  private static func readNumbers(_ reader: inout JSONReader) throws(JSONError) -> PublicKey? {
    guard reader.kind == .array else { return nil }
    var bytes: [UInt8] = []
    var areBytes = true
    try reader.readArray { reader throws(JSONError) in
      // A key has 32 bytes. A longer list is refused, and no more of it is collected.
      if bytes.count <= 32,
        let byte = try reader.readNumberIfPresent().flatMap(UInt8.init(exactly:))
      {
        bytes.append(byte)
      } else {
        areBytes = false
      }
    }
    return areBytes ? PublicKey(bytes: bytes) : nil
  }

  /// The bytes to send to a peer, as the workshop's class writes them.
  public var bytes: [UInt8] {
    var output = Array("{\"key\":{\"type\":\"Buffer\",\"data\":[".utf8)
    output.append(contentsOf: key.bytes.map(String.init).joined(separator: ",").utf8)
    output.append(contentsOf: "]},\"username\":".utf8)
    JSONWriter.append(username, to: &output)
    output.append(contentsOf: ",\"timestamp\":\(timestamp)}".utf8)
    return output
  }
}
