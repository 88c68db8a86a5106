internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol

/// One connection from its beginning to its end.
extension Swarm {
  /// Makes an attempt to connect, and serves the connection that results.
  func dial(_ order: SwarmCore.Order) async {
    let number = order.number
    do {
      let timeout = order.isGiven ? options.givenConnectTimeout : options.connectTimeout
      let socket = try await TCPDialer.connect(to: order.target.address, timeout: timeout)
      core.dialed(number)
      // A name may resolve to a host that is refused.
      if let refusal = policy.refusal(of: socket.remoteAddress.host, now: .now) {
        socket.close()
        core.events.append(.refused(socket.remoteAddress, order.target.discoveryKey, refusal))
        throw SwarmError(.closed, "There are to be no connections with \(socket.remoteAddress).")
      }
      running[number]?.connection = socket
      try await carry(socket, number)
      ended(number, nil)
    } catch {
      ended(number, "\(error)")
    }
  }

  /// Serves an inbound connection.
  nonisolated func serve(_ socket: PeerSocket) async {
    guard let task = await accept(socket) else { return }
    await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      task.cancel()
    }
  }

  private func accept(_ socket: PeerSocket) -> Task<Void, Never>? {
    defer { turn() }
    guard let key = socket.firstFeed, let peer = core.arrived(key, from: socket.remoteAddress)
    else { return nil }
    let number = peer.number
    let task = Task { [weak self] in
      do {
        try await self?.carry(socket, number)
        await self?.ended(number, nil)
      } catch {
        await self?.ended(number, "\(error)")
      }
    }
    running[number] = Running(task: task, connection: socket)
    return task
  }

  /// Drives one connection until it ends.
  ///
  /// - Parameter ticket: the place of a connection that a transport provided.
  /// - Throws: the reason, if it failed.
  func carry(
    _ connection: any PeerConnection, _ number: Int, _ ticket: Admission.Ticket? = nil
  ) async throws {
    guard let peer = core.links[number]?.peer, let service = services[peer.discoveryKey] else {
      return
    }
    let stream = try await service.replicate(peer)
    let meeting = Task { [weak self] in
      guard let handshake = await stream.handshake() else { return }
      let (own, canProve) = (await stream.id, await stream.canProve)
      guard await self?.meets(number, handshake.id, own, canProve) == true else {
        return connection.close()
      }
      connection.confirm()
      ticket?.confirm()
      if canProve { await self?.compare(number, stream) }
      await service.meet?(stream, peer)
    }
    defer { meeting.cancel() }
    let ended: Result<Void, any Error>
    do {
      if let tap = options.tap?(peer) {
        try await Self.pump(connection, TappedStream(stream, tap))
      } else {
        try await Self.pump(connection, stream)
      }
      ended = .success(())
    } catch {
      ended = .failure(error)
    }
    // The stream's reason for ending says more than that of the socket.
    if let reason = await stream.closeReason {
      if (reason as? ProtocolError)?.code == .connectedToItself {
        // Its handshake was not reported.
        let own = await stream.id
        _ = meets(number, own, own, false)
      }
      // The socket has noted those of inbound TCP connections.
      if ticket != nil || !connection.isInbound, await stream.offence != nil {
        policy.offended(connection.remoteAddress, now: .now)
      }
      throw reason
    }
    try ended.get()
  }

  /// Not isolated to the swarm, so that connections run in parallel.
  @concurrent
  private static func pump(
    _ connection: any PeerConnection, _ stream: some PeerStream
  ) async throws {
    try await connection.pump(stream)
  }

  /// Notes that the peer has announced its ID.
  ///
  /// - Returns: true if the connection stays.
  private func meets(_ number: Int, _ remote: [UInt8]?, _ own: [UInt8], _ canProve: Bool) -> Bool {
    defer { turn() }
    return core.handshaken(number, remote: remote, own: own, canProve: canProve) == .stays
  }

  /// Sends a peer, and the others with the same ID, proofs of which connections belong to this side; and checks
  /// whether they have proven to be one peer.
  private func compare(_ number: Int, _ stream: ReplicationStream) async {
    guard let nonces = await stream.nonces, running[number] != nil else { return }
    running[number]?.stream = stream
    running[number]?.nonces = nonces
    await stream.onMark { [weak self] in Task { await self?.lookForTwins(of: number) } }
    for other in core.namesakes(of: number) {
      guard let known = running[other], let otherStream = known.stream,
        let otherNonces = known.nonces
      else { continue }
      await stream.mark(otherNonces)
      await otherStream.mark(nonces)
    }
    await lookForTwins(of: number)
  }

  private func lookForTwins(of number: Int) async {
    for other in core.namesakes(of: number) {
      guard let stream = running[number]?.stream, let otherStream = running[other]?.stream,
        let nonces = running[number]?.nonces, let otherNonces = running[other]?.nonces
      else { continue }
      var isSame = await stream.isMarked(otherNonces)
      if !isSame { isSame = await otherStream.isMarked(nonces) }
      guard isSame else { continue }
      let own = await stream.id
      // What is queued is still sent: the other side has to see the proofs.
      if let left = core.same(number, other, own: own) { await running[left]?.stream?.close() }
      turn()
    }
  }

  func ended(_ number: Int, _ reason: String?) {
    setAside(number)
    running[number] = nil
    core.closed(number, reason: reason, now: .now)
    takeUp(number)
    turn()
  }
}
