internal import HypercoreCrypto

/// What follows from a handshake, and from the end of a connection.
extension SwarmCore {
  /// What is to be done with a connection whose peer has said what it calls itself.
  enum Verdict: Equatable {
    /// It stays, whatever others call themselves.
    case stays
    /// It is closed: it leads to ourselves.
    case isOwn
    /// It is closed: its topic was left.
    case isOver
  }

  /// The peer has completed its handshake. What it calls itself ends no other connection.
  ///
  /// - Parameter canProve: whether the peer can show which of its connections are its own.
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

  /// The connections whose peers have completed their handshake, and that are not being left.
  var peers: [SwarmPeer] {
    links.values.filter { $0.name != nil && $0.replacedBy == nil }.map(\.peer)
  }

  /// The other connections whose peers call themselves the same and can prove it: at most eight, the
  /// oldest, so that connections under one name cost no more than their number.
  func namesakes(of number: Int) -> [Int] {
    guard let link = links[number], let name = link.name, !name.id.isEmpty, link.canProve else {
      return []
    }
    return links.values
      .filter { $0.name == name && $0.canProve && $0.peer.number != number }
      .map(\.peer.number).sorted().prefix(8).map(\.self)
  }

  /// Two connections have been shown to lead to one peer.
  ///
  /// The side whose name is smaller leaves one of them; so both ends agree, whenever they notice. The one
  /// that it opened stays; of two opened by one side, the older.
  ///
  /// - Returns: the connection to be closed here; nil where that is the other side's part.
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

  /// A connection, or a try, is over.
  ///
  /// - Parameter reason: in words; nil for a proper end.
  mutating func closed(_ number: Int, reason: String?, now: Instant) {
    dialed(number)
    uncount(number)
    guard let link = links.removeValue(forKey: number) else { return }
    let key = link.peer.discoveryKey
    if link.name != nil { wake(number, key, now: now) }
    tell(link, reason)
    if !link.peer.isInbound { dialAgain(link, number, now) }
    unpark(key, now: now)
    if link.name != nil, rooms[key] != nil,
      !links.values.contains(where: { $0.peer.discoveryKey == key && $0.name != nil })
    {
      lonely.insert(key)
    }
  }

  /// The connection that one has been left for, by this side or the other; nil if it has not.
  func keeper(of number: Int) -> Int? { links[number].flatMap(keeper) }

  /// The connection that a link has been left for, by this side or the other.
  private func keeper(_ link: Link) -> Int? {
    if let kept = link.replacedBy, links[kept] != nil { return kept }
    return link.twins.filter { links[$0]?.replacedBy == nil && links[$0] != nil }.min()
  }

  private mutating func tell(_ link: Link, _ reason: String?) {
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

  /// A connection under the name of one that is over, of a peer of the reference: it closes the second of
  /// two and can't say so. Nothing shows that they are one peer, so that holds for a while only.
  private func namesake(of link: Link) -> Int? {
    guard let name = link.name, !name.id.isEmpty, !link.canProve else { return nil }
    return links.values
      .filter { $0.name == name && !$0.canProve && $0.replacedBy == nil }.map(\.peer.number).min()
  }

  /// A connection is over: the other ways to its peer are tried again.
  private mutating func wake(_ number: Int, _ key: DiscoveryKey, now: Instant) {
    guard let room = rooms[key] else { return }
    for (address, candidate) in room.candidates {
      guard case .standby(number, _) = candidate.phase else { continue }
      let pause = (candidate.isGiven ? options.givenPauses : options.pauses).first ?? .seconds(1)
      queue(Target(discoveryKey: key, address: address), at: now + jitter(pause))
    }
  }
}
