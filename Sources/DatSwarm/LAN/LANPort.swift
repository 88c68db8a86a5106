internal import NIOCore
internal import NIOPosix

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The multicast socket of one interface: it sends and receives there only.
struct LANPort: Sendable {
  struct Packet: Sendable {
    var bytes: [UInt8]
    var sender: PeerAddress
    var interface: String
  }

  private let channel: any Channel

  static let group = "224.0.0.251"

  /// Opens the port that all mDNS programs share.
  static func open(
    _ name: String, _ device: NIONetworkDevice, _ arrived: @escaping @Sendable (Packet) -> Void
  ) async throws -> LANPort {
    let channel = try await UDP.open(host: "0.0.0.0", port: LANCore.port, isShared: true) {
      arrived(Packet(bytes: $0, sender: $1, interface: name))
    }
    do {
      try await configure(channel, device)
    } catch {
      channel.close(promise: nil)
      throw error
    }
    return LANPort(channel: channel)
  }

  private static func configure(_ channel: any Channel, _ device: NIONetworkDevice) async throws {
    guard let options = channel as? any SocketOptionProvider,
      let address = device.address?.ipAddress.flatMap({ IPv4($0) })
    else { throw SwarmError(.failed, "\(device.name) can't be used for multicast.") }
    try await options.unsafeSetSocketOption(
      level: .init(rawValue: CInt(IPPROTO_IP)), name: .init(rawValue: IP_MULTICAST_IF),
      value: address.number.bigEndian
    ).get()
    try await options.setIPMulticastTTL(255).get()
    try await options.setIPMulticastLoop(1).get()
    #if os(Linux)
      // Otherwise every socket hears what arrives on any interface.
      try await options.unsafeSetSocketOption(
        level: .init(rawValue: CInt(IPPROTO_IP)), name: .init(rawValue: 49 /* IP_MULTICAST_ALL */),
        value: CInt(0)
      ).get()
    #endif
    // Not with `MulticastChannel`, which refuses loopback: the system lets it join, but does not list it so.
    var membership = ip_mreq()
    membership.imr_multiaddr.s_addr = IPv4(group)?.number.bigEndian ?? 0
    membership.imr_interface.s_addr = address.number.bigEndian
    try await options.unsafeSetSocketOption(
      level: .init(rawValue: CInt(IPPROTO_IP)), name: .init(rawValue: IP_ADD_MEMBERSHIP),
      value: membership
    ).get()
  }

  var isOpen: Bool { channel.isActive }

  /// Sends to the group. A packet that can't be sent is lost, as packets are.
  func send(_ bytes: [UInt8], to port: Int) {
    UDP.send(bytes, to: PeerAddress(host: Self.group, port: port), by: channel)
  }

  func close() { channel.close(promise: nil) }
}
