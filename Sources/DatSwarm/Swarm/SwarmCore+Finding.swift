internal import HypercoreCrypto

/// The intake of addresses from sources, within the shares of their hosts and of those that name
/// them.
extension SwarmCore {
  /// Takes a finding of a source, as far as it is trusted.
  mutating func found(_ finding: Finding, from origin: PeerOrigin, now: Instant) {
    guard let key = topics[finding.topic] else { return }
    for address in finding.addresses {
      if rooms[key]?.candidates[address] != nil { continue }
      let host = IPAddress(address.host)
      var candidate = Candidate(isGiven: false, phase: .parked, host: host)
      candidate.speaksForItself = origin == .lan && finding.informant == address.host
      if let refusal = judge(address, candidate, origin, finding, now)
        ?? makeRoom(for: candidate, in: key)
      {
        events.append(.refused(address, key, refusal))
        continue
      }
      candidate.found = nextTicket()
      events.append(.found(address, key, origin))
      let target = Target(discoveryKey: key, address: address)
      set(target, candidate)
      queue(target, at: now)
    }
  }

  private mutating func judge(
    _ address: PeerAddress, _ candidate: Candidate, _ origin: PeerOrigin, _ finding: Finding,
    _ now: Instant
  ) -> SwarmEvent.Refusal? {
    let kind = AddressKind(address)
    guard let host = candidate.host, kind != .unusable, kind != .name,
      !local.broadcasts.contains(address.host)
    else { return .unusable }
    if local.isOwn(address, kind) { return .own }
    if !options.dialsLoopback {
      let isNear = finding.informant.map { PeerAddress(host: $0, port: 1).isLoopback } ?? false
      if kind == .loopback, !isNear || origin == .dht { return .loopback }
      if kind == .local, origin == .dht { return .local }
    }
    if let refusal = policy.refusal(of: address.host, now: now) { return refusal }
    if origin == .lan, let informant = finding.informant, !candidate.speaksForItself,
      !budget.take(
        .informant(IPAddress(informant)?.neighbourhood), limit: options.maximumNamed, now: now)
    {
      return .talkative
    }
    // On this machine attempts cost no one else anything, and all peers have one address.
    if kind == .loopback { return nil }
    let news = budget.count(.host(finding.topic, host.neighbourhood), now: now)
    guard news < options.maximumNewPerHost else { return .talkative }
    // A sender's address on a local network is easily forged, so they are limited together. But the
    // first address of a host does not compete with further ones of others.
    let isFirst = news == 0 && candidate.speaksForItself
    let account = NamingBudget.Account.topic(finding.topic, origin, isFirst: isFirst)
    guard budget.take(account, limit: 4 * options.maximumCandidates, now: now) else {
      return .talkative
    }
    return budget.take(
      .host(finding.topic, host.neighbourhood), limit: options.maximumNewPerHost, now: now)
      ? nil : .talkative
  }

  /// Evicts another address for one, if its host or the topic has as many as it may: of the host the one that
  /// failed most, or was found longest ago; of the topic one that failed, then one that another host named,
  /// then one of the host with the most.
  private mutating func makeRoom(
    for candidate: Candidate, in key: DiscoveryKey
  ) -> SwarmEvent.Refusal? {
    guard let room = rooms[key] else { return .unknownTopic }
    let host = candidate.host?.neighbourhood
    if !candidate.isLoopback {
      let own = room.candidates.filter {
        !$0.value.isGiven && $0.value.host?.neighbourhood == host
      }
      if own.count >= options.maximumPerHost {
        // An address that its own host announced doesn't give way to what others report.
        let worst = own.filter {
          $0.value.isIdle && (candidate.speaksForItself || !$0.value.speaksForItself)
        }.max(by: Self.isBetter)
        guard let worst else { return .full }
        evict(worst.key, in: key)
        return nil
      }
    }
    guard room.candidates.count >= options.maximumCandidates else { return nil }
    let idle = room.candidates.filter { $0.value.isIdle }
    if let failing = idle.filter({ $0.value.failures > 0 }).max(by: Self.isBetter) {
      evict(failing.key, in: key)
      return nil
    }
    guard candidate.speaksForItself else { return .full }
    if let named = idle.filter({ !$0.value.speaksForItself }).max(by: Self.isBetter) {
      evict(named.key, in: key)
      return nil
    }
    var counts: [IPAddress: Int] = [:]
    for other in room.candidates.values {
      if let host = other.host?.neighbourhood { counts[host, default: 0] += 1 }
    }
    let own = host.flatMap { counts[$0] } ?? 0
    let crowding = idle.filter { _, other in
      (other.host.flatMap { counts[$0.neighbourhood] } ?? 0) > own + 1
    }
    guard let worst = crowding.max(by: Self.isBetter) else { return .full }
    evict(worst.key, in: key)
    return nil
  }

  /// Returns whether the first is more worth keeping: it failed less often, or was found later.
  private static func isBetter(
    _ one: (key: PeerAddress, value: Candidate), _ other: (key: PeerAddress, value: Candidate)
  ) -> Bool {
    one.value.failures == other.value.failures
      ? one.value.found > other.value.found : one.value.failures < other.value.failures
  }

  private mutating func evict(_ address: PeerAddress, in key: DiscoveryKey) {
    rooms[key]?.candidates[address] = nil
    events.append(.forgotten(address, key))
  }
}
