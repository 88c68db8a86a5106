internal import NIOCore
internal import NIOPosix

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// UDP sockets for packets of a known size, IPv4.
enum UDP {
  /// - Parameter isShared: whether other programs may have the port as well.
  static func open(
    host: String, port: Int, isShared: Bool = false,
    _ arrived: @escaping @Sendable ([UInt8], PeerAddress) -> Void
  ) async throws -> any Channel {
    try await DatagramBootstrap(group: TCPOptions.group)
      .channelOption(.socketOption(.so_reuseaddr), value: isShared ? 1 : 0)
      .channelOption(.socketOption(.init(rawValue: SO_REUSEPORT)), value: isShared ? 1 : 0)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(PacketHandler(arrived))
        }
      }
      .bind(host: host, port: port).get()
  }

  /// Sends. What can't be sent is lost, as packets are.
  static func send(_ bytes: [UInt8], to address: PeerAddress, by channel: any Channel) {
    guard let remote = try? SocketAddress(ipAddress: address.host, port: address.port) else {
      return
    }
    channel.writeAndFlush(
      AddressedEnvelope(remoteAddress: remote, data: ByteBuffer(bytes: bytes)), promise: nil)
  }

  /// The IPv4 address of a host name; nil where there is none. Waits for the system's answer.
  static func resolve(_ host: String) async -> String? {
    if IPv4(host) != nil { return host }
    return try? await NIOSingletons.posixBlockingThreadPool.runIfActive { look(up: host) }
  }

  private static func look(up host: String) -> String? {
    var hints = addrinfo()
    hints.ai_family = AF_INET
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, nil, &hints, &list) == 0, let list else { return nil }
    defer { freeaddrinfo(list) }
    guard let address = list.pointee.ai_addr, list.pointee.ai_family == AF_INET else { return nil }
    // Of a sockaddr_in, behind family and port.
    let number = UnsafeRawPointer(address).loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    return IPv4(number: UInt32(bigEndian: number)).description
  }
}

/// Hands on what a UDP socket receives.
private final class PacketHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  private let arrived: ([UInt8], PeerAddress) -> Void

  init(_ arrived: @escaping ([UInt8], PeerAddress) -> Void) { self.arrived = arrived }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    guard let sender = PeerAddress(envelope.remoteAddress) else { return }
    arrived(Array(envelope.data.readableBytesView), sender)
  }

  /// A packet that did not arrive somewhere is no reason to stop.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
