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
  private var places: [DiscoveryKey: Int] = [:]
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
  package func contains(_ key: DiscoveryKey) -> Bool { places[key] != nil }

  /// Returns whether a key falls to the host.
  package func isMine(_ key: DiscoveryKey) -> Bool { places[key].map(isMine) ?? false }

  /// Adds a key.
  ///
  /// - Returns: true if it falls to the host.
  package mutating func insert(_ key: DiscoveryKey, _ roll: FleetRoll) -> Bool {
    if let place = places[key] { return isMine(place) }
    places[key] = keys.count
    keys.append(key)
    witnesses += repeatElement(-1, count: copies)
    search(keys.count - 1, roll)
    return isMine(keys.count - 1)
  }

  /// Removes a key.
  package mutating func remove(_ key: DiscoveryKey) {
    guard let place = places.removeValue(forKey: key), let last = keys.last else { return }
    let end = keys.count - 1
    if place != end {
      keys[place] = last
      places[last] = place
      for slot in 0..<copies { witnesses[place * copies + slot] = witnesses[end * copies + slot] }
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
    for place in keys.indices {
      let wasMine = isMine(place)
      if isOwnChange || (!left.isEmpty && hasWitness(place, in: left)) {
        search(place, roll)
      } else if wasMine, !came.isEmpty {
        let weight = RankedHost(host: own, weight: self.weight(of: own, place, roll))
        for host in came where isMine(place) {
          let other = RankedHost(host: host, weight: self.weight(of: host, place, roll))
          if roll.precedes(other, weight) { note(host, at: place) }
        }
      }
      guard wasMine != isMine(place) else { continue }
      if wasMine { lost.append(keys[place]) } else { gained.append(keys[place]) }
    }
    return (gained, lost)
  }

  private func isMine(_ place: Int) -> Bool { witnesses[place * copies + copies - 1] < 0 }

  private func hasWitness(_ place: Int, in hosts: Set<FleetID>) -> Bool {
    witnesses[place * copies..<(place + 1) * copies].contains { $0 >= 0 && hosts.contains($0) }
  }

  private mutating func note(_ host: FleetID, at place: Int) {
    for slot in place * copies..<(place + 1) * copies where witnesses[slot] < 0 {
      witnesses[slot] = host
      return
    }
  }

  private mutating func weight(of host: FleetID, _ place: Int, _ roll: FleetRoll) -> UInt64 {
    hashes += 1
    return roll.weight(of: host, for: keys[place])
  }

  /// Looks for hosts of greater weight, until there are enough.
  private mutating func search(_ place: Int, _ roll: FleetRoll) {
    for slot in 0..<copies { witnesses[place * copies + slot] = -1 }
    guard roll.contains(own) else {
      // This host is not a member, so everything falls to others. Until it is one, its own number fills the slots.
      for slot in 0..<copies { witnesses[place * copies + slot] = own }
      return
    }
    let mine = RankedHost(host: own, weight: weight(of: own, place, roll))
    for host in roll.present where host != own {
      let other = RankedHost(host: host, weight: weight(of: host, place, roll))
      guard roll.precedes(other, mine) else { continue }
      note(host, at: place)
      if !isMine(place) { return }
    }
  }
}
