internal import HypercoreCrypto

/// The consequences of a handshake, and of the end of a connection.
extension SwarmCore {
  /// The decision on a connection whose peer has announced its ID.
  enum Verdict: Equatable {
    /// It stays, even if others have the same ID.
    case stays
    /// It is closed: it leads to ourselves.
    case isOwn
    /// It is closed: its topic was left.
    case isOver
  }

  /// Notes that the peer has completed its handshake. The ID that it announces ends no other connection.
  ///
  /// - Parameter canProve: true if the peer can prove which of its connections are its own.
  mutating func handshaken(
    _ number: Int, remote: [UInt8]?, own: [UInt8], canProve: Bool = false
  ) -> Verdict {
    guard let link = links[number], rooms[link.peer.discoveryKey] != nil else { return .isOver }
    if remote == own {
      links[number]?.isOwn = true
      events.append(.refused(link.peer.address, link.peer.discoveryKey, .own))
      return .isOwn
    }
    if !link.peer.isInbound {
      rooms[link.peer.discoveryKey]?.candidates[link.peer.address]?.failures = 0
    }
    links[number]?.name = PeerName(discoveryKey: link.peer.discoveryKey, id: remote ?? [])
    links[number]?.canProve = canProve
    events.append(.connected(link.peer))
    return .stays
  }

  /// The connections whose peers have completed their handshake, and that are not being closed.
  var peers: [SwarmPeer] {
    links.values.filter { $0.name != nil && $0.replacedBy == nil }.map(\.peer)
  }

  /// Returns the other connections whose peers announce the same ID and can prove it: at most eight, the
  /// oldest, so that the cost of connections under one ID grows only with their number.
  func namesakes(of number: Int) -> [Int] {
    guard let link = links[number], let name = link.name, !name.id.isEmpty, link.canProve else {
      return []
    }
    return links.values
      .filter { $0.name == name && $0.canProve && $0.peer.number != number }
      .map(\.peer.number).sorted().prefix(8).map(\.self)
  }

  /// Handles proof that two connections lead to one peer.
  ///
  /// The side whose ID is smaller closes one of them, so both ends agree, whenever they notice. Of two
  /// connections the one that this side opened stays; if one side opened both, the older.
  ///
  /// - Returns: the connection to close here; nil if that is up to the other side.
  mutating func same(_ one: Int, _ other: Int, own: [UInt8]) -> Int? {
    guard let first = links[min(one, other)], let second = links[max(one, other)], one != other,
      let name = first.name, name == second.name, first.replacedBy == nil, second.replacedBy == nil
    else { return nil }
    links[one]?.twins.insert(other)
    links[other]?.twins.insert(one)
    guard own.lexicographicallyPrecedes(name.id) else { return nil }
    let (kept, left) =
      first.peer.isInbound && !second.peer.isInbound ? (second, first) : (first, second)
    links[left.peer.number]?.replacedBy = kept.peer.number
    return left.peer.number
  }

  /// Notes the end of a connection or an attempt.
  ///
  /// - Parameter reason: the reason in words; nil for a proper end.
  mutating func closed(_ number: Int, reason: String?, now: Instant) {
    dialed(number)
    uncount(number)
    guard let link = links.removeValue(forKey: number) else { return }
    let key = link.peer.discoveryKey
    if link.name != nil { wake(number, key, now: now) }
    report(link, reason)
    if !link.peer.isInbound { dialAgain(link, number, now) }
    unpark(key, now: now)
    if link.name != nil, rooms[key] != nil,
      !links.values.contains(where: { $0.peer.discoveryKey == key && $0.name != nil })
    {
      lonely.insert(key)
    }
  }

  /// Returns the connection in favour of which a connection was closed, by either side; nil if there is none.
  func keeper(of number: Int) -> Int? { links[number].flatMap(keeper) }

  /// Returns the connection in favour of which a link was closed, by either side.
  private func keeper(_ link: Link) -> Int? {
    if let kept = link.replacedBy, links[kept] != nil { return kept }
    return link.twins.filter { links[$0]?.replacedBy == nil && links[$0] != nil }.min()
  }

  private mutating func report(_ link: Link, _ reason: String?) {
    if link.isOwn { return }
    if link.replacedBy != nil || keeper(link) != nil {
      events.append(.duplicate(link.peer))
    } else if link.name != nil {
      events.append(.disconnected(link.peer, reason: reason))
    } else {
      events.append(
        .failed(
          link.peer.address, link.peer.discoveryKey,
          reason: reason ?? "The connection ended before the peer said who it is."))
    }
  }

  /// Decides about the address of an outbound connection that has ended.
  private mutating func dialAgain(_ link: Link, _ number: Int, _ now: Instant) {
    let target = Target(discoveryKey: link.peer.discoveryKey, address: link.peer.address)
    // It may have been released, and given again.
    guard var candidate = candidate(target), case .busy(number) = candidate.phase else { return }
    if link.isOwn {
      candidate.phase = .own
      set(target, candidate)
      return
    }
    if let kept = keeper(link) {
      putAside(target, for: kept, until: nil)
      return
    }
    if let seeming = namesake(of: link) {
      putAside(target, for: seeming, until: now + options.seemingDuplicatePause)
      return
    }
    let pauses = candidate.isGiven ? options.givenPauses : options.pauses
    let pause = candidate.failures < pauses.count ? pauses[candidate.failures] : nil
    guard let pause = pause ?? (candidate.isGiven ? pauses.last ?? .seconds(60) : nil) else {
      rooms[target.discoveryKey]?.candidates[target.address] = nil
      if rooms[target.discoveryKey]?.candidates.isEmpty == true {
        lonely.insert(target.discoveryKey)
      }
      events.append(.forgotten(target.address, target.discoveryKey))
      return
    }
    candidate.failures += 1
    set(target, candidate)
    let due = now + jitter(pause)
    queue(target, at: due)
    events.append(.waiting(target.address, target.discoveryKey, until: due))
  }

  /// Returns a connection with the same ID as one that has ended, of a peer of the reference: such a peer
  /// closes the second of two and can't say so. Nothing proves that they are one peer, so it counts only for a
  /// while.
  private func namesake(of link: Link) -> Int? {
    guard let name = link.name, !name.id.isEmpty, !link.canProve else { return nil }
    return links.values
      .filter { $0.name == name && !$0.canProve && $0.replacedBy == nil }.map(\.peer.number).min()
  }

  /// Retries the other addresses of the peer of a connection that has ended.
  private mutating func wake(_ number: Int, _ key: DiscoveryKey, now: Instant) {
    guard let room = rooms[key] else { return }
    for (address, candidate) in room.candidates {
      guard case .standby(number, _) = candidate.phase else { continue }
      let pause = (candidate.isGiven ? options.givenPauses : options.pauses).first ?? .seconds(1)
      queue(Target(discoveryKey: key, address: address), at: now + jitter(pause))
    }
  }
}
