package import HypercoreCrypto

/// Rendezvous hashing: the weight of a host for a key, and the hosts of the greatest weight.
///
/// The weight is the first eight bytes, big-endian, of the hash that a feed's block of these bytes would
/// have: discovery key, then the host's name. A host that knows the names gets the same result.
package enum Rendezvous {
  /// Returns the weight of a host for a key.
  package static func weight(of host: [UInt8], for key: DiscoveryKey) -> UInt64 {
    withUnsafeTemporaryAllocation(byteCount: DiscoveryKey.byteCount + host.count, alignment: 8) {
      scratch in
      key.withUnsafeBytes { scratch.copyMemory(from: $0) }
      UnsafeMutableRawBufferPointer(rebasing: scratch[DiscoveryKey.byteCount...])
        .copyBytes(from: host)
      return TreeHash.leaf(UnsafeRawBufferPointer(scratch)).withUnsafeBytes {
        UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self))
      }
    }
  }
}

/// The number of a host in a ``FleetRoll``, which never changes.
package typealias FleetID = Int32

/// The hosts of a fleet, each with a number that it keeps when it leaves and comes back.
package struct FleetRoll: Sendable {
  /// By number, the name in UTF-8.
  package private(set) var names: [[UInt8]] = []
  private var numbers: [String: FleetID] = [:]
  /// By number, the index in ``present``; -1 for an absent host.
  private var indexes: [Int] = []
  /// The numbers of the present hosts, in no order.
  package private(set) var present: [FleetID] = []

  /// Makes an empty roll.
  package init() {}

  /// Makes a roll of present hosts.
  package init(_ names: some Sequence<String>) {
    for name in names { insert(name) }
  }

  /// Returns the number of a name, and assigns one if it has none yet.
  package mutating func number(of name: String) -> FleetID {
    if let number = numbers[name] { return number }
    let number = FleetID(names.count)
    numbers[name] = number
    names.append(Array(name.utf8))
    indexes.append(-1)
    return number
  }

  /// Returns the number of a name; nil if it has none.
  package func knownNumber(of name: String) -> FleetID? { numbers[name] }

  /// Returns the name of a number.
  package func name(of number: FleetID) -> String {
    String(decoding: names[Int(number)], as: UTF8.self)
  }

  /// Returns whether a host is present.
  package func contains(_ number: FleetID) -> Bool { indexes[Int(number)] >= 0 }

  /// Makes a host present.
  ///
  /// - Returns: its number.
  @discardableResult
  package mutating func insert(_ name: String) -> FleetID {
    let number = number(of: name)
    guard indexes[Int(number)] < 0 else { return number }
    indexes[Int(number)] = present.count
    present.append(number)
    return number
  }

  /// Makes a host absent.
  package mutating func remove(_ number: FleetID) {
    let index = indexes[Int(number)]
    guard index >= 0, let last = present.last else { return }
    present[index] = last
    indexes[Int(last)] = index
    present.removeLast()
    indexes[Int(number)] = -1
  }

  /// Returns the weight of a host for a key.
  package func weight(of number: FleetID, for key: DiscoveryKey) -> UInt64 {
    Rendezvous.weight(of: names[Int(number)], for: key)
  }

  /// Returns whether a host ranks before another one: by weight, then by name, the greater first.
  func precedes(_ one: RankedHost, _ other: RankedHost) -> Bool {
    guard one.weight == other.weight else { return one.weight > other.weight }
    return names[Int(other.host)].lexicographicallyPrecedes(names[Int(one.host)])
  }
}

/// A host with its weight for some key.
package struct RankedHost: Hashable, Sendable {
  /// The number of the host.
  package let host: FleetID
  /// Its weight.
  package let weight: UInt64
}

/// The hosts of the greatest weight for one key, the greatest first. A host that joins costs one hash.
package struct FleetRanking: Sendable {
  /// The hosts, the one of the greatest weight first: `copies` of them, or all if there are fewer.
  package private(set) var hosts: [RankedHost] = []

  /// Ranks all present hosts: one hash for each.
  package init(of key: DiscoveryKey, copies: Int, in roll: FleetRoll) {
    hosts.reserveCapacity(copies + 1)
    for host in roll.present { insert(host, key, copies, roll) }
  }

  /// Adds a host that has joined, if its weight is great enough.
  ///
  /// - Returns: true if the ranking has changed.
  @discardableResult
  package mutating func insert(
    _ host: FleetID, _ key: DiscoveryKey, _ copies: Int, _ roll: FleetRoll
  ) -> Bool {
    let ranked = RankedHost(host: host, weight: roll.weight(of: host, for: key))
    if hosts.count >= copies, let last = hosts.last, !roll.precedes(ranked, last) { return false }
    let index = hosts.firstIndex { roll.precedes(ranked, $0) } ?? hosts.count
    hosts.insert(ranked, at: index)
    if hosts.count > copies { hosts.removeLast() }
    return true
  }

  /// Returns whether a host is among those ranked.
  package func contains(_ host: FleetID) -> Bool { hosts.contains { $0.host == host } }

  /// Removes a host. If others are present, one is missing then: make the ranking anew, ``init(of:copies:in:)``.
  package mutating func remove(_ host: FleetID) { hosts.removeAll { $0.host == host } }
}
