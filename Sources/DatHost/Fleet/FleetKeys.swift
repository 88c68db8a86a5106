internal import DatFleet
internal import HypercoreCrypto

/// The list of keys of a fleet with its file, and the folders of those of which something is stored.
struct FleetKeys {
  private(set) var list: FleetKeyList
  private var store: FleetStore
  private let folders: ReplicaFolders
  /// The keys of the list, and those that were taken off.
  private var byDiscoveryKey: [DiscoveryKey: PublicKey] = [:]

  /// Opens the files of a fleet in a host's folder.
  ///
  /// - Parameter listed: the keys that the host had before it was a member. Those that the fleet does not know are added.
  /// - Returns: the keys, the state of the fleet, and the number of entries of the list that can't be read.
  static func open(
    _ folders: ReplicaFolders, listed: [HostedKey]
  ) throws(HostError) -> (keys: FleetKeys, state: FleetStore.State, unreadable: Int) {
    var store = FleetStore(folder: folders.path)
    let state = try store.readState()
    var (list, unreadable) = try store.openKeys()
    let news = listed.filter { !list.knows($0.key) }.map {
      list.change($0.key, kind: $0.kind.fleetNumber)
    }
    try store.append(news, to: list)
    return (FleetKeys(list, store, folders), state, unreadable)
  }

  private init(_ list: FleetKeyList, _ store: FleetStore, _ folders: ReplicaFolders) {
    self.list = list
    self.store = store
    self.folders = folders
    for (key, _) in list.keys { byDiscoveryKey[key.discoveryKey] = key }
  }

  // MARK: The list

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

  // MARK: What is stored

  /// Returns whether something of a key is stored.
  func isStored(_ key: DiscoveryKey) -> Bool { folders.isStored(key) }

  /// Returns all keys of the list, with what is stored of each.
  ///
  /// - Parameter kept: the keys that are served no longer, with the seconds for which they are kept yet.
  func stored(kept: [DiscoveryKey: UInt64]) -> [(key: DiscoveryKey, stored: FleetPlan.Stored)] {
    let stored = folders.stored()
    return list.keys.map { publicKey, _ in
      let key = publicKey.discoveryKey
      let found: FleetPlan.Stored =
        !stored.contains(key) ? .nothing : kept[key].map { .kept(seconds: $0) } ?? .served
      return (key, found)
    }
  }

  /// Returns the path of a key's folder.
  func path(of key: DiscoveryKey) -> String { folders.path(of: key) }

  /// Frees the space of a key.
  func free(_ key: DiscoveryKey) throws(HostError) { try folders.free(key) }

  // MARK: Files

  /// Writes the state of the fleet beside the list.
  func write(_ state: FleetStore.State) throws(HostError) { try store.write(state) }

  /// Closes the file.
  mutating func close() { store.close() }
}
