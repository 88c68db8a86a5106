internal import NIOCore
internal import NIOPosix

/// A listener on a TCP port, which hands over each connection.
///
/// ```swift
/// let listener = try await TCPListener(port: 0)
/// print("listening on \(listener.address)")
/// try await listener.run { socket in
///   try? await socket.pump(stream(for: socket))
/// }
/// ```
public final class TCPListener: Sendable {
  /// The limits on inbound connections.
  public struct Options: Sendable {
    /// Inbound connections at a time. More are closed at once.
    public var maximumInbound = 64
    /// Inbound connections at a time from one address, or from one IPv6 network of 64 bits; nil for an eighth
    /// of all, and at least 8. If all places are taken, a connection from an address with fewer evicts the one
    /// that has been idle longest of the address with the most.
    public var maximumPerAddress: Int?
    /// The same for loopback, where tunnels to this machine end; nil for no limit of its own.
    public var maximumPerLoopback: Int?
    /// Numeric addresses of trusted proxies and tunnels, each of which stands for many peers.
    public var trustedProxies: Set<String> = []
    /// The same for each of those; nil for no limit of its own.
    public var maximumPerProxy: Int?
    /// Inbound connections from one address that are not confirmed yet (``PeerSocket/confirm()``); loopback is
    /// exempt.
    public var maximumHalfOpen = 8
    /// The time within which the remote has to name its feed (``PeerSocket/firstFeed``): the connection is
    /// handed over then, and closed if it takes longer. Nil to hand it over at once.
    public var firstFeedTimeout: Duration?
    /// Returns whether a peer is permitted; called before anything is read.
    public var permits: (@Sendable (PeerAddress) -> Bool)?
    /// Notified of every connection that is closed without being handed over.
    public var refused: (@Sendable (PeerAddress, SwarmEvent.Refusal) -> Void)?
    /// True if connections from this machine are exempt from the limits by address: the cap on half-open
    /// ones, and the pauses for addresses that sent harmful messages repeatedly, 1 s at the third time and
    /// doubling each time, up to 10 minutes.
    public var excusesLoopback = true
    /// Notified of every connection that was evicted for one from another address.
    public var evicted: (@Sendable (PeerAddress) -> Void)?
    /// The record of offenders; nil for one of the listener's own.
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

  /// The address of the listener, with the chosen port if 0 was asked for.
  public let address: PeerAddress
  private let channel: any Channel
  private let sockets: AsyncStream<PeerSocket>
  private let admission: Admission

  /// Listens on the host's address: `::` for all of both kinds, `0.0.0.0` for all of IPv4,
  /// `127.0.0.1` or `::1` for this machine only, or a name.
  ///
  /// - Parameter port: the port; 0 for any that is free.
  /// - Parameter host: the address to listen on.
  /// - Parameter options: the limits on inbound connections.
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

  /// The number of open inbound connections.
  public var inboundCount: Int { admission.total }

  /// Calls `serve` for each connection, each in a task of its own, until ``close()``; then waits for those in
  /// progress. Cancelling the task closes the listener and cancels them too. A connection is closed when its
  /// `serve` returns. Call it only once.
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
    // Cancellation ends the loop before the port is released.
    await close()
  }

  /// Stops accepting connections. Open ones stay. Returns when the port is free.
  public func close() async {
    channel.close(promise: nil)
    try? await channel.closeFuture.get()
  }
}
