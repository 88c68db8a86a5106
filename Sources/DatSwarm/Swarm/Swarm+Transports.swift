internal import HypercoreCrypto

/// Connections that transports provide.
extension Swarm {
  /// Serves the connections of a transport, within caps of their own: they take no place from those over
  /// TCP.
  func follow(_ transport: any PeerTransport) -> Task<Void, Never> {
    var limits = TCPListener.Options()
    limits.maximumInbound = options.maximumInbound
    limits.maximumPerAddress = options.maximumPerAddress
    limits.maximumPerLoopback = options.maximumPerLoopback
    limits.maximumHalfOpen = options.maximumHalfOpen
    let admission = Admission(limits.caps)
    return Task { [weak self] in
      for await event in transport.events {
        switch event {
        case .arrived(let key, let connection):
          guard let self else { return connection.close() }
          await serve(connection, about: key, admission)
        case .failed(let address, let key, let reason):
          await self?.emit(.failed(address, key, reason: reason))
        case .trouble(let reason): await self?.emit(.trouble(transport.origin, reason))
        }
      }
    }
  }

  /// Serves a connection, if the caps permit one more of its address.
  private func serve(
    _ connection: any PeerConnection, about key: DiscoveryKey, _ admission: Admission
  ) {
    let address = connection.remoteAddress
    if let refusal = policy.refusal(of: address.host, now: .now) {
      return refuse(connection, key, refusal)
    }
    guard services[key] != nil else { return refuse(connection, nil, .unknownTopic) }
    guard case .admitted(let ticket, let evicted) = admission.admit(address, now: .now) else {
      return refuse(connection, key, .crowded)
    }
    if let evicted { core.events.append(.evicted(evicted.address)) }
    ticket.whenEvicted { connection.close() }
    guard let peer = core.arrived(key, from: address) else {
      ticket.leave()
      return connection.close()
    }
    let number = peer.number
    let task = Task { [weak self] in
      defer { ticket.leave() }
      do {
        try await self?.carry(connection, number, ticket)
        await self?.ended(number, nil)
      } catch {
        await self?.ended(number, "\(error)")
      }
      // Whatever the outcome, it is no longer used.
      connection.close()
    }
    running[number] = Running(task: task, connection: connection, isTransported: true)
    turn()
  }

  private func refuse(
    _ connection: any PeerConnection, _ key: DiscoveryKey?, _ refusal: SwarmEvent.Refusal
  ) {
    core.events.append(.refused(connection.remoteAddress, key, refusal))
    connection.close()
    turn()
  }

  /// Keeps a transport from reopening a connection that was closed for another one to the same peer.
  func setAside(_ number: Int) {
    guard let running = running[number], running.isTransported, let connection = running.connection,
      let kept = core.keeper(of: number)
    else { return }
    connection.setAside()
    aside[kept, default: []].append(connection)
  }

  /// Lets transports reopen the connections that were closed for one that has ended.
  func takeUp(_ number: Int) {
    for connection in aside.removeValue(forKey: number) ?? [] { connection.takeUp() }
  }
}
