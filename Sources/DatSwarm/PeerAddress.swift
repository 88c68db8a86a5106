internal import NIOCore

/// The address at which a peer listens: a host name or numeric address, and a port.
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  /// A name to look up, or an IPv4 or IPv6 address without brackets.
  public var host: String
  /// The TCP port, 1 to 65535.
  public var port: Int

  /// Makes an address of these parts, unchecked.
  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port`, with an IPv6 address in brackets: `[::1]:3282`.
  ///
  /// - Throws: code `address` for anything else.
  public init(parsing text: String) throws(SwarmError) {
    guard let colon = text.lastIndex(of: ":"),
      let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port)
    else { throw Self.malformed(text) }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw Self.malformed(text)
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace }) else {
      throw Self.malformed(text)
    }
    self.init(host: String(host), port: port)
  }

  /// Makes the address of a socket; nil for a socket without host and port.
  init?(_ address: SocketAddress?) {
    guard let address, let host = address.ipAddress, let port = address.port else { return nil }
    // On a socket that listens for both kinds, IPv4 peers appear in this form.
    let mapped = "::ffff:"
    self.init(
      host: host.hasPrefix(mapped) && host.contains(".")
        ? String(host.dropFirst(mapped.count)) : host, port: port)
  }

  private static func malformed(_ text: String) -> SwarmError {
    SwarmError(
      .address,
      "\"\(text)\" is not an address: write host:port, such as 192.0.2.7:3282 or [2001:db8::7]:3282."
    )
  }

  /// True if it is this machine's own address, written as a number.
  var isLoopback: Bool { IPAddress(host)?.isLoopback == true }

  /// True if the host is an IPv4 or IPv6 address rather than a name.
  public var isNumeric: Bool { IPAddress(host) != nil }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
