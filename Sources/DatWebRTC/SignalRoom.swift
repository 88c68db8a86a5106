#if WebRTC
  internal import DatSignal
  internal import DatSwarm
  internal import HypercoreCrypto
  internal import Logging

  /// One topic at its hubs: carries out the actions of its ``SignalAgent``.
  @WebRTCActor
  final class SignalRoom {
    private let key: DiscoveryKey
    private let options: WebRTCTransport.Options
    private let hubs: [SignalHub]
    private let events: AsyncStream<PeerTransportEvent>.Continuation
    private var agent: SignalAgent
    private var connections: [SignalAgent.Link: WebRTCConnection] = [:]
    private var readers: [Task<Void, Never>] = []
    private var timer: (due: SignalAgent.Instant, task: Task<Void, Never>)?
    private var troubles: [Int: String] = [:]
    private let servers: ServerTroubles
    /// The zero of ``now``, the same in all rooms, so that they announce themselves at the same instants.
    private static let beginning = ContinuousClock.now
    private var isLeft = false

    init(
      _ key: DiscoveryKey, hubs addresses: [HubAddress], options: WebRTCTransport.Options,
      servers: ServerTroubles, events: AsyncStream<PeerTransportEvent>.Continuation
    ) {
      self.key = key
      self.options = options
      self.servers = servers
      self.events = events
      // Random, and for this topic alone: peers with equal IDs ignore each other, and the names of people
      // would not be unique.
      var random = SystemRandomNumberGenerator()
      let id = (0..<2).map { _ in
        String(UInt64.random(in: (1 << 60)...UInt64.max, using: &random), radix: 16)
      }.joined()
      agent = SignalAgent(id: id, limits: options.limits)
      hubs = addresses.map {
        SignalHub($0, application: key.hex, id: id, options: options.hub)
      }
      readers = hubs.indices.map { index in
        Task { @WebRTCActor [weak self, hub = hubs[index]] in
          for await event in hub.events {
            guard let self else { return }
            self.happened(event, at: index)
          }
        }
      }
    }

    private var now: SignalAgent.Instant {
      UInt64(max((ContinuousClock.now - Self.beginning) / .milliseconds(1), 0))
    }

    /// Sentences about all that keeps hubs from working now.
    var standingTroubles: [String] { troubles.sorted { $0.key < $1.key }.map(\.value) }

    private func happened(_ event: SignalHub.Event, at hub: SignalAgent.Hub) {
      guard !isLeft else { return }
      switch event {
      case .connected:
        troubles[hub] = nil
        agent.connected(hub, now: now)
      case .disconnected(let error, again: _):
        // Reported once, until it has worked again.
        let isNew = troubles[hub] == nil
        troubles[hub] = error.reason
        agent.disconnected(hub)
        if isNew { events.yield(.trouble("\(error.reason) It is tried again by itself.")) }
      case .message(let message): agent.heard(message, at: hub, now: now)
      }
      advance()
    }

    // MARK: Actions

    private func advance() {
      while let action = agent.nextAction() {
        switch action {
        case .say(let message, let channel, let hub): say(message, channel, hub)
        case .offer(let link, to: _):
          begin(link)?.offer(label: Self.label())
        case .answer(let link, from: _, let sdp):
          if begin(link) != nil { apply(link, .offer(sdp)) }
        case .apply(let link, .description(isOffer: _, let sdp)): apply(link, .answer(sdp))
        case .apply(let link, .candidate(let candidate)): apply(link, .candidate(candidate))
        case .drop(let link): connections.removeValue(forKey: link)?.close()
        case .giveUp(let link, let peer, let wasOpen): giveUp(link, peer, wasOpen)
        }
      }
      schedule()
    }

    private func say(_ message: SignalMessage, _ channel: String, _ hub: SignalAgent.Hub?) {
      let chosen = hub.map { [hubs[$0]] } ?? hubs
      for hub in chosen { hub.post(message, to: channel) }
    }

    /// Returns forty hexadecimal digits, as simple-peer does.
    private static func label() -> String {
      var random = SystemRandomNumberGenerator()
      return (0..<40).map { _ in String(Int.random(in: 0..<16, using: &random), radix: 16) }
        .joined()
    }

    private func schedule() {
      let due = isLeft && connections.isEmpty ? nil : agent.deadline
      guard due != timer?.due else { return }
      timer?.task.cancel()
      timer = due.map { due in
        let instant = Self.beginning + .milliseconds(Int64(clamping: due))
        let task = Task { @WebRTCActor [weak self] in
          do { try await Task.sleep(until: instant, clock: .continuous) } catch { return }
          self?.rang()
        }
        return (due, task)
      }
    }

    private func rang() {
      timer = nil
      // If the clock is short by a fraction of a millisecond, the timer would fire again at once.
      agent.fire(now: now + 1)
      advance()
    }

    // MARK: Connections

    private func begin(_ link: SignalAgent.Link) -> WebRTCConnection? {
      let connection: WebRTCConnection
      do {
        connection = try WebRTCConnection(options: options.webRTC) { [servers, events] in
          if let trouble = servers.heard(of: $0, $1) { events.yield(.trouble(trouble)) }
        }
      } catch {
        failed(link, "\(error)")
        return nil
      }
      connections[link] = connection
      Task { @WebRTCActor in
        for await signal in connection.signals {
          self.agent.signal(link, SignalMessage.Signal(signal))
          self.advance()
        }
        self.isOver(link, connection)
      }
      Task { @WebRTCActor in
        do {
          try await connection.opening()
          self.opened(link, connection)
        } catch {
          self.isOver(link, connection)
        }
      }
      return connection
    }

    private func apply(_ link: SignalAgent.Link, _ signal: WebRTCConnection.Signal) {
      guard let connection = connections[link] else { return }
      do { try connection.apply(signal) } catch { failed(link, error.reason) }
    }

    private func opened(_ link: SignalAgent.Link, _ connection: WebRTCConnection) {
      guard connections[link] === connection, let peer = agent.peer(link) else { return }
      let address = address(of: peer, connection)
      let relayed = connections.values.filter(\.isRelayed).count
      // A relay's address doesn't identify a peer, and IDs are free: half of the places is for the others.
      guard !connection.isRelayed || relayed <= options.limits.total / 2 else {
        return failed(link, "There are too many peers behind relays.")
      }
      agent.opened(link, now: now)
      advance()
      events.yield(
        .arrived(
          key, RoomConnection(connection, at: address, peer: peer, room: self, link: link)))
    }

    private func address(of peer: String, _ connection: WebRTCConnection?) -> PeerAddress {
      if let connection, !connection.isRelayed, let remote = connection.remoteAddress {
        return remote
      }
      // A peer's ID may be anything; the beginning of its hash is short, and can be shown.
      let digest = SHA256.hash(Array(peer.utf8)).prefix(8)
      let name = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      let hub = hubs[agent.hub(ofPeer: peer) ?? 0].address
      return PeerAddress(host: "\(name).\(hub.host)", port: hub.port)
    }

    private func giveUp(_ link: SignalAgent.Link, _ peer: String, _ wasOpen: Bool) {
      guard let connection = connections.removeValue(forKey: link) else { return }
      // An open one has been handed on, and the swarm reports its end.
      if !wasOpen {
        let address = address(of: peer, connection)
        events.yield(.failed(address, key, reason: "The peer did not go on with the connection."))
      }
      connection.close()
    }

    /// Handles the end of a connection, which two tasks notice, in either order.
    private func isOver(_ link: SignalAgent.Link, _ connection: WebRTCConnection) {
      guard connections[link] === connection else { return }
      if let failure = connection.failureToOpen {
        failed(link, failure.reason)
      } else {
        ended(link)
      }
    }

    private func failed(_ link: SignalAgent.Link, _ reason: String) {
      let connection = connections[link]
      if let peer = agent.peer(link) {
        events.yield(.failed(address(of: peer, connection), key, reason: reason))
      }
      ended(link)
      connection?.close()
    }

    private func ended(_ link: SignalAgent.Link) {
      connections[link] = nil
      agent.ended(link, now: now)
      advance()
    }

    /// The peer has completed the handshake of the room's protocol.
    func confirmed(_ link: SignalAgent.Link) {
      agent.confirmed(link)
      advance()
    }

    /// Notes that another transport leads to a peer, or no longer does.
    func setAside(_ peer: String, _ isAside: Bool) {
      agent.setAside(peer, isAside, now: now)
      advance()
    }

    // MARK: Ends

    /// Leaves the hubs. Open connections stay; those not open yet are cancelled.
    func leave() async {
      isLeft = true
      for reader in readers { reader.cancel() }
      for hub in hubs { await hub.close() }
      for index in hubs.indices { agent.disconnected(index) }
      for (link, connection) in connections where !agent.isOpen(link) {
        connections[link] = nil
        connection.close()
      }
      schedule()
    }

    /// True if a connection is left.
    var isInUse: Bool { !connections.isEmpty }

    /// Aborts what is left.
    func close() async {
      await leave()
      for connection in connections.values { connection.close() }
      connections = [:]
      timer?.task.cancel()
      timer = nil
    }
  }

  extension SignalMessage.Signal {
    init(_ signal: WebRTCConnection.Signal) {
      switch signal {
      case .offer(let sdp): self = .description(isOffer: true, sdp: sdp)
      case .answer(let sdp): self = .description(isOffer: false, sdp: sdp)
      case .candidate(let candidate): self = .candidate(candidate)
      }
    }
  }
#endif
