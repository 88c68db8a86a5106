/// The announcements, or the subscriptions, of one topic, by the host that they came from.
///
/// ```
/// order   [ host a | host b | host c | … ]       one slot a host, so that a lot is drawn over hosts
/// places     a: 3282, 3283   b: 3282   c: …      a host's own, within its share
/// ```
///
/// However many one host announces, it has only its share of the places and of each answer; and the cost of
/// an answer depends on its size, not on that of the table. An IPv6 network of 64 bits is one host. On the
/// server's own machine, which may be the only one, each socket counts as a host.
struct EndpointTable {
  typealias Instant = ContinuousClock.Instant

  /// The location of a peer that listens, or that subscribes.
  struct Endpoint: Hashable {
    var host: IPAddress
    var port: UInt16

    var address: PeerAddress { PeerAddress(host: host.description, port: Int(port)) }
  }

  /// The unit that counts as one client: a host, or on the server's own machine a socket.
  struct Client: Hashable {
    private var host: IPAddress
    private var socket: UInt16

    init(_ host: IPAddress, socket: UInt16) {
      self.host = host.neighbourhood
      self.socket = host.isLoopback ? socket : 0
    }
  }

  /// The most places.
  struct Shares {
    /// In all.
    var total: Int
    /// For one host.
    var host: Int
    /// For one socket, the port that packets come from.
    var socket: Int
  }

  enum Outcome: Equatable {
    case new
    case renewed
    /// The place had expired but was not swept yet.
    case renewedLate
    /// There is no free place, and no host with more places to evict one from.
    case full
  }

  private struct Place {
    var endpoint: Endpoint
    /// The port that the packet came from.
    var socket: UInt16
    var since: Instant
  }

  private struct Host {
    var places: [Place]
    /// Its index in the order.
    var index: Int
  }

  private var hosts: [Client: Host] = [:]
  private var order: [Client] = []
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  /// Stores or renews a place. The client with the most places makes room: within a host a socket, among
  /// hosts a host.
  ///
  /// - Returns: the outcome, and the client that lost a place for it.
  mutating func store(
    _ endpoint: Endpoint, from socket: UInt16, now: Instant, lasting: Duration, shares: Shares
  ) -> (outcome: Outcome, evicted: Client?) {
    let key = Client(endpoint.host, socket: socket)
    if let place = hosts[key]?.places.firstIndex(where: { $0.endpoint == endpoint }),
      let last = hosts[key]?.places[place].since
    {
      hosts[key]?.places[place].since = now
      return (now - last < lasting ? .renewed : .renewedLate, nil)
    }
    var evicted: Client?
    if let places = hosts[key]?.places {
      let own = places.indices.filter { places[$0].socket == socket }
      if own.count >= shares.socket,
        let oldest = own.min(by: { places[$0].since < places[$1].since })
      {
        remove(oldest, of: key)
        evicted = key
      } else if places.count >= shares.host {
        remove(Self.leastNeeded(places), of: key)
        evicted = key
      }
    }
    if count >= shares.total {
      guard let most = hosts.max(by: { $0.value.places.count < $1.value.places.count }),
        most.value.places.count > (hosts[key]?.places.count ?? 0) + 1
          || most.key == key && most.value.places.count > 1
      else { return (.full, evicted) }
      remove(Self.leastNeeded(most.value.places), of: most.key)
      evicted = most.key
    }
    if hosts[key] == nil {
      hosts[key] = Host(places: [], index: order.count)
      order.append(key)
    }
    hosts[key]?.places.append(Place(endpoint: endpoint, socket: socket, since: now))
    count += 1
    return (.new, evicted)
  }

  /// Returns the place that was renewed longest ago, of the socket with the most.
  private static func leastNeeded(_ places: [Place]) -> Int {
    var counts: [UInt16: Int] = [:]
    for place in places { counts[place.socket, default: 0] += 1 }
    return places.indices.max {
      let (left, right) = (places[$0], places[$1])
      let (few, many) = (counts[left.socket] ?? 0, counts[right.socket] ?? 0)
      return few == many ? left.since > right.since : few < many
    } ?? 0
  }

  func contains(_ endpoint: Endpoint, from socket: UInt16) -> Bool {
    hosts[Client(endpoint.host, socket: socket)]?.places.contains { $0.endpoint == endpoint }
      == true
  }

  /// - Returns: true if there was such a place.
  mutating func remove(_ endpoint: Endpoint, from socket: UInt16) -> Bool {
    let key = Client(endpoint.host, socket: socket)
    guard let place = hosts[key]?.places.firstIndex(where: { $0.endpoint == endpoint }) else {
      return false
    }
    remove(place, of: key)
    return true
  }

  private mutating func remove(_ place: Int, of key: Client) {
    guard let index = hosts[key]?.index else { return }
    hosts[key]?.places.remove(at: place)
    count -= 1
    guard hosts[key]?.places.isEmpty == true else { return }
    hosts[key] = nil
    // The last host of the order takes the free slot.
    let last = order.removeLast()
    if last != key {
      order[index] = last
      hosts[last]?.index = index
    }
  }

  /// Drops expired places.
  ///
  /// - Returns: the number of places that each client lost.
  mutating func sweep(now: Instant, lasting: Duration) -> [Client: Int] {
    var lost: [Client: Int] = [:]
    for key in order {
      for place in (hosts[key]?.places ?? []).indices.reversed()
      where (hosts[key]?.places[place].since).map({ now - $0 >= lasting }) == true {
        remove(place, of: key)
        lost[key, default: 0] += 1
      }
    }
    return lost
  }

  /// Returns a random sample: of each host one place before any host has two. The cost is that of the result.
  func sample(
    _ count: Int, now: Instant, lasting: Duration, using random: inout some RandomNumberGenerator
  ) -> [Endpoint] {
    var chosen: [(places: [Place], start: Int)] = []
    for index in Self.draw(count, of: order.count, using: &random) {
      guard let places = hosts[order[index]]?.places, !places.isEmpty else { continue }
      chosen.append((places, Int.random(in: 0..<places.count, using: &random)))
    }
    var found: [Endpoint] = []
    var round = 0
    while found.count < count {
      var hasMore = false
      for (places, start) in chosen where round < places.count && found.count < count {
        hasMore = true
        let place = places[(start + round) % places.count]
        if now - place.since < lasting { found.append(place.endpoint) }
      }
      guard hasMore else { break }
      round += 1
    }
    return found
  }

  /// Returns distinct random numbers below a total, in no order. Source: Floyd's sampling.
  private static func draw(
    _ count: Int, of total: Int, using random: inout some RandomNumberGenerator
  ) -> [Int] {
    guard total > count else { return Array(0..<total) }
    var drawn: Set<Int> = []
    return (total - count..<total).map { number in
      let lot = Int.random(in: 0...number, using: &random)
      let choice = drawn.contains(lot) ? number : lot
      drawn.insert(choice)
      return choice
    }
  }
}
