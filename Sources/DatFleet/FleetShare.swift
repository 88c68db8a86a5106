package import HypercoreCrypto

/// The keys that fall to one host, out of all keys of its fleet.
///
/// For a key that falls to others the share remembers `copies` hosts of greater weight: while these are members,
/// the key can't fall to this host. So a host that joins costs two hashes for each key that falls to this one, and
/// a host that leaves costs a search only for the keys that remember it. A search ends with the last of the
/// `copies` hosts that it needs, after about `copies` times the logarithm of the number of hosts; a full ranking
/// would take a hash for each of them.
package struct FleetShare: Sendable {
  private var keys: [DiscoveryKey] = []
  private var indexes: [DiscoveryKey: Int] = [:]
  /// For each key `copies` numbers of hosts with greater weights, -1 in free slots.
  private var witnesses: [FleetID] = []
  private let own: FleetID
  private let copies: Int
  /// The hashes that were computed, for measurements.
  package private(set) var hashes: UInt64 = 0

  /// Makes an empty share.
  ///
  /// - Parameters:
  ///   - own: the number of the host.
  ///   - copies: the number of hosts that hold each key.
  package init(own: FleetID, copies: Int) {
    self.own = own
    self.copies = max(copies, 1)
  }

  /// The number of keys of the fleet.
  package var count: Int { keys.count }

  /// Returns whether the fleet has a key.
  package func contains(_ key: DiscoveryKey) -> Bool { indexes[key] != nil }

  /// Returns whether a key falls to the host.
  package func isMine(_ key: DiscoveryKey) -> Bool { indexes[key].map(isMine) ?? false }

  /// Adds a key.
  ///
  /// - Returns: true if it falls to the host.
  package mutating func insert(_ key: DiscoveryKey, _ roll: FleetRoll) -> Bool {
    if let index = indexes[key] { return isMine(index) }
    indexes[key] = keys.count
    keys.append(key)
    witnesses += repeatElement(-1, count: copies)
    search(keys.count - 1, roll)
    return isMine(keys.count - 1)
  }

  /// Removes a key.
  package mutating func remove(_ key: DiscoveryKey) {
    guard let index = indexes.removeValue(forKey: key), let last = keys.last else { return }
    let end = keys.count - 1
    if index != end {
      keys[index] = last
      indexes[last] = index
      for slot in 0..<copies { witnesses[index * copies + slot] = witnesses[end * copies + slot] }
    }
    keys.removeLast()
    witnesses.removeLast(copies)
  }

  /// Updates the share after hosts have joined and left.
  ///
  /// - Returns: the keys that fall to the host now and did not before, and those that no longer do.
  package mutating func update(came: [FleetID], left: Set<FleetID>, _ roll: FleetRoll)
    -> (gained: [DiscoveryKey], lost: [DiscoveryKey])
  {
    var (gained, lost) = ([DiscoveryKey](), [DiscoveryKey]())
    let isOwnChange = left.contains(own) || came.contains(own)
    for index in keys.indices {
      let wasMine = isMine(index)
      if isOwnChange || (!left.isEmpty && hasWitness(index, in: left)) {
        search(index, roll)
      } else if wasMine, !came.isEmpty {
        let weight = RankedHost(host: own, weight: self.weight(of: own, index, roll))
        for host in came where isMine(index) {
          let other = RankedHost(host: host, weight: self.weight(of: host, index, roll))
          if roll.precedes(other, weight) { note(host, at: index) }
        }
      }
      guard wasMine != isMine(index) else { continue }
      if wasMine { lost.append(keys[index]) } else { gained.append(keys[index]) }
    }
    return (gained, lost)
  }

  private func isMine(_ index: Int) -> Bool { witnesses[index * copies + copies - 1] < 0 }

  private func hasWitness(_ index: Int, in hosts: Set<FleetID>) -> Bool {
    witnesses[index * copies..<(index + 1) * copies].contains { $0 >= 0 && hosts.contains($0) }
  }

  private mutating func note(_ host: FleetID, at index: Int) {
    for slot in index * copies..<(index + 1) * copies where witnesses[slot] < 0 {
      witnesses[slot] = host
      return
    }
  }

  private mutating func weight(of host: FleetID, _ index: Int, _ roll: FleetRoll) -> UInt64 {
    hashes += 1
    return roll.weight(of: host, for: keys[index])
  }

  /// Looks for hosts of greater weight, until there are enough.
  private mutating func search(_ index: Int, _ roll: FleetRoll) {
    for slot in 0..<copies { witnesses[index * copies + slot] = -1 }
    guard roll.contains(own) else {
      // This host is not a member, so everything falls to others. Until it is one, its own number fills the slots.
      for slot in 0..<copies { witnesses[index * copies + slot] = own }
      return
    }
    let mine = RankedHost(host: own, weight: weight(of: own, index, roll))
    for host in roll.present where host != own {
      let other = RankedHost(host: host, weight: weight(of: host, index, roll))
      guard roll.precedes(other, mine) else { continue }
      note(host, at: index)
      if !isMine(index) { return }
    }
  }
}
