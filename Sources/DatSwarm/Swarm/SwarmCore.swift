internal import HeapModule
internal import HypercoreCrypto

/// Which addresses are worth a try, when, and which of two connections to one peer stays.
///
/// Synchronous, without I/O, clock or chance of its own: the ``Swarm`` tells what happened and when,
/// carries out what ``next(now:)`` orders, and passes on the events.
struct SwarmCore {
  typealias Instant = ContinuousClock.Instant

  /// An address in connection with a topic: what is dialled.
  struct Target: Hashable {
    var discoveryKey: DiscoveryKey
    var address: PeerAddress
  }

  /// A peer by what it calls itself, which nothing proves.
  struct PeerName: Hashable {
    var discoveryKey: DiscoveryKey
    var id: [UInt8]
  }

  enum Phase {
    /// Waits for its turn, under the number of its entry in the queue.
    case queued(UInt64)
    /// Waits for an outgoing connection of the topic to end.
    case parked
    /// Being tried, or connected.
    case busy(link: Int)
    /// Connected with that peer by another way.
    case standby(PeerName)
    /// Ourselves.
    case own
  }

  struct Candidate {
    var isGiven: Bool
    var phase: Phase
    var failures = 0
  }

  /// One topic.
  struct Room {
    var candidates: [PeerAddress: Candidate] = [:]
    /// Connections to found addresses, and tries.
    var outbound = 0
    var parked: [PeerAddress] = []
  }

  struct Link {
    var peer: SwarmPeer
    var name: PeerName?
    var isDialing = false
    /// Whether it counts among the room's outgoing connections.
    var isCounted = false
    /// Left for another connection of this peer.
    var replacedBy: PeerName?
    var isOwn = false
  }

  /// A try to be made.
  struct Order: Equatable {
    var number: Int
    var target: Target
    var isGiven: Bool
  }

  struct Due: Comparable {
    var instant: Instant
    var ticket: UInt64
    var target: Target

    static func < (left: Self, right: Self) -> Bool {
      (left.instant, left.ticket) < (right.instant, right.ticket)
    }

    static func == (left: Self, right: Self) -> Bool { left.ticket == right.ticket }
  }

  let options: Swarm.Options
  let policy: AddressPolicy
  var rooms: [DiscoveryKey: Room] = [:]
  var topics: [Topic: DiscoveryKey] = [:]
  var links: [Int: Link] = [:]
  /// The connection of each peer that stays.
  var named: [PeerName: Int] = [:]
  var local = LocalAddresses()
  var events: [SwarmEvent] = []
  /// Topics that have lost their last peer or address since the owner looked: worth a search.
  var lonely: Set<DiscoveryKey> = []

  private var random: any RandomNumberGenerator & Sendable
  private var given = Heap<Due>()
  private var found = Heap<Due>()
  private var ticket: UInt64 = 0
  private var lastLink = 0
  private var dialing = 0
  private var rate: TokenBucket
  private var budget = NamingBudget()

  init(
    options: Swarm.Options, policy: AddressPolicy,
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.options = options
    self.policy = policy
    self.random = random
    rate = TokenBucket(perSecond: options.dialsPerSecond, burst: options.dialsPerSecond)
  }

  // MARK: Topics

  mutating func join(_ key: DiscoveryKey) {
    if rooms[key] == nil { rooms[key] = Room() }
    topics[Topic(key)] = key
  }

  /// Forgets the topic.
  ///
  /// - Returns: its connections, to be closed.
  mutating func leave(_ key: DiscoveryKey) -> [Int] {
    rooms[key] = nil
    topics[Topic(key)] = nil
    return links.values.filter { $0.peer.discoveryKey == key }.map(\.peer.number)
  }

  // MARK: Addresses

  /// Takes an address that the user wants a connection with, for as long as it isn't released.
  mutating func give(_ target: Target, now: Instant) {
    guard rooms[target.discoveryKey] != nil else { return }
    if var known = rooms[target.discoveryKey]?.candidates[target.address] {
      guard !known.isGiven else { return }
      known.isGiven = true
      known.failures = 0
      if case .busy(let link) = known.phase { uncount(link) }
      set(target, known)
      switch known.phase {
      case .queued, .parked: queue(target, at: now)
      case .busy, .standby, .own: break
      }
      return
    }
    set(target, Candidate(isGiven: true, phase: .parked))
    queue(target, at: now)
  }

  /// No longer wants an address.
  ///
  /// - Returns: its connection, to be closed.
  mutating func release(_ target: Target) -> Int? {
    let known = rooms[target.discoveryKey]?.candidates.removeValue(forKey: target.address)
    if case .busy(let link)? = known?.phase { return link }
    return nil
  }

  /// Takes what a source says, as far as it may be believed.
  mutating func found(_ finding: Finding, from origin: PeerOrigin, now: Instant) {
    guard let key = topics[finding.topic] else { return }
    for address in finding.addresses {
      let target = Target(discoveryKey: key, address: address)
      if rooms[key]?.candidates[address] != nil { continue }
      if let refusal = judge(address, origin, finding, now) ?? makeRoom(in: key) {
        events.append(.refused(address, key, refusal))
        continue
      }
      events.append(.found(address, key, origin))
      set(target, Candidate(isGiven: false, phase: .parked))
      queue(target, at: now)
    }
  }

  private mutating func judge(
    _ address: PeerAddress, _ origin: PeerOrigin, _ finding: Finding, _ now: Instant
  ) -> SwarmEvent.Refusal? {
    let kind = AddressKind(address)
    if kind == .unusable || kind == .name || local.broadcasts.contains(address.host) {
      return .unusable
    }
    if local.isOwn(address, kind) { return .own }
    if !options.dialsLoopback {
      let isNear = finding.informant.map { PeerAddress(host: $0, port: 1).isLoopback } ?? false
      if kind == .loopback, !isNear || origin == .dht { return .loopback }
      if kind == .local, origin == .dht { return .local }
    }
    if let refusal = policy.refusal(of: address.host, now: now) { return refusal }
    let namesItself = finding.informant == address.host
    if origin == .lan, let informant = finding.informant, !namesItself,
      !budget.take(.informant(informant), limit: options.maximumNamed, now: now)
    {
      return .talkative
    }
    // Whoever the informant is: a sender's address on a local network is quickly made up.
    let limit = 4 * options.maximumCandidates
    return budget.take(.topic(finding.topic, origin), limit: limit, now: now) ? nil : .talkative
  }

  /// Lets the address that failed most make room for another, where there is no more.
  private mutating func makeRoom(in key: DiscoveryKey) -> SwarmEvent.Refusal? {
    guard let room = rooms[key] else { return .unknownTopic }
    guard room.candidates.count >= options.maximumCandidates else { return nil }
    let failing = room.candidates.filter { _, candidate in
      if case .queued = candidate.phase {
        !candidate.isGiven && candidate.failures > 0
      } else {
        false
      }
    }
    guard let worst = failing.max(by: { $0.value.failures < $1.value.failures }) else {
      return .full
    }
    rooms[key]?.candidates[worst.key] = nil
    events.append(.forgotten(worst.key, key))
    return nil
  }

  // MARK: The queue

  func candidate(_ target: Target) -> Candidate? {
    rooms[target.discoveryKey]?.candidates[target.address]
  }

  mutating func set(_ target: Target, _ candidate: Candidate) {
    rooms[target.discoveryKey]?.candidates[target.address] = candidate
  }

  mutating func queue(_ target: Target, at instant: Instant) {
    guard var candidate = candidate(target) else { return }
    ticket += 1
    candidate.phase = .queued(ticket)
    set(target, candidate)
    let due = Due(instant: instant, ticket: ticket, target: target)
    if candidate.isGiven { given.insert(due) } else { found.insert(due) }
  }

  /// The next try to be made; nil when there is none now.
  mutating func next(now: Instant) -> Order? {
    clean()
    if let due = given.min, due.instant <= now {
      _ = given.popMin()
      return start(due.target, isGiven: true)
    }
    while let due = found.min, due.instant <= now {
      guard dialing < options.maximumDialing else { return nil }
      let key = due.target.discoveryKey
      if let room = rooms[key], room.outbound >= options.maximumOutbound {
        _ = found.popMin()
        rooms[key]?.candidates[due.target.address]?.phase = .parked
        rooms[key]?.parked.append(due.target.address)
        clean()
        continue
      }
      guard rate.take(now) else { return nil }
      _ = found.popMin()
      return start(due.target, isGiven: false)
    }
    return nil
  }

  /// When ``next(now:)`` may have something, if nothing happens before.
  mutating func deadline() -> Instant? {
    clean()
    var instants = [given.min?.instant].compactMap(\.self)
    if let due = found.min, dialing < options.maximumDialing {
      instants.append(max(due.instant, rate.next ?? due.instant))
    }
    return instants.min()
  }

  /// Drops what no longer stands at the front of the queues.
  private mutating func clean() {
    while let due = given.min, !isCurrent(due) { _ = given.popMin() }
    while let due = found.min, !isCurrent(due) { _ = found.popMin() }
  }

  private func isCurrent(_ due: Due) -> Bool {
    if case .queued(due.ticket)? = candidate(due.target)?.phase { true } else { false }
  }

  private mutating func start(_ target: Target, isGiven: Bool) -> Order {
    let link = add(target.discoveryKey, target.address, isInbound: false)
    links[link]?.isDialing = true
    links[link]?.isCounted = !isGiven
    rooms[target.discoveryKey]?.candidates[target.address]?.phase = .busy(link: link)
    dialing += 1
    if !isGiven { rooms[target.discoveryKey]?.outbound += 1 }
    events.append(.connecting(target.address, target.discoveryKey))
    return Order(number: link, target: target, isGiven: isGiven)
  }

  // MARK: Links

  private mutating func add(_ key: DiscoveryKey, _ address: PeerAddress, isInbound: Bool) -> Int {
    lastLink += 1
    links[lastLink] = Link(
      peer: SwarmPeer(
        number: lastLink, address: address, discoveryKey: key, isInbound: isInbound))
    return lastLink
  }

  /// Takes a connection that somebody opened.
  ///
  /// - Returns: nil for a topic that isn't joined.
  mutating func arrived(_ key: DiscoveryKey, from address: PeerAddress) -> SwarmPeer? {
    guard rooms[key] != nil else {
      events.append(.refused(address, nil, .unknownTopic))
      return nil
    }
    return links[add(key, address, isInbound: true)]?.peer
  }

  /// The try has become a connection.
  mutating func dialed(_ number: Int) {
    guard links[number]?.isDialing == true else { return }
    links[number]?.isDialing = false
    dialing -= 1
  }

  /// Takes a link out of the count of its room's outgoing ones, and lets a parked address have its place.
  mutating func uncount(_ number: Int) {
    guard let link = links[number], link.isCounted else { return }
    links[number]?.isCounted = false
    rooms[link.peer.discoveryKey]?.outbound -= 1
  }

  /// Gives the places that are free to parked addresses.
  mutating func unpark(_ key: DiscoveryKey, now: Instant) {
    guard var free = rooms[key].map({ options.maximumOutbound - $0.outbound }) else { return }
    while free > 0, let address = rooms[key]?.parked.popLast() {
      guard case .parked? = rooms[key]?.candidates[address]?.phase else { continue }
      queue(Target(discoveryKey: key, address: address), at: now)
      free -= 1
    }
  }

  /// A pause as it is made: peers that lost each other at one moment don't all come back at one.
  mutating func jitter(_ pause: Duration) -> Duration {
    func fraction(_ random: inout some RandomNumberGenerator) -> Double {
      Double.random(in: 0.75...1, using: &random)
    }
    return pause * fraction(&random)
  }
}

/// The addresses of this machine, and where connections are taken.
struct LocalAddresses {
  /// Of its interfaces.
  var own: Set<String> = []
  /// Those that reach everybody on a network.
  var broadcasts: Set<String> = []
  /// The ports that we listen on.
  var ports: Set<Int> = []

  func isOwn(_ address: PeerAddress, _ kind: AddressKind) -> Bool {
    ports.contains(address.port) && (kind == .loopback || own.contains(address.host))
  }
}
