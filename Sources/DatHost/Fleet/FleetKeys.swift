internal import DatFleet
internal import HypercoreCrypto

/// The list of keys of a fleet, with its file.
struct FleetKeys {
  private(set) var list: FleetKeyList
  private var store: FleetStore
  /// The keys of the list, and those that were taken off.
  private var byDiscoveryKey: [DiscoveryKey: PublicKey] = [:]

  init(_ list: FleetKeyList, _ store: FleetStore) {
    self.list = list
    self.store = store
    for (key, _) in list.keys { byDiscoveryKey[key.discoveryKey] = key }
  }

  /// Returns a key that is in the list or was taken off.
  func publicKey(of key: DiscoveryKey) -> PublicKey? { byDiscoveryKey[key] }

  /// Returns a key of the list with its kind; nil if it is not in the list.
  subscript(_ key: DiscoveryKey) -> HostedKey? {
    guard let publicKey = byDiscoveryKey[key], let kind = list.kind(of: publicKey) else {
      return nil
    }
    return HostedKey(kind: HostedKind(fleetNumber: kind), key: publicKey)
  }

  /// Adds a key, changes its kind, or takes it off.
  ///
  /// - Parameter kind: nil to take it off.
  /// - Returns: the entry, which is on the disk.
  mutating func change(_ key: PublicKey, _ kind: UInt8?) throws(HostError) -> FleetEntry {
    let entry = list.entry(of: key, kind: kind)
    try store.append([entry], to: list)
    list.merge(entry)
    byDiscoveryKey[key.discoveryKey] = key
    return entry
  }

  /// Adds entries of another member.
  ///
  /// - Returns: those that were news, and the error if these could not be written. Then they hold until the next start,
  ///   and are fetched again then.
  mutating func merge(_ entries: [FleetEntry]) -> (news: [FleetEntry], error: HostError?) {
    let news = entries.filter { list.merge($0) }
    guard !news.isEmpty else { return ([], nil) }
    for entry in news { byDiscoveryKey[entry.key.discoveryKey] = entry.key }
    do throws(HostError) { try store.append(news, to: list) } catch { return (news, error) }
    return (news, nil)
  }

  /// Writes the state of the fleet beside the list.
  func write(_ state: FleetStore.State) throws(HostError) { try store.write(state) }

  /// Closes the file.
  mutating func close() { store.close() }
}
