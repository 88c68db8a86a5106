/// The addresses and servers by which this side is reached through WebRTC.
public struct WebRTCOptions: Sendable {
  /// A server that relays for holders of an account.
  public struct TURNServer: Hashable, Sendable {
    /// The numeric address.
    public var host: String
    /// The UDP port.
    public var port: Int
    /// The name of the account.
    public var username: String
    /// Its password.
    public var password: String

    /// Makes a server of these parts, unchecked.
    public init(host: String, port: Int, username: String, password: String) {
      self.host = host
      self.port = port
      self.username = username
      self.password = password
    }
  }

  /// A server that reports the address that it sees.
  public struct STUNServer: Hashable, Sendable {
    /// The numeric address.
    public var host: String
    /// The UDP port.
    public var port: Int

    /// Makes a server of these parts, unchecked.
    public init(host: String, port: Int) {
      self.host = host
      self.port = port
    }
  }

  /// The numeric addresses to bind and to offer; empty for those of all interfaces but loopback.
  public var hosts: [String] = []
  /// True if this machine's own addresses are offered. Otherwise only those that STUN and TURN servers see
  /// are. Whoever knows the room's discovery key and the hub learns the offered addresses.
  public var offersHostAddresses = true
  /// The servers that report the address they see, four at most.
  public var stunServers: [STUNServer] = []
  /// The servers that relay, four at most.
  public var turnServers: [TURNServer] = []
  /// True if loopback addresses that the other side names are tried.
  public var dialsLoopback = false

  /// The defaults.
  public init() {}
}

#if WebRTC
  internal import CDataChannel
  internal import Foundation

  extension WebRTCOptions {
    /// Calls `body` with the options as the C target wants them. Malformed addresses are left out: code that
    /// takes options from a user has checked them.
    func withC(_ body: (cdc_options) -> Void) {
      func address(_ host: String, _ port: Int) -> cdc_address? {
        UInt16(exactly: port).flatMap { TransportAddress(host: Array(host.utf8), port: $0)?.c }
      }
      let texts = turnServers.flatMap { [strdup($0.username), strdup($0.password)] }
      defer { for text in texts { free(text) } }
      let binds = hosts.compactMap { address($0, 0) }
      let stun = stunServers.compactMap { address($0.host, $0.port) }.map {
        cdc_server(address: $0, username: nil, password: nil)
      }
      var turn: [cdc_server] = []
      for (index, server) in turnServers.enumerated() {
        guard let address = address(server.host, server.port) else { continue }
        turn.append(
          cdc_server(
            address: address, username: texts[2 * index], password: texts[2 * index + 1]))
      }
      binds.withUnsafeBufferPointer { binds in
        stun.withUnsafeBufferPointer { stun in
          turn.withUnsafeBufferPointer { turn in
            body(
              cdc_options(
                binds: binds.baseAddress, bind_count: binds.count,
                offers_hosts: offersHostAddresses,
                stun_servers: stun.baseAddress, stun_count: stun.count,
                turn_servers: turn.baseAddress, turn_count: turn.count))
          }
        }
      }
    }
  }
#endif
