internal import ArgumentParser
internal import DatSwarm
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

/// The connections of a database that is served: those that come in, and those that are kept up.
struct DatabasePeers {
  let db: HyperDB
  let output: Output

  /// Serves until a signal comes.
  func run(listen: [ListenAddress], connect: [PeerAddress]) async throws {
    Interruption.ignoreBrokenPipes()
    var listeners: [TCPListener] = []
    for address in listen {
      let listener = try await TCPListener(host: address.host, port: address.port)
      listeners.append(listener)
      if output.json {
        output.object([
          "event": "listening", "host": .string(listener.address.host),
          "port": .integer(Int64(listener.address.port)),
        ])
      } else {
        output.line(output.dim("listening on \(listener.address)"))
      }
    }
    announce()
    let connections = PeerConnections { [db] socket in try await Self.serve(socket, db) }
    for address in connect { await connections.add(address) }
    var tasks = [Task { [output] in await Self.report(connections, output) }]
    for listener in listeners {
      tasks.append(
        Task { [db, output] in
          await listener.run { socket in
            do { try await Self.serve(socket, db) } catch {
              output.failure("\(socket.remoteAddress): \(Problem.sentence(for: error))")
            }
          }
        })
    }
    for await _ in Interruption.requests() { break }
    for task in tasks { task.cancel() }
    await connections.stop()
    for listener in listeners { await listener.close() }
  }

  private func announce() {
    if output.json {
      output.object([
        "event": "ready", "key": .string(db.key.hex), "local": .string(db.localKey.hex),
      ])
    } else {
      output.line(output.bold("dat://\(db.key.hex)"))
      output.line(output.dim("this replica writes to feed \(db.localKey.hex)"))
    }
  }

  private static func serve(_ socket: PeerSocket, _ db: HyperDB) async throws {
    let stream = try await db.replicate(.live)
    let confirming = Task {
      if await stream.handshake() != nil { socket.confirm() }
    }
    defer { confirming.cancel() }
    try await pump(socket, stream)
  }

  private static func pump(_ socket: PeerSocket, _ stream: ReplicationStream) async throws {
    let ended: Result<Void, any Error>
    do {
      try await socket.pump(stream)
      ended = .success(())
    } catch {
      ended = .failure(error)
    }
    // The reason why the stream gave up says more than how the socket ended.
    if let reason = await stream.closeReason { throw reason }
    try ended.get()
  }

  private static func report(_ connections: PeerConnections, _ output: Output) async {
    for await change in await connections.changes() {
      switch change.state {
      case .connected:
        if output.json {
          output.object(["event": "connected", "address": .string("\(change.address)")])
        } else {
          output.line(output.dim("connected to \(change.address)"))
        }
      case .failed(let reason): output.failure("\(change.address): \(reason)")
      case .connecting, .waiting, nil: break
      @unknown default: break
      }
    }
  }

  // MARK: Once

  /// Exchanges everything with one peer.
  ///
  /// The connection ends by itself where the peer's does; with one that stays it ends when all is here
  /// and nothing was said for a while.
  func exchange(with address: PeerAddress, timeout: Duration) async throws {
    let socket = try await TCPDialer.connect(to: address, timeout: timeout)
    let stream = try await db.replicate()
    let pumping = Task { try await Self.pump(socket, stream) }
    let watching = Task { try await endWhenQuiet(stream, address, timeout) }
    let result = await pumping.result
    watching.cancel()
    if case .failure(let error) = await watching.result, !(error is CancellationError) {
      throw error
    }
    try result.get()
    // A connection that was lost under way ends as quietly as one that is done.
    if await !db.hasContent {
      throw ValidationError("\(address) had nothing of database \(db.key.hex).")
    }
  }

  private func endWhenQuiet(
    _ stream: ReplicationStream, _ address: PeerAddress, _ timeout: Duration
  ) async throws {
    let start = ContinuousClock.now
    var last: Connection.Statistics?
    var quietSince = start
    while true {
      try await Task.sleep(for: .milliseconds(50))
      let now = ContinuousClock.now
      let statistics = await stream.statistics
      if statistics.framesReceived != last?.framesReceived
        || statistics.framesSent != last?.framesSent
      {
        last = statistics
        quietSince = now
      } else if now - quietSince > .milliseconds(500), await db.isSynced {
        await stream.close()
        return
      } else if now - quietSince > timeout {
        await stream.close()
        throw ValidationError(
          "\(address) said nothing for \(timeout.components.seconds) seconds, and not all is here.")
      }
    }
  }
}
