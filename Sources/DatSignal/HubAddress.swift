/// The address of a hub: `wss://HOST`, `ws://HOST:PORT` for WebSocket hubs, `https://…`, `http://…` for the older
/// kind, perhaps with a path below which it answers.
public struct HubAddress: Hashable, Sendable, CustomStringConvertible {
  /// True if the hub speaks WebSockets.
  public let usesSockets: Bool
  /// True if the connection is encrypted.
  public let isSecure: Bool
  /// The host's name or numeric address, without brackets.
  public let host: String
  /// The TCP port.
  public let port: Int
  /// The part before the hub's own paths: empty, or a path with a leading slash and none at its end.
  public let path: String

  /// Reads a URL.
  ///
  /// - Throws: ``SignalError`` with code `address` for anything else.
  public init(parsing text: String) throws(SignalError) {
    let bytes = Array(text.utf8)
    func fail() -> SignalError {
      SignalError(
        .address,
        "\"\(String(decoding: bytes.prefix(80), as: UTF8.self))\" names no signal hub: write wss://HOST, ws://HOST:PORT, https://HOST or http://HOST:PORT."
      )
    }
    let kinds: [(StaticString, Bool, Bool)] = [
      ("wss://", true, true), ("ws://", true, false), ("https://", false, true),
      ("http://", false, false),
    ]
    guard bytes.count <= 1024, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
      let (start, sockets, secure) = kinds.first(where: { kind in
        kind.0.withUTF8Buffer { start in
          bytes.lazy.map { $0 | 0x20 }.starts(with: start.lazy.map { $0 | 0x20 })
        }
      })
    else { throw fail() }
    let rest = bytes.dropFirst(start.utf8CodeUnitCount)
    let authority = rest.prefix {
      $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#")
    }
    var path = rest.dropFirst(authority.count).prefix {
      $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#")
    }
    while path.last == UInt8(ascii: "/") { path = path.dropLast() }
    guard let (host, port) = Self.split(authority, secure: secure) else { throw fail() }
    usesSockets = sockets
    isSecure = secure
    self.host = host
    self.port = port
    self.path = String(decoding: path, as: UTF8.self)
  }

  private static func split(_ authority: ArraySlice<UInt8>, secure: Bool) -> (String, Int)? {
    guard !authority.contains(UInt8(ascii: "@")) else { return nil }
    var host = authority
    var port = secure ? 443 : 80
    if authority.first == UInt8(ascii: "[") {
      guard let end = authority.firstIndex(of: UInt8(ascii: "]")) else { return nil }
      host = authority[(authority.startIndex + 1)..<end]
      let after = authority[(end + 1)...]
      if !after.isEmpty {
        guard after.first == UInt8(ascii: ":"), let number = number(after.dropFirst()) else {
          return nil
        }
        port = number
      }
    } else if let colon = authority.firstIndex(of: UInt8(ascii: ":")) {
      host = authority[..<colon]
      guard let number = number(authority[(colon + 1)...]) else { return nil }
      port = number
    }
    return host.isEmpty ? nil : (String(decoding: host, as: UTF8.self), port)
  }

  private static func number(_ text: ArraySlice<UInt8>) -> Int? {
    guard (1...5).contains(text.count), text.allSatisfy({ (0x30...0x39).contains($0) }),
      let port = Int(String(decoding: text, as: UTF8.self)), (1...65535).contains(port)
    else { return nil }
    return port
  }

  public var description: String {
    let kind = usesSockets ? (isSecure ? "wss" : "ws") : (isSecure ? "https" : "http")
    let isDefault = port == (isSecure ? 443 : 80)
    let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    return "\(kind)://\(name)\(isDefault ? "" : ":\(port)")\(path)"
  }
}
