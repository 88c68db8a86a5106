internal import HeapModule
internal import HypercoreCrypto

/// The decisions of a swarm: which addresses are worth an attempt and when, and which of two connections to one
/// peer stays.
///
/// It is synchronous, without I/O, a clock or randomness of its own. The ``Swarm`` reports what
/// happened and when, carries out what ``next(now:)`` orders, and passes on the events.
struct SwarmCore {
  typealias Instant = ContinuousClock.Instant

  /// An address to dial for a topic.
  struct Target: Hashable {
    var discoveryKey: DiscoveryKey
    var address: PeerAddress
  }

  /// A peer by the ID that it announces, which nothing proves.
  struct PeerName: Hashable {
    var discoveryKey: DiscoveryKey
    var id: [UInt8]
  }

  enum Phase {
    /// Waits for its turn; the number is that of its entry in the queue.
    case queued(UInt64)
    /// Waits for an outgoing connection of the topic to end.
    case parked
    /// An attempt or a connection is in progress.
    case busy(link: Int)
    /// The connection `link` leads to the same peer. If that is only a claim, the address also waits for its
    /// turn; the number is that of its entry in the queue.
    case standby(link: Int, UInt64?)
    /// The address of this swarm itself.
    case own
  }

  struct Candidate {
    var isGiven: Bool
    var phase: Phase
    var failures = 0
    /// The numeric host; nil for a name.
    var host: IPAddress?
    /// True if the host itself announced that it listens here, as far as that can be checked.
    var speaksForItself = false
    /// Its number in the order in which addresses were found.
    var found: UInt64 = 0

    var isLoopback: Bool { host?.isLoopback == true }
    /// True if nothing is in progress with it.
    var isIdle: Bool {
      switch phase {
      case .queued, .parked: !isGiven
      case .busy, .standby, .own: false
      }
    }
  }

  /// One topic.
  struct Room {
    var candidates: [PeerAddress: Candidate] = [:]
    /// The number of connections and attempts to found addresses.
    var outbound = 0
    var parked: [PeerAddress] = []
  }

  struct Link {
    var peer: SwarmPeer
    var name: PeerName?
    var isDialing = false
    /// True if another host named its address.
    var isNamed = false
    /// True if it counts among the room's outgoing connections.
    var isCounted = false
    /// True if the peer can prove which of its connections are its own.
    var canProve = false
    /// Connections that lead to the same peer, as it has proven.
    var twins: Set<Int> = []
    /// The one of these in favour of which it is being closed.
    var replacedBy: Int?
    var isOwn = false
  }

  /// An attempt to make.
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
  var local = LocalAddresses()
  var events: [SwarmEvent] = []
  /// Topics that have lost their last peer or address since the owner looked: worth a search.
  var lonely: Set<DiscoveryKey> = []

  private var random: any RandomNumberGenerator & Sendable
  private var given = Heap<Due>()
  /// Addresses whose hosts speak for themselves; these precede addresses that others name.
  private var found = Heap<Due>()
  private var named = Heap<Due>()
  private var ticket: UInt64 = 0
  private var lastLink = 0
  private var dialing = 0
  private var dialingNamed = 0
  private var rate: TokenBucket
  var budget = NamingBudget()

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
  /// - Returns: its connections, which are to be closed.
  mutating func leave(_ key: DiscoveryKey) -> [Int] {
    rooms[key] = nil
    topics[Topic(key)] = nil
    return links.values.filter { $0.peer.discoveryKey == key }.map(\.peer.number)
  }

  // MARK: Addresses

  /// Adds an address that the user wants a connection with, until it is released.
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
    set(
      target,
      Candidate(isGiven: true, phase: .parked, host: IPAddress(target.address.host)))
    queue(target, at: now)
  }

  /// Drops an address that the user gave.
  ///
  /// - Returns: its connection, which is to be closed.
  mutating func release(_ target: Target) -> Int? {
    let known = rooms[target.discoveryKey]?.candidates.removeValue(forKey: target.address)
    if case .busy(let link)? = known?.phase { return link }
    return nil
  }

  // MARK: The queue

  /// Returns a number that is larger than any before.
  mutating func nextTicket() -> UInt64 {
    ticket += 1
    return ticket
  }

  func candidate(_ target: Target) -> Candidate? {
    rooms[target.discoveryKey]?.candidates[target.address]
  }

  mutating func set(_ target: Target, _ candidate: Candidate) {
    rooms[target.discoveryKey]?.candidates[target.address] = candidate
  }

  mutating func queue(_ target: Target, at instant: Instant) {
    guard var candidate = candidate(target) else { return }
    let ticket = nextTicket()
    candidate.phase = .queued(ticket)
    set(target, candidate)
    enqueue(target, candidate, at: instant, ticket)
  }

  /// Sets an address aside in favour of a connection that leads to the same peer.
  ///
  /// - Parameter instant: the time to try it all the same; nil for not before that connection ends.
  mutating func putAside(_ target: Target, for link: Int, until instant: Instant?) {
    guard var candidate = candidate(target) else { return }
    let ticket = instant.map { _ in nextTicket() }
    candidate.phase = .standby(link: link, ticket)
    set(target, candidate)
    if let instant, let ticket { enqueue(target, candidate, at: instant, ticket) }
  }

  private mutating func enqueue(
    _ target: Target, _ candidate: Candidate, at instant: Instant, _ ticket: UInt64
  ) {
    let due = Due(instant: instant, ticket: ticket, target: target)
    if candidate.isGiven {
      given.insert(due)
    } else if candidate.speaksForItself {
      found.insert(due)
    } else {
      named.insert(due)
    }
  }

  /// Returns the next attempt to make; nil if there is none now.
  mutating func next(now: Instant) -> Order? {
    clean()
    if let due = given.min, due.instant <= now {
      _ = given.popMin()
      return start(due.target, isGiven: true)
    }
    return next(from: \.found, now) ?? next(from: \.named, now)
  }

  private mutating func next(
    from queue: WritableKeyPath<SwarmCore, Heap<Due>>, _ now: Instant
  ) -> Order? {
    while let due = self[keyPath: queue].min, due.instant <= now, hasFreeTry(queue) {
      let key = due.target.discoveryKey
      if let room = rooms[key], room.outbound >= options.maximumOutbound {
        _ = self[keyPath: queue].popMin()
        park(due.target)
        clean()
        continue
      }
      // The rate protects others: on this machine it would only keep peers apart.
      let isFree = candidate(due.target)?.isLoopback == true
      guard isFree || rate.take(now) else { return nil }
      _ = self[keyPath: queue].popMin()
      return start(due.target, isGiven: false)
    }
    return nil
  }

  /// Returns whether another attempt may be made now: a quarter of them is reserved for hosts that speak for
  /// themselves.
  private func hasFreeTry(_ queue: WritableKeyPath<SwarmCore, Heap<Due>>) -> Bool {
    guard dialing < options.maximumDialing else { return false }
    let most = options.maximumDialing - options.maximumDialing / 4
    return queue == \.found || dialingNamed < most
  }

  private mutating func park(_ target: Target) {
    rooms[target.discoveryKey]?.candidates[target.address]?.phase = .parked
    rooms[target.discoveryKey]?.parked.append(target.address)
    // Addresses that are gone, or were queued again, need no place in the list.
    guard let room = rooms[target.discoveryKey],
      room.parked.count > 2 * options.maximumCandidates + 16
    else { return }
    let parked = room.parked.filter { address in
      if case .parked? = room.candidates[address]?.phase { true } else { false }
    }
    rooms[target.discoveryKey]?.parked = parked
  }

  /// Returns the time at which ``next(now:)`` may have something, if nothing happens before.
  mutating func deadline() -> Instant? {
    clean()
    var instants = [given.min?.instant].compactMap(\.self)
    for queue in [\SwarmCore.found, \.named] {
      guard let due = self[keyPath: queue].min, hasFreeTry(queue) else { continue }
      let isFree = candidate(due.target)?.isLoopback == true
      instants.append(isFree ? due.instant : max(due.instant, rate.next ?? due.instant))
    }
    return instants.min()
  }

  /// Drops obsolete entries from the front of the queues.
  private mutating func clean() {
    for queue in [\SwarmCore.given, \.found, \.named] {
      while let due = self[keyPath: queue].min, !isCurrent(due) {
        _ = self[keyPath: queue].popMin()
      }
    }
  }

  private func isCurrent(_ due: Due) -> Bool {
    switch candidate(due.target)?.phase {
    case .queued(let ticket): ticket == due.ticket
    case .standby(_, let ticket): ticket == due.ticket
    default: false
    }
  }

  private mutating func start(_ target: Target, isGiven: Bool) -> Order {
    let link = add(target.discoveryKey, target.address, isInbound: false)
    links[link]?.isDialing = true
    let isNamed = !isGiven && candidate(target)?.speaksForItself == false
    links[link]?.isNamed = isNamed
    links[link]?.isCounted = !isGiven
    rooms[target.discoveryKey]?.candidates[target.address]?.phase = .busy(link: link)
    dialing += 1
    if isNamed { dialingNamed += 1 }
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

  /// Handles an inbound connection.
  ///
  /// - Returns: nil for a topic that isn't joined.
  mutating func arrived(_ key: DiscoveryKey, from address: PeerAddress) -> SwarmPeer? {
    guard rooms[key] != nil else {
      events.append(.refused(address, nil, .unknownTopic))
      return nil
    }
    return links[add(key, address, isInbound: true)]?.peer
  }

  /// Notes that the attempt has become a connection.
  mutating func dialed(_ number: Int) {
    guard let link = links[number], link.isDialing else { return }
    links[number]?.isDialing = false
    dialing -= 1
    if link.isNamed { dialingNamed -= 1 }
  }

  /// Excludes a link from its room's outgoing ones, and gives its place to a parked address.
  mutating func uncount(_ number: Int) {
    guard let link = links[number], link.isCounted else { return }
    links[number]?.isCounted = false
    rooms[link.peer.discoveryKey]?.outbound -= 1
  }

  /// Gives free places to parked addresses.
  mutating func unpark(_ key: DiscoveryKey, now: Instant) {
    guard var free = rooms[key].map({ options.maximumOutbound - $0.outbound }) else { return }
    while free > 0, let address = rooms[key]?.parked.popLast() {
      guard case .parked? = rooms[key]?.candidates[address]?.phase else { continue }
      queue(Target(discoveryKey: key, address: address), at: now)
      free -= 1
    }
  }

  /// Returns a pause with jitter, so that peers that lost each other at once don't all return at once.
  mutating func jitter(_ pause: Duration) -> Duration {
    func fraction(_ random: inout some RandomNumberGenerator) -> Double {
      Double.random(in: 0.75...1, using: &random)
    }
    return pause * fraction(&random)
  }
}

/// The addresses of this machine, and those at which connections are accepted.
struct LocalAddresses {
  /// The addresses of its interfaces.
  var own: Set<String> = []
  /// The broadcast addresses of its networks.
  var broadcasts: Set<String> = []
  /// The ports that this side listens on.
  var ports: Set<Int> = []

  func isOwn(_ address: PeerAddress, _ kind: AddressKind) -> Bool {
    ports.contains(address.port) && (kind == .loopback || own.contains(address.host))
  }
}
