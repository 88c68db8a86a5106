public import HypercoreCrypto

/// What a peer says about its user when it connects. Nothing in it is proven, unless ``isProven`` says so of
/// the key.
///
/// On the wire UTF-8 JSON in the handshake: `key` as JavaScript prints a buffer, then `username` and
/// `timestamp`. Source: the workshop's Saga, `replicate()`.
public struct UserData: Hashable, Sendable {
  /// The key of the feed that the user claims to write.
  public var key: PublicKey
  /// A label; anybody may take any name.
  public var username: String
  /// Since when the user is there, in milliseconds since 1970 by the user's clock.
  public var timestamp: Int64
  /// Whether the peer has shown that it holds the key, and so that this is what the key's owner says. Noted
  /// here, not sent.
  public internal(set) var isProven = false
  /// The numeric address of the connection on which it was said, where the transport named it. Noted here,
  /// not sent.
  public internal(set) var address: String?

  /// User data of these parts, unproven.
  public init(key: PublicKey, username: String, timestamp: Int64) {
    self.key = key
    self.username = username
    self.timestamp = timestamp
  }

  /// Longer user data is refused, and longer names are cut to this many bytes.
  static let nameLimit = 1024

  /// Reads what a peer sent; nil where it is no JSON object, or its key isn't 32 bytes.
  ///
  /// The key may be in JavaScript's form, `{"type":"Buffer","data":[…]}`, or a bare list of numbers.
  public init?(bytes: [UInt8]) {
    guard bytes.count <= 64 << 10, let fields = FlatJSON.object(bytes) else { return nil }
    var numbers: [Double]?
    switch fields["key"] {
    case .numbers(let list): numbers = list
    case .object(let buffer): if case .numbers(let list) = buffer["data"] { numbers = list }
    default: break
    }
    guard let numbers else { return nil }
    var key: [UInt8] = []
    for number in numbers {
      guard let byte = UInt8(exactly: number) else { return nil }
      key.append(byte)
    }
    guard let key = PublicKey(bytes: key) else { return nil }
    var username = ""
    if case .string(let name) = fields["username"] { username = name }
    if username.utf8.count > Self.nameLimit {
      username = String(decoding: username.utf8.prefix(Self.nameLimit), as: UTF8.self)
    }
    var timestamp: Int64 = 0
    if case .number(let number) = fields["timestamp"] {
      timestamp = Int64(exactly: number.rounded()) ?? 0
    }
    self.init(key: key, username: username, timestamp: timestamp)
  }

  /// The bytes that a peer gets, as the workshop's class writes them.
  public var bytes: [UInt8] {
    var output = Array("{\"key\":{\"type\":\"Buffer\",\"data\":[".utf8)
    output.append(contentsOf: key.bytes.map(String.init).joined(separator: ",").utf8)
    output.append(contentsOf: "]},\"username\":".utf8)
    FlatJSON.write(username, to: &output)
    output.append(contentsOf: ",\"timestamp\":\(timestamp)}".utf8)
    return output
  }
}
