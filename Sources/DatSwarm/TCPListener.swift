internal import NIOCore
internal import NIOPosix

/// Listens on a TCP port and hands over each connection.
///
/// ```swift
/// let listener = try await TCPListener(port: 0)
/// print("listening on \(listener.address)")
/// try await listener.run { socket in
///   try? await socket.pump(stream(for: socket))
/// }
/// ```
public final class TCPListener: Sendable {
  /// How many connections are taken.
  public struct Options: Sendable {
    /// Connections that others opened, at a time. More are closed at once.
    public var maximumInbound = 64
    /// Of one address, or of one IPv6 network of 64 bits, at a time; nil for an eighth of all, and at
    /// least 8. Where all places are taken, the connection that has been idle longest, of the address with
    /// most, makes room for that of an address with fewer.
    public var maximumPerAddress: Int?
    /// The same for loopback, where tunnels to this machine end; nil for as many as there are.
    public var maximumPerLoopback: Int?
    /// Numeric addresses of proxies and tunnels that are trusted: behind each are many peers.
    public var trustedProxies: Set<String> = []
    /// The same for each of those; nil for as many as there are.
    public var maximumPerProxy: Int?
    /// Connections of one address that are not confirmed yet (``PeerSocket/confirm()``), loopback
    /// excepted.
    public var maximumHalfOpen = 8
    /// Where not nil, connections are handed over once the remote has said which feed it is about
    /// (``PeerSocket/firstFeed``), and closed when that takes longer.
    public var firstFeedTimeout: Duration?
    /// Asked before anything is read.
    public var permits: (@Sendable (PeerAddress) -> Bool)?
    /// Told of every connection that is closed without being handed over.
    public var refused: (@Sendable (PeerAddress, SwarmEvent.Refusal) -> Void)?
    /// Whether connections from this machine are free of what goes by address: the cap of half-open
    /// ones, and the pauses for addresses that sent harmful messages again and again, 1 s for the third
    /// time and twice as long for each more, up to 10 minutes.
    public var excusesLoopback = true
    /// Called for every connection that lost its place to another address's.
    public var evicted: (@Sendable (PeerAddress) -> Void)?
    /// The hosts that are refused for what they did; nil for a memory of the listener's own.
    var policy: AddressPolicy?

    /// The defaults.
    public init() {}

    var caps: Admission.Caps {
      Admission.Caps(
        total: maximumInbound, address: maximumPerAddress ?? max(8, maximumInbound / 8),
        loopback: maximumPerLoopback ?? maximumInbound, proxy: maximumPerProxy ?? maximumInbound,
        proxies: Set(trustedProxies.compactMap { IPAddress($0) }), halfOpen: maximumHalfOpen,
        excusesLoopback: excusesLoopback)
    }
  }

  /// Where it listens, with the port that was chosen for 0.
  public let address: PeerAddress
  private let channel: any Channel
  private let sockets: AsyncStream<PeerSocket>
  private let admission: Admission

  /// Listens on the host's address: `::` for all of both kinds, `0.0.0.0` for all of IPv4,
  /// `127.0.0.1` or `::1` for this machine only, or a name.
  ///
  /// - Parameter port: 0 for any that is free.
  /// - Parameter host: the address to listen on.
  /// - Parameter options: what it does; the defaults are those of their type.
  /// - Throws: ``SwarmError``, such as code `addressInUse`.
  public init(host: String = "0.0.0.0", port: Int = 0, options: Options = Options())
    async throws(SwarmError)
  {
    let what = "Could not listen on \(PeerAddress(host: host, port: port))"
    guard (0...65535).contains(port) else {
      throw SwarmError(.address, "\(what): ports go from 0 to 65535.")
    }
    let admission = Admission(options.caps)
    let policy =
      options.policy ?? AddressPolicy(excusesLoopback: options.excusesLoopback)
    let (sockets, arrivals) = AsyncStream.makeStream(of: PeerSocket.self)
    let bootstrap = TCPOptions.apply(to: ServerBootstrap(group: TCPOptions.group))
      .childChannelInitializer { channel in
        guard let remote = PeerAddress(channel.remoteAddress) else { return channel.close() }
        let refusal =
          policy.refusal(of: remote.host, now: .now)
          ?? (options.permits?(remote) == false ? .denied : nil)
        guard refusal == nil,
          case .admitted(let ticket, let evicted) = admission.admit(remote, now: .now)
        else {
          options.refused?(remote, refusal ?? .crowded)
          return channel.close()
        }
        if let evicted { options.evicted?(evicted.address) }
        ticket.whenEvicted { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in ticket.leave() }
        return channel.eventLoop.makeCompletedFuture {
          let handler = ArrivalHandler(waiting: options.firstFeedTimeout)
          try channel.pipeline.syncOperations.addHandler(handler)
          let wrapped = try TCPOptions.wrap(channel)
          handler.discard = { PeerSocket.discard(wrapped) }
          handler.refused = { options.refused?(remote, $0) }
          handler.arrived = { local, firstFeed in
            arrivals.yield(
              PeerSocket(
                wrapped, remote: remote, local: local, ticket: ticket, policy: policy,
                firstFeed: firstFeed))
          }
        }
      }
    do {
      channel = try await bootstrap.bind(host: host, port: port).get()
    } catch {
      arrivals.finish()
      throw SwarmError(what, error)
    }
    channel.closeFuture.whenComplete { _ in arrivals.finish() }
    guard let address = PeerAddress(channel.localAddress) else {
      channel.close(promise: nil)
      throw SwarmError(.failed, "\(what): the system named no address.")
    }
    self.address = address
    self.sockets = sockets
    self.admission = admission
  }

  deinit { channel.close(promise: nil) }

  /// How many connections are open that others opened.
  public var inboundCount: Int { admission.total }

  /// Calls `serve` for each connection, each in a task of its own, until ``close()``; then waits for
  /// those that are under way. Cancelling the task closes the listener and cancels them too. A
  /// connection is closed when its `serve` returns. To be called once.
  public func run(_ serve: @escaping @Sendable (PeerSocket) async -> Void) async {
    await withTaskCancellationHandler {
      await withDiscardingTaskGroup { group in
        for await socket in sockets {
          group.addTask {
            await serve(socket)
            socket.close()
          }
        }
      }
    } onCancel: {
      channel.close(promise: nil)
    }
    // Cancellation ends the loop before the port is free.
    await close()
  }

  /// Takes no more connections. Those that are open stay. Returns when the port is free.
  public func close() async {
    channel.close(promise: nil)
    try? await channel.closeFuture.get()
  }
}
