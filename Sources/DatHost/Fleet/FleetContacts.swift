internal import DatFleet
internal import DatSwarm
internal import HypercoreCrypto

/// The addresses of the members as the directory named them last, and those to which this host stays connected.
struct FleetContacts {
  /// A change of the connections about one topic.
  struct Change {
    let removed: [PeerAddress]
    let added: [PeerAddress]

    fileprivate init(from present: [String: PeerAddress], to wanted: [String: PeerAddress]) {
      removed = present.filter { wanted[$0.key] != $0.value }.map(\.value)
      added = wanted.filter { present[$0.key] != $0.value }.map(\.value)
    }
  }

  /// The seconds after which a member is disconnected that is no neighbour and was not needed.
  private static let neededSeconds: UInt64 = 600

  /// By name, the address of each member.
  private(set) var addresses: [String: PeerAddress]
  /// The reason why the directory's last answer was none, in a sentence; nil if it was one.
  var trouble: String?
  /// Members that are dialled, with the addresses.
  private var dialled: [String: PeerAddress] = [:]
  /// By name, when a member was needed last that is no neighbour.
  private var needed: [String: UInt64] = [:]
  /// By key, the members with which the host stays connected about it.
  private var byKey: [DiscoveryKey: [String: PeerAddress]] = [:]

  init(addresses: [String: PeerAddress]) { self.addresses = addresses }

  /// Adds the addresses of an answer of the directory.
  mutating func add(_ members: [String: PeerAddress]) {
    for (name, address) in members { addresses[name] = address }
  }

  /// Removes the addresses of hosts that are no members.
  mutating func keep(_ members: Set<String>) {
    addresses = addresses.filter { members.contains($0.key) }
  }

  /// Notes that members are needed now.
  ///
  /// - Returns: true if some of them are not dialled.
  mutating func need(_ names: [String], now: UInt64) -> Bool {
    for name in names { needed[name] = now }
    return names.contains { dialled[$0] == nil }
  }

  /// Chooses the members to be connected with: the neighbours, and those that are needed beside them.
  mutating func dial(_ members: Set<String>, own: String, now: UInt64) -> Change {
    needed = needed.filter { members.contains($0.key) && now - $0.value <= Self.neededSeconds }
    let names = FleetNeighbours.names(of: own, among: members).union(needed.keys)
    let wanted = addresses.filter { $0.key != own && names.contains($0.key) }
    defer { dialled = wanted }
    return Change(from: dialled, to: wanted)
  }

  /// Sets the members to be connected with about a key.
  mutating func connect(_ key: DiscoveryKey, with names: [String]) -> Change {
    var wanted: [String: PeerAddress] = [:]
    for name in names { wanted[name] = addresses[name] }
    let present = byKey.updateValue(wanted, forKey: key) ?? [:]
    return Change(from: present, to: wanted)
  }

  /// Removes the connections about a key that the host serves no longer.
  mutating func removeConnections(about key: DiscoveryKey) { byKey[key] = nil }
}
