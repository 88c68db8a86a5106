public import Hypercore
public import HypercoreCrypto
internal import HypercoreProtocol
internal import NIOCore

/// A swarm finds the peers of topics and keeps connections with them: with peers that are found, with given
/// ones, and with those that connect.
///
/// ```swift
/// let swarm = Swarm(sources: [LANSource()])
/// try await swarm.listen(port: 3282)
/// try await swarm.join(feed)
/// ```
///
/// A topic is the discovery key of a feed, or of the first feed of a database, which the first message of a
/// connection names. So many topics share a port, and one connection carries all feeds of one topic.
///
/// Stands for discovery-swarm with discovery-channel, with Dat's defaults.
public actor Swarm {
  /// Makes the stream of a connection with a peer.
  public typealias Replicate = @Sendable (SwarmPeer) async throws -> ReplicationStream
  /// Follows a connection whose peer has completed its handshake. Cancelled when the connection ends.
  public typealias Meet = @Sendable (ReplicationStream, SwarmPeer) async -> Void

  /// The search for the peers of one topic.
  public struct Search: Hashable, Sendable {
    /// True to announce this side's address; without a listener there is nothing to announce.
    public var announces = true
    /// The sources to use; nil for all.
    public var origins: Set<PeerOrigin>?

    /// Makes a search; each default is that of its property.
    public init(announces: Bool = true, origins: Set<PeerOrigin>? = nil) {
      self.announces = announces
      self.origins = origins
    }
  }

  struct Service {
    var replicate: Replicate
    var meet: Meet?
    var lookedAgain: ContinuousClock.Instant?
  }

  struct Running {
    var task: Task<Void, Never>
    var connection: (any PeerConnection)?
    /// True if a transport provided it.
    var isTransported = false
    /// The stream, once its peer has completed the handshake.
    var stream: ReplicationStream?
    var nonces: ConnectionNonces?
  }

  let options: Options
  let policy: AddressPolicy
  var core: SwarmCore
  var services: [DiscoveryKey: Service] = [:]
  var running: [Int: Running] = [:]
  /// By number, a connection's duplicates from transports that were closed in its favour.
  var aside: [Int: [any PeerConnection]] = [:]
  private let sources: [any PeerSource]
  private let transports: [any PeerTransport]
  private var readers: [Task<Void, Never>] = []
  private var listeners: [(listener: TCPListener, task: Task<Void, Never>)] = []
  private var observers: [Int: AsyncStream<SwarmEvent>.Continuation] = [:]
  private var observerCount = 0
  private var timer: (due: ContinuousClock.Instant, task: Task<Void, Never>)?
  private var localsAt: ContinuousClock.Instant?
  private let metrics = SwarmMetrics()
  /// Connections that listeners refused, as far as they can be reported.
  private let strangers = AsyncStream.makeStream(
    of: SwarmEvent.self, bufferingPolicy: .bufferingNewest(256))
  private var isReading = false
  private(set) var isClosed = false

  /// Makes a swarm that does nothing until a topic is joined.
  ///
  /// - Parameters:
  ///   - options: the limits on attempts and connections.
  ///   - sources: the sources of peers; without any there are only the given addresses and inbound
  ///     connections. The swarm closes the sources with itself.
  ///   - transports: transports other than TCP. The swarm closes them with itself.
  public init(
    options: Options = Options(), sources: [any PeerSource] = [],
    transports: [any PeerTransport] = []
  ) {
    self.options = options
    self.sources = sources
    self.transports = transports
    policy = AddressPolicy(
      allowed: options.allowed, denied: options.denied, maximumOffences: options.maximumOffences)
    core = SwarmCore(options: options, policy: policy)
  }

  // MARK: Listening

  /// Accepts connections for any joined topic. May be called for several addresses; topics that are joined
  /// afterwards announce the port of the first.
  ///
  /// - Returns: the address, with the chosen port if 0 was asked for.
  /// - Throws: ``SwarmError``, such as code `addressInUse`.
  @discardableResult
  public func listen(host: String = "0.0.0.0", port: Int = 0) async throws(SwarmError)
    -> PeerAddress
  {
    var options = TCPListener.Options()
    options.maximumInbound = self.options.maximumInbound
    options.maximumPerAddress = self.options.maximumPerAddress
    options.maximumPerLoopback = self.options.maximumPerLoopback
    options.trustedProxies = self.options.trustedProxies
    options.maximumPerProxy = self.options.maximumPerProxy
    options.maximumHalfOpen = self.options.maximumHalfOpen
    options.firstFeedTimeout = self.options.handshakeTimeout
    options.refused = { [metrics, strangers] address, why in
      metrics.count(.refused(address, nil, why))
      strangers.continuation.yield(.refused(address, nil, why))
    }
    options.evicted = { [metrics, strangers] address in
      metrics.count(.evicted(address))
      strangers.continuation.yield(.evicted(address))
    }
    options.policy = policy
    let listener = try await TCPListener(host: host, port: port, options: options)
    if isClosed {
      await listener.close()
      throw SwarmError(.closed, "The swarm is closed.")
    }
    let task = Task { [weak self] in
      await listener.run { [weak self] socket in await self?.serve(socket) }
    }
    if listeners.isEmpty {
      readers.append(
        Task { [weak self, strangers] in
          for await event in strangers.stream { await self?.notify(event) }
        })
    }
    listeners.append((listener, task))
    core.local.ports.insert(listener.address.port)
    emit(.listening(listener.address))
    return listener.address
  }

  /// Listens on the first of these ports that is free.
  public func listen(host: String = "0.0.0.0", preferring ports: [Int]) async throws(SwarmError)
    -> PeerAddress
  {
    for port in ports.dropLast() {
      do throws(SwarmError) {
        return try await listen(host: host, port: port)
      } catch {
        guard error.code == .addressInUse else { throw error }
      }
    }
    return try await listen(host: host, port: ports.last ?? 0)
  }

  /// The ports that Dat programs try, one after the other. Source: hyperdiscovery.
  public static let datPorts = [3282, 3000, 3002, 3004, 2001, 2003, 2005, 0]

  /// The addresses at which connections are accepted.
  public var addresses: [PeerAddress] { listeners.map(\.listener.address) }

  // MARK: Topics

  /// Joins a topic: looks for its peers, announces this side to them, and serves every connection.
  ///
  /// - Parameters:
  ///   - key: the topic, the discovery key of a feed or of a database's first feed.
  ///   - search: the sources to use, and whether to announce this side.
  ///   - replicate: makes the stream of a connection; if it throws, the connection ends.
  ///   - meet: called when the peer has completed its handshake, for connections that stay.
  public func join(
    _ key: DiscoveryKey, search: Search = Search(), replicate: @escaping Replicate,
    meet: Meet? = nil
  ) async {
    guard !isClosed else { return }
    services[key] = Service(replicate: replicate, meet: meet)
    core.join(key)
    startReading()
    let port = search.announces ? listeners.first?.listener.address.port : nil
    for source in sources where search.origins?.contains(source.origin) ?? true {
      await source.join(Topic(key), announcing: port)
    }
    for transport in transports where search.origins?.contains(transport.origin) ?? true {
      await transport.join(key)
    }
  }

  /// Leaves a topic: ends its connections and withdraws what was announced. Returns when they are closed.
  public func leave(_ key: DiscoveryKey) async {
    guard services.removeValue(forKey: key) != nil else { return }
    let ending = core.leave(key).compactMap { end($0) }
    for source in sources { await source.leave(Topic(key)) }
    for transport in transports { await transport.leave(key) }
    for task in ending { await task.value }
  }

  /// The joined topics.
  public var topics: [DiscoveryKey] { Array(services.keys) }

  // MARK: Addresses

  /// Keeps a connection with this address while the topic is joined, until ``disconnect(from:about:)``. It is
  /// tried again after every failure, with pauses up to a minute.
  public func connect(to address: PeerAddress, about key: DiscoveryKey) {
    core.give(SwarmCore.Target(discoveryKey: key, address: address), now: .now)
    turn()
  }

  /// Drops the address, and ends its connection. Returns when it is closed.
  public func disconnect(from address: PeerAddress, about key: DiscoveryKey) async {
    let link = core.release(SwarmCore.Target(discoveryKey: key, address: address))
    if let task = link.flatMap({ end($0) }) { await task.value }
  }

  /// Bans a host, a numeric address, and ends its connections.
  public func ban(_ host: String) {
    policy.deny(host)
    for link in core.links.values where link.peer.address.host == host { _ = end(link.peer.number) }
  }

  /// Revokes ``ban(_:)``.
  public func unban(_ host: String) { policy.undeny(host) }

  /// The connections whose peers have completed their handshake.
  public var peers: [SwarmPeer] {
    core.peers
  }

  /// Returns the number of known addresses for a topic.
  public func candidateCount(of key: DiscoveryKey) -> Int {
    core.rooms[key]?.candidates.count ?? 0
  }

  /// The faults that keep sources and transports from working now, each a sentence.
  public var troubles: [String] {
    get async {
      var troubles: [String] = []
      for source in sources { troubles += await source.standingTroubles }
      for transport in transports { troubles += await transport.standingTroubles }
      return troubles
    }
  }

  // MARK: Events

  /// Returns the events from now on. A reader that falls far behind misses the oldest.
  public func events() -> AsyncStream<SwarmEvent> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: SwarmEvent.self, bufferingPolicy: .bufferingNewest(4096))
    if isClosed {
      continuation.finish()
      return stream
    }
    let number = observerCount
    observerCount += 1
    observers[number] = continuation
    continuation.onTermination = { [weak self] _ in
      Task { await self?.removeObserver(number) }
    }
    return stream
  }

  private func removeObserver(_ observer: Int) { observers[observer] = nil }

  func emit(_ event: SwarmEvent) {
    metrics.count(event)
    notify(event)
  }

  private func notify(_ event: SwarmEvent) {
    for observer in observers.values { observer.yield(event) }
  }

  // MARK: Ends

  /// Leaves all topics, closes the sources and the listeners, and returns when every connection is
  /// closed.
  public func close() async {
    guard !isClosed else { return }
    isClosed = true
    for reader in readers { reader.cancel() }
    timer?.task.cancel()
    services = [:]
    for key in core.rooms.keys { _ = core.leave(key) }
    let ending = running.keys.compactMap { end($0) }
    for source in sources { await source.close() }
    for transport in transports { await transport.close() }
    for (listener, task) in listeners {
      task.cancel()
      await listener.close()
      await task.value
    }
    for task in ending { await task.value }
    turn()
    for observer in observers.values { observer.finish() }
    observers = [:]
  }

  deinit {
    for reader in readers { reader.cancel() }
    timer?.task.cancel()
    for running in running.values { running.task.cancel() }
    for (_, task) in listeners { task.cancel() }
    for observer in observers.values { observer.finish() }
  }

  /// Aborts a connection or an attempt.
  private func end(_ number: Int) -> Task<Void, Never>? {
    guard let running = running[number] else { return nil }
    running.connection?.close()
    running.task.cancel()
    return running.task
  }

  // MARK: Turns

  private func startReading() {
    guard !isReading else { return }
    isReading = true
    readers += sources.map { source in
      Task { [weak self] in
        for await finding in source.findings { await self?.found(finding, source.origin) }
      }
    }
    readers += sources.map { source in
      Task { [weak self] in
        for await trouble in source.troubles { await self?.emit(.trouble(source.origin, trouble)) }
      }
    }
    readers += transports.map { follow($0) }
  }

  private func found(_ finding: Finding, _ origin: PeerOrigin) {
    lookAtInterfaces()
    core.found(finding, from: origin, now: .now)
    turn()
  }

  /// Learns this machine's addresses, at most every ten seconds.
  private func lookAtInterfaces() {
    let now = ContinuousClock.now
    if let localsAt, now - localsAt < .seconds(10) { return }
    localsAt = now
    guard let devices = try? System.enumerateDevices() else { return }
    core.local.own = Set(devices.compactMap { $0.address?.ipAddress })
    core.local.broadcasts = Set(devices.compactMap { $0.broadcastAddress?.ipAddress })
  }

  /// Does what is due, reports events, and sets the timer for the rest.
  func turn() {
    let now = ContinuousClock.now
    while !isClosed, let order = core.next(now: now) {
      running[order.number] = Running(
        task: Task { [weak self] in await self?.dial(order) })
    }
    let events = core.events
    core.events = []
    for event in events { emit(event) }
    for key in core.lonely { lookAgain(key, now) }
    core.lonely = []
    metrics.record(connections: core.peers.count)
    schedule(isClosed ? nil : core.deadline())
  }

  /// Makes the sources look at once, but at most every ten seconds.
  private func lookAgain(_ key: DiscoveryKey, _ now: ContinuousClock.Instant) {
    guard services[key] != nil else { return }
    if let last = services[key]?.lookedAgain, now - last < .seconds(10) { return }
    services[key]?.lookedAgain = now
    let sources = sources
    Task { for source in sources { await source.lookAgain(Topic(key)) } }
  }

  private func schedule(_ due: ContinuousClock.Instant?) {
    guard due != timer?.due else { return }
    timer?.task.cancel()
    timer = due.map { due in
      let task = Task { [weak self] in
        do { try await Task.sleep(until: due, clock: .continuous) } catch { return }
        await self?.rang()
      }
      return (due, task)
    }
  }

  private func rang() {
    timer = nil
    turn()
  }
}
