internal import NIOCore
internal import NIOPosix

/// Opens TCP connections to peers.
public enum TCPDialer {
  /// Connects to an address, trying all addresses of a host name, IPv6 and IPv4.
  ///
  /// - Parameter timeout: the time limit for each address of the name.
  /// - Parameter address: the address to connect to.
  /// - Throws: ``SwarmError``, such as code `refused`; code `closed` if the task is cancelled.
  public static func connect(to address: PeerAddress, timeout: Duration = .seconds(10))
    async throws(SwarmError) -> PeerSocket
  {
    let what = "Could not connect to \(address)"
    guard (1...65535).contains(address.port) else {
      throw SwarmError(.address, "\(what): ports go from 1 to 65535.")
    }
    let attempt = Attempt()
    let bootstrap = TCPOptions.apply(to: ClientBootstrap(group: TCPOptions.group))
      .connectTimeout(TimeAmount(timeout))
    let wrapped: PeerSocket.Wrapped
    do {
      wrapped = try await withTaskCancellationHandler {
        try await bootstrap.connect(host: address.host, port: address.port) { channel in
          attempt.add(channel)
          return channel.eventLoop.makeCompletedFuture { try TCPOptions.wrap(channel) }
        }
      } onCancel: {
        attempt.cancel()
      }
    } catch {
      throw SwarmError(what, Task.isCancelled ? CancellationError() : error)
    }
    guard let remote = PeerAddress(wrapped.channel.remoteAddress),
      let local = PeerAddress(wrapped.channel.localAddress)
    else {
      PeerSocket.discard(wrapped)
      throw SwarmError(.reset, "\(what): the other end broke the connection off.")
    }
    return PeerSocket(wrapped, remote: remote, local: local)
  }

  /// The sockets being connected by one call, so that cancelling does not wait for the timeout.
  private final class Attempt: Sendable {
    private let state = Guarded((channels: [any Channel](), isCancelled: false))

    func add(_ channel: any Channel) {
      let isCancelled = state.with { state in
        state.channels.append(channel)
        return state.isCancelled
      }
      if isCancelled { channel.close(promise: nil) }
    }

    func cancel() {
      let channels = state.with { state in
        state.isCancelled = true
        return state.channels
      }
      for channel in channels { channel.close(promise: nil) }
    }
  }
}
