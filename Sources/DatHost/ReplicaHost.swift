public import DatSwarm
public import Hypercore
public import HypercoreCrypto
public import Logging
public import Saga

/// A host keeps any number of rooms, databases and feeds stored and online, so that people who are never
/// online together still get each other's messages.
///
/// ```swift
/// let swarm = Swarm(sources: [LANSource()])
/// try await swarm.listen(port: 3282)
/// let host = try await ReplicaHost.open(folder: "/var/lib/dat", swarm: swarm)
/// try await host.add(HostedKey(parsing: "room:4c1f…e9"))
/// ```
///
/// In a room a host is an ordinary user: it announces itself, is authorized by the peers it meets, and then
/// authorizes others by the room's policy, so that a person who meets only the host can write.
/// Several hosts of one key are simply more peers.
public actor ReplicaHost {
  /// The options of a host.
  public struct Options: Sendable {
    /// The name that rooms see.
    public var name = "host"
    /// The rule by which users may write in rooms, as far as it is up to the host.
    public var authorization = AuthorizationPolicy.open
    /// The point at which blocks from peers count as stored.
    public var durability = Durability.buffered
    /// The disk space of each key: 1 GiB for the feed of one writer, 16 GiB in all.
    public var disk = DiskLimits(perWriter: 1 << 30, inAll: 16 << 30)
    /// The disk space of all keys together, in bytes; nil for that of the disk, less the reserve.
    public var quota: UInt64?
    /// Bytes of decoded entries to cache for each room or database.
    public var cacheBytes = 64 * 1024
    /// The host's part in a fleet; nil for a host that holds all of its keys.
    public var fleet: FleetOptions?
    /// The most keys that are open at a time; nil for all. The others wait, and take turns with the open
    /// ones. An open key takes a file descriptor, for the lock of its folder.
    public var maximumOpen: Int?
    /// The time between turns, if there are more keys than may be open. In each turn an eighth of the open
    /// ones is closed, first those without connections.
    public var turn: Duration = .seconds(60)
    /// Addresses to stay connected with for every key.
    public var peers: [PeerAddress] = []

    /// Makes the options of a host called `host` that holds all of its keys and lets everybody in.
    public init() {}
  }

  /// The absolute path of the host's folder.
  public nonisolated let path: String
  let folder: HostFolder
  let options: Options
  let swarm: Swarm
  let logger: Logger
  private let metrics = HostMetrics()
  let budget: DiskBudget
  let traffic = Traffic()
  let opened = ContinuousClock.now
  var kinds: [PublicKey: HostedKind] = [:]
  var replicas: [PublicKey: HostedReplica] = [:]
  /// Waiting keys, the next one first.
  var queue: [PublicKey] = []
  /// By key, the time since which it is open.
  var openSince: [PublicKey: ContinuousClock.Instant] = [:]
  /// Keys that could not be opened.
  var failed: Set<PublicKey> = []
  private var turns: Task<Void, Never>?
  /// Keys that are being opened or closed, which takes a while.
  var busy: Set<PublicKey> = []
  private(set) var isClosed = false
  /// The host's part in its fleet.
  var fleet: FleetHost?

  /// Opens a host's folder and everything in its list of keys.
  ///
  /// What can't be opened is logged and shown in ``status()``; everything else works without it.
  ///
  /// - Parameters:
  ///   - folder: the host's folder; it is created if it is missing, for its owner alone.
  ///   - options: the options of the host.
  ///   - swarm: connects the host. It remains the caller's, to be closed after the host.
  ///   - logger: receives what happens.
  /// - Returns: the host, with everything open.
  /// - Throws: ``HostError`` if another host runs in the folder, or its list can't be read.
  public static func open(
    folder: String, options: Options = Options(), swarm: Swarm,
    logger: Logger = Logger(label: "dat.host")
  ) async throws(HostError) -> ReplicaHost {
    let folder = try HostFolder(path: folder)
    let keys: [HostedKey]
    let fleet: FleetHost?
    do throws(HostError) {
      let listed = try folder.keys()
      fleet = try await openFleet(options.fleet, folder, listed, swarm, logger)
      keys = await fleet?.served ?? listed
    } catch {
      folder.close()
      throw error
    }
    folder.replicas.clearFreed()
    let host = ReplicaHost(folder, options, swarm, logger)
    await host.openAll(keys, fleet)
    await fleet?.start(host)
    return host
  }

  private init(_ folder: HostFolder, _ options: Options, _ swarm: Swarm, _ logger: Logger) {
    path = folder.path
    self.folder = folder
    budget = DiskBudget(limit: options.quota, name: "this host")
    var options = options
    options.disk.budget = budget
    self.options = options
    self.swarm = swarm
    self.logger = logger
  }

  private static func openFleet(
    _ options: FleetOptions?, _ folder: HostFolder, _ listed: [HostedKey], _ swarm: Swarm,
    _ logger: Logger
  ) async throws(HostError) -> FleetHost? {
    guard let options else { return nil }
    return try await FleetHost.open(
      options, folder: folder.replicas, listed: listed, swarm: swarm, logger: logger)
  }

  private func openAll(_ keys: [HostedKey], _ fleet: FleetHost?) async {
    self.fleet = fleet
    for key in keys { kinds[key.key] = key.kind }
    // A few at a time: opening is mostly reading, and some of it waits.
    await withDiscardingTaskGroup { group in
      let (turns, next) = AsyncStream.makeStream(of: Void.self)
      for _ in 0..<8 { next.yield() }
      var iterator = turns.makeAsyncIterator()
      for key in keys {
        _ = await iterator.next()
        group.addTask {
          await self.start(key)
          next.yield()
        }
      }
    }
    recordCounts()
    logger.info(
      "opened",
      metadata: [
        "keys": "\(kinds.count)", "open": "\(replicas.count - failed.count)",
        "failed": "\(failed.count)", "waiting": "\(queue.count)",
      ])
    takeTurns()
  }

  /// Starts taking turns, once there are more keys than may be open.
  func takeTurns() {
    guard turns == nil, !isClosed, !queue.isEmpty || !failed.isEmpty else { return }
    turns = Task { [weak self, turn = options.turn] in
      while !Task.isCancelled {
        do { try await Task.sleep(for: turn) } catch { return }
        guard let self, await self.rotate() else { return }
      }
    }
  }

  /// Ends the turns: no key is waiting.
  func endTurns() {
    turns?.cancel()
    turns = nil
  }

  // MARK: Keys

  /// Hosts a key from now on, also after a restart. A key that is already hosted stays as it is, unless its
  /// kind was unknown and is given now.
  @discardableResult
  public func add(_ key: HostedKey) async throws(HostError) -> HostedStatus {
    if let fleet { return try await add(key, to: fleet) }
    try checkFree(key.key)
    if let known = kinds[key.key], known == key.kind || key.kind == .unknown {
      return await status(of: key.key)
    }
    kinds[key.key] = key.kind
    do throws(HostError) { try writeList() } catch {
      kinds[key.key] = nil
      throw error
    }
    await stop(key.key)
    await start(key)
    recordCounts()
    takeTurns()
    return await status(of: key.key)
  }

  /// Stops hosting a key.
  ///
  /// - Parameters:
  ///   - key: a hosted key.
  ///   - deletingData: true to delete what is stored of it, too. This includes the host's own feed in a room:
  ///     if the host comes back to the room, it comes as a new user.
  public func remove(_ key: PublicKey, deletingData: Bool = false) async throws(HostError) {
    if let fleet { return try await remove(key, from: fleet, deletingData: deletingData) }
    try checkFree(key)
    guard let kind = kinds.removeValue(forKey: key) else {
      throw HostError(.unknownKey, "The key \(key.hex) is not hosted here.")
    }
    do throws(HostError) { try writeList() } catch {
      kinds[key] = kind
      throw error
    }
    await stop(key)
    await fill()
    recordCounts()
    if deletingData { try folder.delete(key) }
  }

  private func checkFree(_ key: PublicKey) throws(HostError) {
    if isClosed { throw HostError(.closed, "The host is closing.") }
    if busy.contains(key) {
      throw HostError(.closed, "The key is being opened or closed; try again in a moment.")
    }
  }

  private func writeList() throws(HostError) {
    try folder.write(
      kinds.map { HostedKey(kind: $0.value, key: $0.key) }.sorted { $0.key.hex < $1.key.hex })
  }

  // MARK: Replicas

  func start(_ key: HostedKey) async {
    let discoveryKey = key.key.discoveryKey
    guard !isClosed, !Task.isCancelled, replicas[key.key] == nil else { return }
    guard hasPlace else {
      if !queue.contains(key.key) { queue.append(key.key) }
      return
    }
    busy.insert(key.key)
    defer { busy.remove(key.key) }
    let replica = HostedReplica(
      key, folder: folder.replica(of: key.key), options: options, logger: logger
    ) { [weak self] kind in await self?.found(kind, of: key.key) }
    replicas[key.key] = replica
    openSince[key.key] = .now
    await replica.open(stored: folder.storedKind(of: key.key))
    if await replica.failure != nil { failed.insert(key.key) }
    await swarm.join(discoveryKey) { [traffic] peer in
      let stream = try await replica.replicate()
      await traffic.add(stream, peer)
      return stream
    } meet: { stream, peer in
      await replica.meet(stream, from: peer.address.host)
    }
    for address in options.peers { await swarm.connect(to: address, about: discoveryKey) }
    logger.debug(
      "hosting", metadata: ["discoveryKey": "\(discoveryKey)", "kind": "\(key.kind.rawValue)"])
  }

  func stop(_ key: PublicKey) async {
    queue.removeAll { $0 == key }
    failed.remove(key)
    openSince[key] = nil
    guard let replica = replicas.removeValue(forKey: key) else { return }
    busy.insert(key)
    defer { busy.remove(key) }
    await swarm.leave(key.discoveryKey)
    await replica.close()
    logger.debug("hosting no more", metadata: ["discoveryKey": "\(key.discoveryKey)"])
  }

  private func found(_ kind: HostedKind, of key: PublicKey) {
    guard kinds[key] == .unknown else { return }
    kinds[key] = kind
    if let fleet {
      Task { await fleet.found(kind, of: key) }
    } else {
      do throws(HostError) { try writeList() } catch { logger.error("\(error.reason)") }
    }
    logger.info(
      "found out what it is",
      metadata: ["discoveryKey": "\(key.discoveryKey)", "kind": "\(kind.rawValue)"])
    recordCounts()
  }

  // MARK: State

  /// Returns the status of all keys, in the order of the keys.
  public func status() async -> [HostedStatus] {
    var result: [HostedStatus] = []
    let counts = await connectionCounts()
    for key in kinds.keys.sorted(by: { $0.hex < $1.hex }) {
      result.append(await status(of: key, counts))
    }
    guard let fleet else { return result }
    result += await fleet.elsewhere(than: Set(kinds.keys))
    return await fleet.notingLosses(in: result.sorted { $0.key.hex < $1.key.hex })
  }

  func status(of key: PublicKey) async -> HostedStatus {
    await status(of: key, await connectionCounts())
  }

  func connectionCounts() async -> [DiscoveryKey: Int] {
    await swarm.peers.reduce(into: [:]) { $0[$1.discoveryKey, default: 0] += 1 }
  }

  func status(of key: PublicKey, _ counts: [DiscoveryKey: Int]) async -> HostedStatus {
    guard let replica = replicas[key] else {
      var status = HostedStatus(
        key: key, kind: kinds[key] ?? .unknown, folder: folder.replica(of: key))
      if queue.contains(key) {
        status.state = .queued
        return status
      }
      status.state = .elsewhere
      return status
    }
    var status = await replica.status()
    status.connections = counts[key.discoveryKey, default: 0]
    return status
  }

  /// Updates the metrics; call it before they are read.
  public func recordMetrics() async {
    recordCounts()
    if let fleet { metrics.elsewhere(await fleet.recordKeys() - kinds.count) }
    let (received, sent) = await traffic.sinceLast()
    metrics.traffic(received: received, sent: sent)
    metrics.connections(await swarm.peers.count)
    var paused = 0
    for replica in replicas.values { paused += await replica.pauses.count }
    metrics.disk(used: budget.used, paused: paused)
  }

  func recordCounts() {
    var counts: [HostedKind: Int] = [:]
    for (key, kind) in kinds where replicas[key] != nil && !failed.contains(key) {
      counts[kind, default: 0] += 1
    }
    metrics.replicas(
      counts, elsewhere: kinds.count - replicas.count - queue.count, failed: failed.count,
      waiting: queue.count)
  }

  /// Ends all connections and closes everything that is stored. The list is kept for the next start.
  public func close() async {
    guard !isClosed else { return }
    isClosed = true
    turns?.cancel()
    queue = []
    await fleet?.close()
    for key in Array(replicas.keys) { await swarm.leave(key.discoveryKey) }
    await withDiscardingTaskGroup { group in
      for replica in replicas.values { group.addTask { await replica.close() } }
    }
    replicas = [:]
    folder.close()
  }
}
