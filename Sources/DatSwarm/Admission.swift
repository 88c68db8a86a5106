/// A count of inbound connections, which decides which are too many.
///
/// Three caps: all together, so that strangers can't use up our descriptors and memory; for each address,
/// so that one host can't take them all; and for each address those that have not shown that they speak
/// the protocol. At the first cap a new connection evicts one of the address with the most, if that has at
/// least two more than its own: the one that has been idle longest. An IPv6 network of 64 bits counts as
/// one address. For the eviction one of 48 bits, which may be one customer's, counts as one: otherwise a
/// customer could have all connections, each from another network of 64 bits.
///
/// It has no clock: instants are passed in.
final class Admission: Sendable {
  typealias Instant = ContinuousClock.Instant

  /// The most connections that are accepted.
  struct Caps {
    /// In all.
    var total: Int
    /// From one address.
    var address: Int
    /// From loopback, where tunnels end.
    var loopback: Int
    /// From each trusted proxy.
    var proxy: Int
    var proxies: Set<IPAddress> = []
    /// From one address whose peers have not completed the handshake.
    var halfOpen: Int
    /// True if loopback is exempt from the cap on half-open connections.
    var excusesLoopback = true
  }

  /// The unit by which connections are counted.
  fileprivate enum Place: Hashable {
    case network(IPAddress)
    case name(String)

    var isLoopback: Bool {
      if case .network(let address) = self { address.isLoopback } else { false }
    }

    /// The unit that counts as one when all places are taken.
    var site: Place {
      if case .network(let address) = self { .network(address.site) } else { self }
    }
  }

  private struct Host {
    var tickets: Set<Int> = []
    var halfOpen = 0
  }

  private struct State {
    var hosts: [Place: Host] = [:]
    var tickets: [Int: Ticket] = [:]
    var last = 0
  }

  private let state = Guarded(State())
  private let caps: Caps

  init(_ caps: Caps) { self.caps = caps }

  /// The fate of a connection.
  enum Decision {
    /// It has a place, for which another connection may have been evicted.
    case admitted(Ticket, evicted: Ticket?)
    case refused
  }

  /// Gives a new connection a place, if there is one or another connection can be evicted.
  func admit(_ address: PeerAddress, now: Instant) -> Decision {
    let source = IPAddress(address.host)
    let key = source.map { Place.network($0.neighbourhood) } ?? .name(address.host)
    let (ticket, evicted) = state.with { state -> (Ticket?, Ticket?) in
      let host = state.hosts[key] ?? Host()
      guard host.tickets.count < cap(of: key, source) else { return (nil, nil) }
      guard key.isLoopback && caps.excusesLoopback || host.halfOpen < caps.halfOpen else {
        return (nil, nil)
      }
      var evicted: Ticket?
      if state.tickets.count >= caps.total {
        guard let idlest = Self.idlest(in: state, for: key) else {
          return (nil, nil)
        }
        evicted = idlest
        Self.remove(idlest, from: &state)
      }
      state.last += 1
      let ticket = Ticket(self, address, key, state.last, now)
      state.tickets[state.last] = ticket
      state.hosts[key, default: Host()].tickets.insert(state.last)
      state.hosts[key, default: Host()].halfOpen += 1
      return (ticket, evicted)
    }
    evicted?.breakOff()
    return ticket.map { .admitted($0, evicted: evicted) } ?? .refused
  }

  private func cap(of key: Place, _ source: IPAddress?) -> Int {
    if let source, caps.proxies.contains(source) || caps.proxies.contains(source.neighbourhood) {
      return caps.proxy
    }
    return key.isLoopback ? caps.loopback : caps.address
  }

  /// The connection that makes room for one of an address: of the networks the one with most pays, and
  /// of its addresses the one with most.
  private static func idlest(in state: State, for key: Place) -> Ticket? {
    var sites: [Place: [Host]] = [:]
    for (key, host) in state.hosts { sites[key.site, default: []].append(host) }
    func count(_ hosts: [Host]) -> Int { hosts.reduce(0) { $0 + $1.tickets.count } }
    let most = sites.values.max { count($0) < count($1) } ?? []
    let own = sites[key.site] ?? []
    let isOfOther = count(most) >= count(own) + 2
    let paying = (isOfOther ? most : own).max { $0.tickets.count < $1.tickets.count }
    let least = isOfOther ? 1 : (state.hosts[key]?.tickets.count ?? 0) + 2
    guard let paying, paying.tickets.count >= least else { return nil }
    return paying.tickets.compactMap { state.tickets[$0] }
      .min { ($0.lastActive, $0.number) < ($1.lastActive, $1.number) }
  }

  var total: Int { state.with { $0.tickets.count } }

  private func confirm(_ ticket: Ticket) {
    state.with { if $0.tickets[ticket.number] != nil { $0.hosts[ticket.key]?.halfOpen -= 1 } }
  }

  private func leave(_ ticket: Ticket) { state.with { Self.remove(ticket, from: &$0) } }

  private static func remove(_ ticket: Ticket, from state: inout State) {
    guard state.tickets.removeValue(forKey: ticket.number) != nil else { return }
    state.hosts[ticket.key]?.tickets.remove(ticket.number)
    if ticket.isHalfOpen { state.hosts[ticket.key]?.halfOpen -= 1 }
    if state.hosts[ticket.key]?.tickets.isEmpty == true { state.hosts[ticket.key] = nil }
  }

  /// One connection's place.
  final class Ticket: Sendable {
    let address: PeerAddress
    fileprivate let key: Place
    fileprivate let number: Int
    private let admission: Admission
    private let state: Guarded<Standing>

    private struct Standing {
      var isHalfOpen = true
      var lastActive: Instant
      var isBrokenOff = false
      var end: (@Sendable () -> Void)?
    }

    fileprivate init(
      _ admission: Admission, _ address: PeerAddress, _ key: Place, _ number: Int,
      _ now: Instant
    ) {
      self.admission = admission
      self.address = address
      self.key = key
      self.number = number
      state = Guarded(Standing(lastActive: now))
    }

    fileprivate var isHalfOpen: Bool { state.with { $0.isHalfOpen } }
    fileprivate var lastActive: Instant { state.with { $0.lastActive } }

    /// Notes that the peer has completed its handshake.
    func confirm() {
      let wasHalfOpen = state.with { standing in
        defer { standing.isHalfOpen = false }
        return standing.isHalfOpen
      }
      if wasHalfOpen { admission.confirm(self) }
    }

    /// Notes that the peer has sent something other than a keep-alive.
    func noteActivity(now: Instant) { state.with { $0.lastActive = now } }

    /// Sets the function to call when the place is given to another connection.
    func whenEvicted(_ end: @escaping @Sendable () -> Void) {
      let isBrokenOff = state.with { standing in
        standing.end = end
        return standing.isBrokenOff
      }
      if isBrokenOff { end() }
    }

    fileprivate func breakOff() {
      let end = state.with { standing in
        standing.isBrokenOff = true
        return standing.end
      }
      end?()
    }

    /// Releases the place at the end of the connection.
    func leave() {
      state.with { $0.end = nil }
      admission.leave(self)
    }
  }
}
