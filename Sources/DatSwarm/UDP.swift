internal import NIOCore
internal import NIOPosix

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// UDP sockets for packets of a known size.
enum UDP {
  /// - Parameter isShared: true if other programs may have the port as well.
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

  /// Sends a packet. One that can't be sent is lost, as packets are.
  static func send(_ bytes: [UInt8], to address: PeerAddress, by channel: any Channel) {
    // A socket for both kinds sends to IPv4 addresses in IPv6 notation.
    let isMixed = channel.localAddress?.protocol == .inet6 && IPv4(address.host) != nil
    let host = isMixed ? "::ffff:" + address.host : address.host
    guard let remote = try? SocketAddress(ipAddress: host, port: address.port) else { return }
    channel.writeAndFlush(
      AddressedEnvelope(remoteAddress: remote, data: ByteBuffer(bytes: bytes)), promise: nil)
  }

  /// Returns the address of a host name, IPv4 before IPv6: the peers that a server reports are reached by the
  /// same kind. Waits for the system's answer.
  ///
  /// - Throws: code `unknownHost` for a name without an address, or `address` for one without any that this
  ///   machine can use.
  static func resolve(_ host: String) async throws(SwarmError) -> IPAddress {
    if let address = IPAddress(host) { return address }
    let found: Result<IPAddress, SwarmError>
    do {
      found = try await NIOSingletons.posixBlockingThreadPool.runIfActive { look(up: host) }
    } catch {
      throw SwarmError(.closed, "The name \"\(host)\" was not looked up.", cause: error)
    }
    return try found.get()
  }

  private static func look(up host: String) -> Result<IPAddress, SwarmError> {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    var list: UnsafeMutablePointer<addrinfo>?
    let failure = getaddrinfo(host, nil, &hints, &list)
    guard failure == 0, let list else {
      // If a name server is unavailable for a moment, the name need not be wrong.
      let why =
        failure == EAI_AGAIN ? "the name server does not answer" : "there is no such name"
      return .failure(
        SwarmError(.unknownHost, "\"\(host)\" could not be looked up: \(why)."))
    }
    defer { freeaddrinfo(list) }
    var found: [IPAddress] = []
    var entry: UnsafeMutablePointer<addrinfo>? = list
    while let current = entry {
      // In a sockaddr_in it follows family and port, in a sockaddr_in6 the flow label too.
      let (offset, count) = current.pointee.ai_family == AF_INET6 ? (8, 16) : (4, 4)
      if let address = current.pointee.ai_addr, Int(current.pointee.ai_addrlen) >= offset + count,
        let host = IPAddress(
          bytes: UnsafeRawBufferPointer(start: UnsafeRawPointer(address) + offset, count: count))
      {
        found.append(host)
      }
      entry = current.pointee.ai_next
    }
    guard let address = found.first(where: { !$0.isIPv6 }) ?? found.first else {
      return .failure(SwarmError(.address, "\"\(host)\" has no address that can be used."))
    }
    return .success(address)
  }
}

/// A handler that passes on what a UDP socket receives.
private final class PacketHandler: ChannelInboundHandler {
  typealias InboundIn = AddressedEnvelope<ByteBuffer>
  private let arrived: ([UInt8], PeerAddress) -> Void

  init(_ arrived: @escaping ([UInt8], PeerAddress) -> Void) { self.arrived = arrived }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let envelope = unwrapInboundIn(data)
    guard let sender = PeerAddress(envelope.remoteAddress) else { return }
    arrived(Array(envelope.data.readableBytesView), sender)
  }

  /// Ignores errors: a packet that did not arrive is no reason to stop.
  func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
