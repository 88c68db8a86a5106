internal import DatFleet
internal import DatSwarm
internal import HypercoreCrypto
internal import Logging

/// The list of keys, and what the host does with each.
extension FleetHost {
  // MARK: The list

  /// Adds a key for the whole fleet. Returns when it is in the list on the disk, and held here if it falls to this host.
  func add(_ key: HostedKey) async throws(HostError) {
    let known = list.kind(of: key.key)
    if known == nil || (key.kind != .unknown && known != key.kind.fleetNumber) {
      try change(key.key, key.kind.fleetNumber)
    }
    await settle(key.key.discoveryKey)
  }

  /// Takes a key off for the whole fleet.
  ///
  /// - Throws: ``HostError`` with `unknownKey` if the list does not have it.
  func remove(_ key: PublicKey) async throws(HostError) {
    guard list.kind(of: key) != nil else {
      throw HostError(.unknownKey, "The key \(key.hex) is not hosted here.")
    }
    try change(key, nil)
    await settle(key.discoveryKey)
  }

  /// Notes the kind of a key, as it was found out.
  func found(_ kind: HostedKind, of key: PublicKey) {
    guard list.kind(of: key) == HostedKind.unknown.fleetNumber else { return }
    do throws(HostError) { try change(key, kind.fleetNumber) } catch {
      logger.error("\(error.reason)")
    }
  }

  private func change(_ key: PublicKey, _ kind: UInt8?) throws(HostError) {
    if isClosed { throw HostError(.closed, "The host is closing.") }
    let entry = list.entry(of: key, kind: kind)
    try store.append([entry], to: list)
    list.merge(entry)
    apply(entry)
    push([entry], except: nil)
  }

  /// Takes in entries of another member.
  ///
  /// - Returns: those that were news.
  func merge(_ entries: [FleetEntry]) -> [FleetEntry] {
    let news = entries.filter { list.merge($0) }
    guard !news.isEmpty else { return [] }
    do throws(HostError) { try store.append(news, to: list) } catch {
      // It holds until the next start, and is fetched again then.
      logger.error("\(error.reason)")
    }
    for entry in news { apply(entry) }
    return news
  }

  private func apply(_ entry: FleetEntry) {
    let key = entry.key.discoveryKey
    keys[key] = entry.key
    guard entry.kind != nil else {
      plan.remove(key)
      settleSoon(key)
      return
    }
    if plan.contains(key) {
      if plan.place(of: key) != .elsewhere { settleSoon(key) }
    } else {
      perform(plan.insert(key, stored: isStored(key) ? .served : .nothing))
    }
  }

  // MARK: What is done with a key

  /// Lets a key's turn come.
  func settleSoon(_ key: DiscoveryKey) {
    guard !isClosed else { return }
    due.append(key)
    guard !isSettling else { return }
    isSettling = true
    Task {
      while !due.isEmpty, !isClosed {
        let keys = due
        due = []
        var seen: Set<DiscoveryKey> = []
        for key in keys where seen.insert(key).inserted { await settle(key) }
      }
      isSettling = false
    }
  }

  /// Makes the host hold a key, or stop serving it, as the plan has it now.
  func settle(_ key: DiscoveryKey) async {
    guard let host, let publicKey = keys[key] else { return }
    guard settling.insert(key).inserted else {
      again.insert(key)
      return
    }
    repeat {
      again.remove(key)
      guard !isClosed else { break }
      let place = plan.place(of: key)
      switch place {
      case .owned, .leaving:
        guard let hosted = hosted(key) else { break }
        await host.hold(hosted)
        await connect(key, isLeaving: place == .leaving)
      case .elsewhere, .kept:
        peers[key] = nil
        await host.letGo(publicKey)
        if freeing.contains(key), plan.place(of: key) == .elsewhere {
          freeing.remove(key)
          free(key)
        }
      }
    } while again.contains(key)
    settling.remove(key)
  }

  /// Stays connected about a key with other hosts of it: an owner with the other owners whose names follow its own, so
  /// that one of two dials, and a host that is to let go with all owners.
  private func connect(_ key: DiscoveryKey, isLeaving: Bool) async {
    var wanted: [String: PeerAddress] = [:]
    for owner in plan.owners(of: key) where owner != name {
      guard isLeaving || name.utf8.lexicographicallyPrecedes(owner.utf8) else { continue }
      wanted[owner] = addresses[owner]
    }
    let present = peers[key] ?? [:]
    peers[key] = wanted
    for (owner, address) in present where wanted[owner] != address {
      await swarm.disconnect(from: address, about: key)
    }
    for (owner, address) in wanted where present[owner] != address {
      await swarm.connect(to: address, about: key)
    }
  }
}
