internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

/// The connections of a database that is served: inbound ones, and those that are kept up.
struct DatabasePeers {
  let db: HyperDB
  let output: Output
  /// Records all connections; nil if nothing is to be recorded.
  var recorder: Recorder?

  /// Serves until a signal comes.
  func run(listen: [ListenAddress], connect: [PeerAddress]) async throws {
    try DescriptorLimit.check(isOnline: true)
    let interruptions = Interruption.requests()
    var options = Swarm.Options()
    options.tap = recorder?.swarmTap
    let swarm = Swarm(options: options)
    let report = SwarmReport(output: output, isVerbose: false)
    let events = await swarm.events()
    let reporting = Task { await report.follow(events) }
    for address in listen { try await swarm.listen(host: address.host, port: address.port) }
    announce()
    try await swarm.join(db)
    for address in connect { await swarm.connect(to: address, about: db.discoveryKey) }
    for await _ in interruptions { break }
    reporting.cancel()
    await swarm.close()
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

  private static func pump(
    _ socket: PeerSocket, _ stream: ReplicationStream, _ tap: (any ConnectionTap)?
  ) async throws {
    let ended: Result<Void, any Error>
    do {
      if let tap {
        try await socket.pump(TappedStream(stream, tap))
      } else {
        try await socket.pump(stream)
      }
      ended = .success(())
    } catch {
      ended = .failure(error)
    }
    // The stream's reason for ending says more than that of the socket.
    if let reason = await stream.closeReason { throw reason }
    try ended.get()
  }

  // MARK: Once

  /// Exchanges everything with one peer.
  ///
  /// The connection ends by itself if the peer's does. Otherwise it ends when all is here and nothing was
  /// sent for a while.
  func exchange(with address: PeerAddress, timeout: Duration) async throws {
    try DescriptorLimit.check(isOnline: true)
    let socket = try await TCPDialer.connect(to: address, timeout: timeout)
    let stream = try await db.replicate()
    let tap = recorder?.tap(socket.remoteAddress, isInbound: false, db.discoveryKey)
    let pumping = Task { try await Self.pump(socket, stream, tap) }
    let watching = Task { try await endWhenQuiet(stream, address, timeout) }
    let result = await pumping.result
    watching.cancel()
    if case .failure(let error) = await watching.result, !(error is CancellationError) {
      throw error
    }
    do { try result.get() } catch {
      throw StoredKey.refusal(by: "\(address)", asked: db.key, error)
    }
    // A connection that was lost in between ends as quietly as one that is done.
    if await !db.hasContent {
      throw ValidationError(
        "\(address) had nothing of the database \(StoredKey.short(db.key)): compare the key with the one "
          + "on the other side.")
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
          "\(address) said nothing for "
            + "\(Amount.count(UInt64(max(timeout.components.seconds, 1)), "second")), and not all is here; "
            + "run the command again to go on.")
      }
    }
  }
}
