import DatSwarm
import Hypercore

/// The connections of a Swift end, over TCP on the loopback interface.
actor SwiftConnections {
  private let attach: @Sendable () async throws -> ReplicationStream
  private var listeners: [TCPListener] = []
  private var sockets: [PeerSocket] = []
  private var tasks: [Task<Void, Never>] = []

  /// - Parameter attach: gives the stream for one connection.
  init(attach: @escaping @Sendable () async throws -> ReplicationStream) { self.attach = attach }

  func listen() async throws -> Int {
    let listener = try await TCPListener(host: "127.0.0.1", port: 0)
    listeners.append(listener)
    tasks.append(Task { await listener.run { await self.carry($0) } })
    return listener.address.port
  }

  func connect(_ port: Int) async throws {
    let socket = try await TCPDialer.connect(to: PeerAddress(host: "127.0.0.1", port: port))
    tasks.append(Task { await carry(socket) })
  }

  private func carry(_ socket: PeerSocket) async {
    sockets.append(socket)
    guard let stream = try? await attach() else { return socket.close() }
    let greeting = Task {
      if await stream.handshake() != nil { socket.confirm() }
    }
    try? await socket.pump(stream)
    greeting.cancel()
  }

  func disconnect() {
    for socket in sockets { socket.close() }
    sockets = []
  }

  func stop() async {
    disconnect()
    for listener in listeners { await listener.close() }
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }
}
