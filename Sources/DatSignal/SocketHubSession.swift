internal import DatCoding
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket

/// A connection to a WebSocket hub.
///
/// Source: signalhubws 1.0.7. Pings of its own detect a hub that has silently gone.
struct SocketHubSession: HubSession {
  private typealias Socket = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

  let messages: AsyncThrowingStream<SignalMessage, any Error>
  private let channel: any Channel
  private let application: [UInt8]
  private let reader: Task<Void, Never>

  init(
    _ address: HubAddress, _ application: String, _ id: String, _ options: SignalHub.Options
  ) async throws {
    self.application = Array(application.utf8)
    let tls = try address.isSecure ? Self.tls(options) : nil
    let (connection, opened): (any Channel, EventLoopFuture<Socket?>) = try await ClientBootstrap(
      group: MultiThreadedEventLoopGroup.singleton
    )
    .connectTimeout(.nanoseconds(Int64(options.connectTimeout / .nanoseconds(1))))
    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    .connect(host: address.host, port: address.port) { channel in
      channel.eventLoop.makeCompletedFuture {
        if let tls {
          // For a numeric address there is no server name to send.
          let isName = (try? SocketAddress(ipAddress: address.host, port: 0)) == nil
          try channel.pipeline.syncOperations.addHandler(
            NIOSSLClientHandler(context: tls, serverHostname: isName ? address.host : nil))
        }
        return (channel, try Self.upgrade(channel, address, application))
      }
    }
    guard let socket = try await Self.within(options.connectTimeout, connection, opened) else {
      throw SignalError(
        .notAHub,
        "\(address) answers, but does not speak WebSocket: is it a hub of the older kind? Then write http:// or https://."
      )
    }
    channel = socket.channel
    let (messages, continuation) = AsyncThrowingStream.makeStream(
      of: SignalMessage.self, bufferingPolicy: .bufferingNewest(options.waiting))
    self.messages = messages
    let ours = [Array(SignalMessage.announcements.utf8), Array(id.utf8)]
    reader = Task {
      do {
        try await Self.read(socket, ours) { continuation.yield($0) }
        continuation.finish()
      } catch {
        continuation.finish(throwing: error)
      }
    }
  }

  private static func tls(_ options: SignalHub.Options) throws -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    if let file = options.trustedCertificates { configuration.additionalTrustRoots = [.file(file)] }
    return try NIOSSLContext(configuration: configuration)
  }

  /// Waits for the answer to an upgrade, up to a time limit.
  private static func within(
    _ limit: Duration, _ connection: any Channel, _ opened: EventLoopFuture<Socket?>
  ) async throws -> Socket? {
    let timeout = connection.eventLoop.scheduleTask(
      in: .nanoseconds(Int64(limit / .nanoseconds(1)))
    ) {
      connection.close(promise: nil)
    }
    defer { timeout.cancel() }
    return try await opened.get()
  }

  /// Requests a WebSocket; nil if the server has none.
  private static func upgrade(
    _ channel: any Channel, _ address: HubAddress, _ application: String
  ) throws -> EventLoopFuture<Socket?> {
    let upgrader = NIOTypedWebSocketClientUpgrader<Socket?>(
      maxFrameSize: SignalMessage.byteLimit + 1024,
      upgradePipelineHandler: { channel, _ in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            NIOWebSocketFrameAggregator(
              minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 64,
              maxAccumulatedFrameSize: SignalMessage.byteLimit + 1024))
          return try Socket(wrappingChannelSynchronously: channel)
        }
      })
    var headers = HTTPHeaders()
    let name = address.host.utf8.contains(UInt8(ascii: ":")) ? "[\(address.host)]" : address.host
    headers.add(name: "host", value: "\(name):\(address.port)")
    headers.add(name: "content-length", value: "0")
    let head = HTTPRequestHead(
      version: .http1_1, method: .GET,
      uri: "\(address.path)/\(EventHubSession.escaped(application))", headers: headers)
    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
      configuration: .init(
        upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
          upgradeRequestHead: head, upgraders: [upgrader],
          notUpgradingCompletionHandler: { channel in
            channel.close().map { nil }
          })))
  }

  private static func read(
    _ socket: Socket, _ channels: [[UInt8]], _ take: @escaping @Sendable (SignalMessage) -> Void
  ) async throws {
    try await socket.executeThenClose { inbound, outbound in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for try await frame in inbound {
            switch frame.opcode {
            case .text, .binary:
              guard let parts = HubMessage.parts(ofFrame: frame.unmaskedData),
                channels.contains(parts.channel),
                let message = SignalMessage(bytes: Array(parts.message.readableBytesView))
              else { continue }
              take(message)
            case .ping:
              try await outbound.write(
                WebSocketFrame(
                  fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData))
            case .connectionClose: return
            default: break
            }
          }
        }
        group.addTask {
          while true {
            try await Task.sleep(for: .seconds(30))
            try await outbound.write(
              WebSocketFrame(fin: true, opcode: .ping, maskKey: .random(), data: ByteBuffer()))
          }
        }
        defer { group.cancelAll() }
        try await group.next()
      }
    }
  }

  func say(_ message: [UInt8], to channel: String) async throws {
    let frame = HubMessage.frame(application, Array(channel.utf8), message)
    try await self.channel.writeAndFlush(
      WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: frame))
  }

  func close() async {
    reader.cancel()
    channel.close(promise: nil)
  }
}
