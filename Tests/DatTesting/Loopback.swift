internal import Foundation

/// The loopback addresses of this machine.
public enum Loopback {
  /// True if the system has `::1`. Containers often have IPv4 alone.
  public static let hasIPv6: Bool = {
    #if os(Linux)
      let kind = Int32(SOCK_STREAM.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    let socket = Foundation.socket(AF_INET6, kind, 0)
    guard socket >= 0 else { return false }
    defer { close(socket) }
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_addr = in6addr_loopback
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
      }
    }
  }()

  /// The numeric ones, the one of IPv4 first.
  public static let addresses = ["127.0.0.1"] + (hasIPv6 ? ["::1"] : [])
}
