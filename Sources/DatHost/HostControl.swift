internal import DatCoding
internal import DatSwarm
internal import Foundation
internal import HypercoreCrypto
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix
public import Logging
internal import RandomAccessStorage

/// A request to a running host over its socket: one JSON object a line, answered by one.
public struct ControlRequest: Hashable, Sendable, Codable {
  /// The commands of a host.
  public enum Command: String, Hashable, Sendable, Codable, CaseIterable {
    /// Host a key from now on.
    case add
    /// Stop hosting a key.
    case remove
    /// Return the status of all keys.
    case list
    /// Return the report on the host as a whole.
    case status
  }

  /// The command.
  public var command: Command
  /// The key: for `add` as ``HostedKey`` reads it, for `remove` with or without a kind.
  public var key: String?
  /// For `remove`: true to delete what is stored, too.
  public var deletesData: Bool?

  /// Makes a request.
  public init(_ command: Command, key: String? = nil, deletesData: Bool? = nil) {
    self.command = command
    self.key = key
    self.deletesData = deletesData
  }
}

/// The reply: the status of the keys in question, or an error.
public struct ControlReply: Hashable, Sendable, Codable {
  /// The status of the keys in question; nil after an error.
  public var replicas: [HostedStatus]?
  /// The report on the host as a whole, if it was asked for.
  public var report: HostReport?
  /// The error, in a sentence.
  public var error: String?

  init(replicas: [HostedStatus]) { self.replicas = replicas }
  init(report: HostReport) { self.report = report }
  init(error: String) { self.error = error }
}

/// The socket `control` in a host's folder, which only the folder's owner can reach.
public final class HostControl: Sendable {
  /// The socket's name in the folder.
  public static let name = "control"
  /// The most bytes of a request.
  static let requestLimit = 64 * 1024
  /// The most bytes of an answer: room for about 100,000 keys.
  static let replyLimit = 64 << 20
  /// The time after which a silent client is disconnected.
  private static let patience = TimeAmount.seconds(30)
  /// The most clients at a time.
  private static let maximumClients = 16

  private let host: ReplicaHost
  private let logger: Logger
  private let path: String
  private let version: String
  private let server: any Channel
  private let clients: Clients

  /// Opens the socket. One that another host left behind is replaced: the folder's lock proves that it is gone.
  ///
  /// - Parameters:
  ///   - host: the host that requests are for.
  ///   - version: the version of the program, for its reports.
  ///   - logger: receives what happens.
  /// - Throws: ``HostError`` with `control`.
  public init(
    _ host: ReplicaHost, version: String = "", logger: Logger = Logger(label: "dat.host")
  ) async throws(HostError) {
    self.host = host
    self.version = version
    self.logger = logger
    path = try Self.path(in: host.path)
    unlink(path)
    let clients = Clients(limit: Self.maximumClients)
    self.clients = clients
    do {
      server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandlers(
              IdleStateHandler(allTimeout: Self.patience), ClosesWhenIdle())
            clients.accept(
              try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel))
          }
        }
        .bind(unixDomainSocketPath: path).get()
    } catch {
      throw HostError(.control, SwarmError("The socket \(path) can't be opened", error).reason)
    }
    chmod(path, 0o600)
  }

  /// Returns the path of a folder's socket.
  static func path(in folder: String) throws(HostError) -> String {
    let path = folder + "/" + name
    // The longest path that a socket address has room for, with its terminator.
    guard path.utf8.count < 104 else {
      throw HostError(
        .control,
        "The path of the folder is too long for a socket in it: \(path) has "
          + "\(path.utf8.count) bytes, of at most 103.")
    }
    return path
  }

  /// Answers until cancelled, then removes the socket.
  public func run() async throws {
    defer { unlink(path) }
    clients.answer { [self] client in
      do { try await serve(client) } catch {
        logger.debug("A client of the control socket was lost: \(error)")
      }
    }
    try await withTaskCancellationHandler {
      try await server.closeFuture.get()
    } onCancel: {
      server.close(promise: nil)
    }
    await clients.end()
  }

  private func serve(_ client: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async throws {
    try await client.executeThenClose { inbound, outbound in
      var pending: [UInt8] = []
      for try await bytes in inbound {
        pending += bytes.readableBytesView
        while let end = pending.firstIndex(of: 10) {
          let reply = await answer(pending[..<end])
          pending.removeSubrange(...end)
          try await outbound.write(ByteBuffer(bytes: Self.encoded(reply)))
        }
        if pending.count > Self.requestLimit {
          let reply = ControlReply(error: "A request may have at most \(Self.requestLimit) bytes.")
          return try await outbound.write(ByteBuffer(bytes: Self.encoded(reply)))
        }
      }
    }
  }

  private static func encoded(_ reply: ControlReply) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(reply) else {
      return Array("{\"error\":\"The answer could not be written.\"}\n".utf8)
    }
    return Array(data) + [10]
  }

  private func answer(_ line: ArraySlice<UInt8>) async -> ControlReply {
    guard let request = Self.request(Array(line)) else {
      return ControlReply(
        error:
          "That is not a request of this version's: write {\"command\":\"list\"}, \"status\", or \"add\" or "
          + "\"remove\" with a key.")
    }
    do throws(HostError) {
      if request.command == .status {
        return ControlReply(report: await host.report(version: version))
      }
      return ControlReply(replicas: try await perform(request))
    } catch {
      return ControlReply(error: error.reason)
    }
  }

  /// Returns the request in a line; nil for any other line. Foundation's decoder is not used: it makes a dictionary
  /// of field names, which anybody may send.
  static func request(_ line: [UInt8]) -> ControlRequest? {
    var (command, key, deletesData) = (ControlRequest.Command?.none, String?.none, Bool?.none)
    let bounds = JSONReader.Bounds(bytes: requestLimit, depth: 4)
    do throws(JSONError) {
      try JSONReader.read(line, within: bounds) { reader throws(JSONError) in
        try reader.readObject { name, reader throws(JSONError) in
          switch name {
          case "command":
            let word = try reader.readStringIfPresent().map { ForeignText($0) }
            command = ControlRequest.Command.allCases.first { ForeignText($0.rawValue) == word }
          case "key": key = try reader.readStringIfPresent()
          case "deletesData": deletesData = reader.kind == .bool ? try reader.readBool() : nil
          default: break
          }
        }
      }
    } catch {
      return nil
    }
    return command.map { ControlRequest($0, key: key, deletesData: deletesData) }
  }

  private func perform(_ request: ControlRequest) async throws(HostError) -> [HostedStatus] {
    if request.command == .list { return await host.status() }
    guard let text = request.key else {
      throw HostError(.malformedKey, "The request names no key.")
    }
    let key = try HostedKey(parsing: text)
    switch request.command {
    case .list, .status: return []
    case .add: return [try await host.add(key)]
    case .remove:
      try await host.remove(key.key, deletingData: request.deletesData ?? false)
      return []
    }
  }
}

/// The connected clients, each with a task that answers it.
///
/// NIO traps if a connection is released that nobody has handled. So each is handled from its start, and one for
/// which there is no room is closed in the same way.
private final class Clients: Sendable {
  typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

  private struct State {
    /// Clients that came before ``answer`` was set.
    var early: [Client] = []
    var answer: (@Sendable (Client) async -> Void)?
    var running: [Int: Task<Void, Never>] = [:]
    var last = 0
    var isOver = false
  }

  private let limit: Int
  private let state = NIOLockedValueBox(State())

  init(limit: Int) { self.limit = limit }

  /// Accepts a client that has just connected, if there is room.
  func accept(_ client: Client) {
    state.withLockedValue { state in
      guard !state.isOver, state.early.count + state.running.count < limit else {
        Task { try? await client.executeThenClose { _, _ in } }
        return
      }
      guard let answer = state.answer else { return state.early.append(client) }
      start(client, answer, &state)
    }
  }

  /// Begins to answer clients, including those that wait already.
  func answer(_ answer: @escaping @Sendable (Client) async -> Void) {
    state.withLockedValue { state in
      state.answer = answer
      for client in state.early { start(client, answer, &state) }
      state.early = []
    }
  }

  private func start(
    _ client: Client, _ answer: @escaping @Sendable (Client) async -> Void, _ state: inout State
  ) {
    state.last += 1
    state.running[state.last] = Task { [number = state.last] in
      await answer(client)
      self.state.withLockedValue { _ = $0.running.removeValue(forKey: number) }
    }
  }

  /// Disconnects all clients, and those that connect later.
  func end() async {
    let running = state.withLockedValue { state in
      state.isOver = true
      state.answer = nil
      return state.running.values
    }
    for task in running { task.cancel() }
    for task in running { await task.value }
  }
}

private final class ClosesWhenIdle: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    context.fireUserInboundEventTriggered(event)
  }
}
