internal import DatFleet
internal import HypercoreCrypto
internal import Logging

/// What a host does for its part in a fleet.
extension ReplicaHost {
  // MARK: The list

  func add(_ key: HostedKey, to fleet: FleetHost) async throws(HostError) -> HostedStatus {
    if isClosed { throw HostError(.closed, "The host is closing.") }
    try await fleet.add(key)
    if kinds[key.key] != nil { return await status(of: key.key) }
    return await fleet.status(of: key)
  }

  func remove(
    _ key: PublicKey, from fleet: FleetHost, deletingData: Bool
  ) async throws(HostError) {
    if isClosed { throw HostError(.closed, "The host is closing.") }
    try await fleet.remove(key)
    if deletingData { try folder.delete(key) }
  }

  // MARK: Keys

  /// Fetches and serves a key, or goes on to.
  func hold(_ key: HostedKey) async {
    await untilFree(key.key)
    guard !isClosed else { return }
    let known = kinds[key.key]
    kinds[key.key] = key.kind == .unknown ? known ?? .unknown : key.kind
    if known != nil {
      guard let kind = kinds[key.key], kind != known, kind != .unknown else { return }
      // A room that was named as one, or a kind that another host has found out.
      if let replica = replicas[key.key], await replica.kind == kind { return }
      await stop(key.key)
    }
    await start(HostedKey(kind: kinds[key.key] ?? key.kind, key: key.key))
    recordCounts()
    takeTurns()
  }

  /// Stops serving a key. What is stored stays.
  func letGo(_ key: PublicKey) async {
    await untilFree(key)
    guard kinds.removeValue(forKey: key) != nil else { return }
    await stop(key)
    await fill()
    recordCounts()
  }

  /// Waits while a turn opens or closes a key.
  private func untilFree(_ key: PublicKey) async {
    while busy.contains(key), !isClosed { try? await Task.sleep(for: .milliseconds(20)) }
  }

  // MARK: Questions

  /// Returns random blocks of a key to ask another host for; nil if they can't be read here.
  func sample(of key: HostedKey) async -> HostedReplica.Sample? {
    await untilFree(key.key)
    if replicas[key.key] == nil, folder.storedKind(of: key.key) == nil {
      return HostedReplica.Sample()
    }
    return await withReplica(of: key) { replica in
      do { return try await replica.sample() } catch {
        self.logger.warning(
          "Blocks of a key can't be read or verified here, so that no other host is asked for them, and nothing is let go of: \(error)",
          metadata: ["discoveryKey": "\(key.key.discoveryKey)"])
        return nil
      }
    } ?? nil
  }

  /// Answers a question of another member about a key that this host is to hold.
  func answer(_ question: FleetQuestion, about key: HostedKey) async -> FleetAnswer {
    await withReplica(of: key) { await $0.answer(question) } ?? .incomplete
  }

  /// Runs a function with a replica, which is opened for it if it is not open: one that is kept, or that waits for its
  /// turn. It is not served meanwhile.
  private func withReplica<Result: Sendable>(
    of key: HostedKey, _ body: (HostedReplica) async -> Result
  ) async -> Result? {
    if let replica = replicas[key.key] { return await body(replica) }
    guard !isClosed, !busy.contains(key.key), let stored = folder.storedKind(of: key.key) else {
      return nil
    }
    busy.insert(key.key)
    defer { busy.remove(key.key) }
    // A room is opened as the database that it is, in which nobody is met.
    let replica = HostedReplica(
      HostedKey(kind: stored, key: key.key), folder: folder.replica(of: key.key),
      options: options, logger: logger
    ) { _ in }
    await replica.open(stored: stored)
    let result = await body(replica)
    await replica.close()
    return result
  }
}
