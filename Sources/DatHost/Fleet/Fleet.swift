internal import DatCoding
internal import DatFleet
public import HypercoreCrypto

/// Several hosts that share many keys: each key belongs to the few hosts with the highest weights for it.
///
/// This is rendezvous hashing: the weight of a host for a key is the first eight bytes, big-endian, of the
/// hash that a feed's block of these bytes would have: discovery key, then the host's name. Every host with
/// the same list gets the same result without asking the others. The hosts of ``ReplicaHost/FleetOptions`` use the same
/// weights. A host that is added or removed moves only the keys that it gets or had.
public struct Fleet: Hashable, Sendable {
  /// The hosts' names; their order does not matter.
  public let hosts: [String]

  /// Makes a fleet of hosts of these names, each different from the others.
  public init(hosts: [String]) { self.hosts = hosts }

  /// Reads a list of hosts: one name a line, `#` before comments.
  ///
  /// - Throws: ``HostError`` with `malformedFile`.
  public init(parsing text: String) throws(HostError) {
    var hosts: [ForeignText] = []
    for line in TextLines.all(text.utf8) {
      let name = ForeignText(bytes: line.prefix { $0 != UInt8(ascii: "#") }.filter { $0 > 0x20 })
      if name.utf8.isEmpty { continue }
      guard name.utf8.count <= 255 else {
        throw HostError(
          .malformedFile,
          "A host's name has at most 255 bytes; \"\(name.line(limit: 40))\" has more.")
      }
      guard !hosts.contains(name) else {
        throw HostError(.malformedFile, "The host \"\(name.line())\" is in the list twice.")
      }
      hosts.append(name)
    }
    guard !hosts.isEmpty else { throw HostError(.malformedFile, "The list names no host.") }
    self.init(hosts: hosts.map(\.string))
  }

  /// Returns the hosts that a key belongs to, at most `copies` of them, the one with the highest weight first.
  public func owners(of key: DiscoveryKey, copies: Int = 1) -> [String] {
    let roll = FleetRoll(hosts)
    return FleetRanking(of: key, copies: min(max(copies, 1), hosts.count), in: roll).hosts
      .map { roll.name(of: $0.host) }
  }
}
