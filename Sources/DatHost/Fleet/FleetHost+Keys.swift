internal import DatFleet
internal import DatSwarm
internal import HypercoreCrypto
internal import Logging

/// The list of keys, and what the host does with each.
extension FleetHost {
  // MARK: The list

  /// Adds a key for the whole fleet. Returns when it is in the list on the disk, and held here if it falls to this host.
  func add(_ key: HostedKey) async throws(HostError) {
    let known = keys.list.kind(of: key.key)
    if known == nil || (key.kind != .unknown && known != key.kind.fleetNumber) {
      try change(key.key, key.kind.fleetNumber)
    }
    await followPlan(for: key.key.discoveryKey)
  }

  /// Takes a key off for the whole fleet.
  ///
  /// - Throws: ``HostError`` with `unknownKey` if the list does not have it.
  func remove(_ key: PublicKey) async throws(HostError) {
    guard keys.list.kind(of: key) != nil else {
      throw HostError(.unknownKey, "The key \(key.hex) is not hosted here.")
    }
    try change(key, nil)
    await followPlan(for: key.discoveryKey)
  }

  /// Notes the kind of a key, as it was found out.
  func found(_ kind: HostedKind, of key: PublicKey) {
    guard keys.list.kind(of: key) == HostedKind.unknown.fleetNumber else { return }
    do throws(HostError) { try change(key, kind.fleetNumber) } catch {
      logger.error("\(error.reason)")
    }
  }

  private func change(_ key: PublicKey, _ kind: UInt8?) throws(HostError) {
    if isClosed { throw HostError(.closed, "The host is closing.") }
    let entry = try keys.change(key, kind)
    apply(entry)
    push([entry])
  }

  /// Takes in entries of another member.
  ///
  /// - Returns: those that were news.
  func merge(_ entries: [FleetEntry]) -> [FleetEntry] {
    let (news, error) = keys.merge(entries)
    if let error { logger.error("\(error.reason)") }
    for entry in news { apply(entry) }
    return news
  }

  private func apply(_ entry: FleetEntry) {
    let key = entry.key.discoveryKey
    guard entry.kind != nil else {
      plan.remove(key)
      followPlanSoon(for: key)
      return
    }
    if plan.contains(key) {
      if plan.stage(of: key) != .elsewhere { followPlanSoon(for: key) }
    } else {
      perform(plan.insert(key, stored: keys.isStored(key) ? .served : .nothing))
    }
  }

  // MARK: Following the plan

  /// Lets a key's turn come.
  func followPlanSoon(for key: DiscoveryKey) {
    guard !isClosed, turns.add(key) else { return }
    Task {
      while !isClosed {
        let keys = turns.nextBatch()
        if keys.isEmpty { break }
        for key in keys { await followPlan(for: key) }
      }
      turns.end()
    }
  }

  /// Makes the host hold a key, or stop serving it, as the plan has it now.
  func followPlan(for key: DiscoveryKey) async {
    guard let host, let publicKey = keys.publicKey(of: key), turns.begin(key) else { return }
    repeat {
      if isClosed { return turns.giveUp(key) }
      let stage = plan.stage(of: key)
      switch stage {
      case .owned, .leaving:
        guard let hosted = keys[key] else { break }
        await host.hold(hosted)
        await connect(key, isLeaving: stage == .leaving)
      case .elsewhere, .kept:
        contacts.removeConnections(about: key)
        await host.letGo(publicKey)
        if plan.stage(of: key) == .elsewhere, turns.frees(key) { free(key) }
      }
    } while turns.repeats(key)
  }

  /// Stays connected about a key with other hosts of it: an owner with the other owners whose names follow its own, so
  /// that one of two dials, and a host that is to let go with all owners.
  private func connect(_ key: DiscoveryKey, isLeaving: Bool) async {
    let wanted = plan.owners(of: key).filter { owner in
      owner != name && (isLeaving || name.utf8.lexicographicallyPrecedes(owner.utf8))
    }
    await swarm.apply(contacts.connect(key, with: wanted), about: key)
  }
}
