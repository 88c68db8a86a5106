/// What follows from a handshake, and from the end of a connection.
extension SwarmCore {
  /// What is to be done with a connection whose peer has said what it calls itself.
  enum Verdict: Equatable {
    /// It stays.
    case stays
    /// It stays, and the earlier connection of the same peer is closed.
    case replaces(Int)
    /// It is closed: an earlier connection of the same peer stays.
    case isDuplicate
    /// It is closed: it leads to ourselves.
    case isOwn
    /// It is closed: its topic was left.
    case isOver
  }

  /// The peer has completed its handshake.
  ///
  /// Of two connections of one peer stays the one that was opened by the side whose name is smaller; by
  /// that side the newer, by the other the older. Both ends come to the same result, though not at the
  /// same moment. Source: discovery-swarm.
  mutating func handshaken(_ number: Int, remote: [UInt8]?, own: [UInt8]) -> Verdict {
    guard let link = links[number], rooms[link.peer.discoveryKey] != nil else { return .isOver }
    if remote == own {
      links[number]?.isOwn = true
      events.append(.refused(link.peer.address, link.peer.discoveryKey, .own))
      return .isOwn
    }
    if !link.peer.isInbound {
      rooms[link.peer.discoveryKey]?.candidates[link.peer.address]?.failures = 0
    }
    // Who has no name is nobody's duplicate.
    let name = PeerName(discoveryKey: link.peer.discoveryKey, id: remote ?? [])
    links[number]?.name = name
    guard !name.id.isEmpty, let old = named[name], links[old] != nil else {
      if !name.id.isEmpty { named[name] = number }
      events.append(.connected(link.peer))
      return .stays
    }
    let isSmaller = name.id.lexicographicallyPrecedes(own)
    if isSmaller != link.peer.isInbound {
      links[number]?.replacedBy = name
      return .isDuplicate
    }
    named[name] = number
    links[old]?.replacedBy = name
    events.append(.connected(link.peer))
    return .replaces(old)
  }

  /// A connection, or a try, is over.
  ///
  /// - Parameter reason: in words; nil for a proper end.
  mutating func closed(_ number: Int, reason: String?, now: Instant) {
    dialed(number)
    uncount(number)
    guard let link = links.removeValue(forKey: number) else { return }
    let key = link.peer.discoveryKey
    if let name = link.name, named[name] == number {
      named[name] = nil
      wake(name, now: now)
    }
    tell(link, reason)
    if !link.peer.isInbound { dialAgain(link, number, now) }
    unpark(key, now: now)
    if link.name != nil, rooms[key] != nil,
      !links.values.contains(where: { $0.peer.discoveryKey == key && $0.name != nil })
    {
      lonely.insert(key)
    }
  }

  private mutating func tell(_ link: Link, _ reason: String?) {
    if link.isOwn { return }
    if link.replacedBy != nil {
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

  /// Decides about the address of a connection that we opened and that is over.
  private mutating func dialAgain(_ link: Link, _ number: Int, _ now: Instant) {
    let target = Target(discoveryKey: link.peer.discoveryKey, address: link.peer.address)
    // It may have been released, and given anew.
    guard var candidate = candidate(target), case .busy(number) = candidate.phase else { return }
    if link.isOwn {
      candidate.phase = .own
      set(target, candidate)
      return
    }
    if let name = link.replacedBy, named[name] != nil {
      candidate.phase = .standby(name)
      set(target, candidate)
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

  /// The connection with a peer is over: the other ways to it are tried again.
  private mutating func wake(_ name: PeerName, now: Instant) {
    guard let room = rooms[name.discoveryKey] else { return }
    for (address, candidate) in room.candidates {
      guard case .standby(name) = candidate.phase else { continue }
      let target = Target(discoveryKey: name.discoveryKey, address: address)
      let pause = (candidate.isGiven ? options.givenPauses : options.pauses).first ?? .seconds(1)
      queue(target, at: now + jitter(pause))
    }
  }
}
