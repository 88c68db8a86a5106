internal import Foundation
internal import Logging
internal import Metrics
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket

/// A signal hub, which passes on the few messages with which peers in browsers find each other. It speaks
/// both protocols of 2018 on one port, and keeps nothing.
///
/// ```swift
/// var options = SignalServer.Options()
/// options.host = "0.0.0.0"
/// let server = try await SignalServer(options)
/// print("listening on port \(server.port)")
/// try await server.run()
/// ```
///
/// Stands for signalhub (event streams over HTTP) and signalhubws (WebSockets).
public final class SignalServer: Sendable {
  /// The port it listens on.
  public let port: Int
  private let channel: any Channel
  private let hub: Hub

  /// Starts listening.
  ///
  /// - Throws: ``SignalError`` with code `listen` if the address can't be used, `page` if the page's folder
  ///   isn't one, or `certificate` if a certificate or key can't be read.
  public init(_ options: Options = Options()) async throws(SignalError) {
    let hub = try Hub(options)
    self.hub = hub
    let tls = try Self.tls(options)
    let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(
        .writeBufferWaterMark,
        value: .init(low: 64 << 10, high: max(options.limits.waitingBytes, 128 << 10))
      )
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try hub.configure(channel, tls: tls) }
      }
    let host = options.host == "localhost" ? "127.0.0.1" : options.host
    do {
      channel = try await bootstrap.bind(host: host, port: options.port).get()
    } catch {
      throw SignalError(
        .listen,
        "The hub could not listen on \(host), port \(options.port): \(Self.reason(error)). Choose another with --listen HOST:PORT."
      )
    }
    port = channel.localAddress?.port ?? options.port
  }

  /// Answers until the task is cancelled or ``close()`` is called; every connection is closed then.
  public func run() async throws {
    let heartbeat = Task { [hub] in await hub.beat() }
    defer { heartbeat.cancel() }
    await withTaskCancellationHandler {
      try? await channel.closeFuture.get()
    } onCancel: {
      channel.close(promise: nil)
    }
    hub.closeAll()
  }

  /// Stops accepting connections, and ends the open ones.
  public func close() async {
    channel.close(promise: nil)
    try? await channel.closeFuture.get()
    hub.closeAll()
  }

  private static func reason(_ error: any Error) -> String {
    guard let error = error as? IOError else { return "\(error)" }
    switch error.errnoCode {
    case EADDRINUSE: return "another program uses the port"
    case EACCES: return "the system does not allow it"
    case EADDRNOTAVAIL: return "this machine has no such address"
    default: return String(cString: strerror(error.errnoCode))
    }
  }

  /// The number of subscribers.
  public var subscriberCount: Int { hub.subscriberCount }

  private static func tls(_ options: Options) throws(SignalError) -> NIOSSLContext? {
    guard let files = options.certificate else { return nil }
    do {
      let chain = try NIOSSLCertificate.fromPEMFile(files.chain)
      let key = try NIOSSLPrivateKey(file: files.key, format: .pem)
      return try NIOSSLContext(
        configuration: .makeServerConfiguration(
          certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key)))
    } catch {
      throw SignalError(
        .certificate,
        "The certificate \(files.chain) with the key \(files.key) can't be used: give two PEM files that belong together. (\(error))"
      )
    }
  }
}

/// The state that the connections of a server share.
final class Hub: Sendable {
  let options: SignalServer.Options
  let page: HubPage?
  private struct State {
    var core: HubCore
    var channels: [HubCore.Member: any Channel] = [:]
  }
  private let state: NIOLockedValueBox<State>
  private let messages = Counter(label: "dat_signal_messages")
  private let refusals = Counter(label: "dat_signal_refusals")
  private let listening = Gauge(label: "dat_signal_subscribers")

  init(_ options: SignalServer.Options) throws(SignalError) {
    self.options = options
    page = try options.pageFolder.map { folder throws(SignalError) in try HubPage(folder: folder) }
    state = NIOLockedValueBox(State(core: HubCore(limits: options.limits)))
  }

  var subscriberCount: Int { state.withLockedValue { $0.core.subscriberCount } }

  // MARK: Connections

  /// Accepts a connection, or closes it.
  func configure(_ channel: any Channel, tls: NIOSSLContext?) throws {
    let address = Self.network(of: channel.remoteAddress)
    let isLocal = Self.isLoopback(channel.remoteAddress)
    let member = state.withLockedValue { state in
      let member = state.core.admit(address, isLocal: isLocal, now: .now)
      if let member { state.channels[member] = channel }
      return member
    }
    guard let member else {
      refusals.increment()
      return channel.close(promise: nil)
    }
    channel.closeFuture.whenComplete { [weak self] _ in self?.leave(member) }
    let pipeline = channel.pipeline.syncOperations
    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
    try pipeline.addHandler(DeadlineHandler(.seconds(10)), name: DeadlineHandler.name)
    let http = HubHTTPHandler(self, member)
    let upgrader = NIOWebSocketServerUpgrader(
      maxFrameSize: options.limits.messageBytes,
      shouldUpgrade: { [weak self] channel, head in
        let isTaken = self?.opens(head, member) ?? false
        return channel.eventLoop.makeSucceededFuture(isTaken ? HTTPHeaders() : nil)
      },
      upgradePipelineHandler: { [weak self] channel, head in
        channel.eventLoop.makeCompletedFuture {
          guard let self, let application = HubRequest.application(ofSocket: head.uri.utf8) else {
            return channel.close(promise: nil)
          }
          try channel.pipeline.syncOperations.addHandler(
            HubSocketHandler(self, member, application: application))
        }
      })
    try pipeline.configureHTTPServerPipeline(
      withServerUpgrade: (
        upgraders: [upgrader],
        completionHandler: { context in
          context.pipeline.syncOperations.removeHandler(name: HubHTTPHandler.name, promise: nil)
          context.pipeline.syncOperations.removeHandler(name: DeadlineHandler.name, promise: nil)
        }
      ), withErrorHandling: true)
    try pipeline.addHandler(http, name: HubHTTPHandler.name)
  }

  private func opens(_ head: HTTPRequestHead, _ member: HubCore.Member) -> Bool {
    HubRequest.application(ofSocket: head.uri.utf8) != nil && rename(member, head)
  }

  /// Trusts a proxy, if it is the configured one, about the address that a request comes from.
  ///
  /// - Returns: true if that address may have one more connection.
  func rename(_ member: HubCore.Member, _ head: HTTPRequestHead) -> Bool {
    guard let proxy = options.trustedProxy,
      let channel = state.withLockedValue({ $0.channels[member] }),
      channel.remoteAddress?.ipAddress.map({ Array($0.utf8) }) == Array(proxy.utf8),
      // The proxy appends the address that it sees, so only the last one is its own word.
      let last = head.headers["x-forwarded-for"].last?.utf8.split(separator: UInt8(ascii: ","))
        .last,
      let text = String(validating: last.filter { $0 != 0x20 }, as: UTF8.self),
      text.utf8.count <= 45,
      let address = try? SocketAddress(ipAddress: text, port: 0)
    else { return true }
    let network = Self.network(of: address)
    return state.withLockedValue { $0.core.rename(member, to: network, now: .now) }
  }

  private func leave(_ member: HubCore.Member) {
    state.withLockedValue { state in
      state.core.leave(member)
      state.channels[member] = nil
    }
    listening.record(subscriberCount)
  }

  func closeAll() {
    for channel in state.withLockedValue({ Array($0.channels.values) }) {
      channel.close(promise: nil)
    }
  }

  // MARK: Messages

  func subscribe(
    _ member: HubCore.Member, to application: [UInt8], _ interest: HubCore.Interest
  ) -> HubCore.Refusal? {
    let refusal = state.withLockedValue {
      $0.core.subscribe(member, to: application, interest)
    }
    if refusal != nil { refusals.increment() }
    listening.record(subscriberCount)
    return refusal
  }

  func takes(_ member: HubCore.Member) -> Bool {
    let takes = state.withLockedValue { $0.core.takes(member, now: .now) }
    if !takes { refusals.increment() }
    return takes
  }

  /// Passes a message on to all subscribers: as an event or as a frame; in a form that is nil to none.
  func say(_ application: [UInt8], _ channel: [UInt8]?, event: ByteBuffer?, frame: ByteBuffer?) {
    messages.increment()
    let listeners = state.withLockedValue { state in
      state.core.listeners(to: channel, of: application).compactMap { member, interest in
        state.channels[member].map { ($0, interest) }
      }
    }
    for (channel, interest) in listeners {
      guard let bytes = interest == .all ? frame : event else { continue }
      // A subscriber that takes nothing is disconnected: what it missed is of no use to it later.
      guard channel.isWritable else {
        channel.close(promise: nil)
        continue
      }
      if interest == .all {
        channel.writeAndFlush(WebSocketFrame(fin: true, opcode: .text, data: bytes), promise: nil)
      } else {
        channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
      }
    }
  }

  /// Sends a sign of life to all event streams from time to time.
  func beat() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: options.heartbeat)
      let channels = state.withLockedValue { state in
        state.core.streams.compactMap { state.channels[$0] }
      }
      for channel in channels where channel.isWritable {
        channel.writeAndFlush(
          HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: ":heartbeat signal\n\n"))),
          promise: nil)
      }
    }
  }

  // MARK: Addresses

  /// Returns an address, or the /64 of an IPv6 address, which is the share of one household.
  private static func network(of address: SocketAddress?) -> [UInt8] {
    switch address {
    case .v4(let address): withUnsafeBytes(of: address.address.sin_addr) { Array($0) }
    case .v6(let address):
      withUnsafeBytes(of: address.address.sin6_addr) { bytes in
        // An IPv4 address on a socket for both kinds.
        let isMapped =
          bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
        return isMapped ? Array(bytes.suffix(4)) : Array(bytes.prefix(8))
      }
    default: []
    }
  }

  private static func isLoopback(_ address: SocketAddress?) -> Bool {
    let network = network(of: address)
    return network.count == 4 ? network[0] == 127 : address?.ipAddress == "::1"
  }
}
