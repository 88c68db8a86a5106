internal import NIOCore

/// Where a peer listens: a host name or numeric address, and a port.
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  /// A name to look up, or an IPv4 or IPv6 address without brackets.
  public var host: String
  /// The TCP port, 1 to 65535.
  public var port: Int

  /// An address of these parts, unchecked.
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

  /// Of a socket; nil for one without host and port.
  init?(_ address: SocketAddress?) {
    guard let address, let host = address.ipAddress, let port = address.port else { return nil }
    // IPv4 peers of a socket that listens for both kinds show up like this.
    let mapped = "::ffff:"
    self.init(
      host: host.hasPrefix(mapped) && host.contains(".")
        ? String(host.dropFirst(mapped.count)) : host, port: port)
  }

  private static func malformed(_ text: String) -> SwarmError {
    SwarmError(
      .address,
      "\"\(text)\" is no address: write host:port, such as 192.0.2.7:3282 or [2001:db8::7]:3282.")
  }

  /// Whether it is this machine's own address, written as a number.
  var isLoopback: Bool { IPAddress(host)?.isLoopback == true }

  /// Whether the host is an IPv4 or IPv6 address, and no name.
  public var isNumeric: Bool { IPAddress(host) != nil }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
