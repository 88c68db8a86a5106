import DatTesting
import HypercoreCrypto

@testable import DatSwarm

/// A core on a clock of its own.
struct SwarmWorld {
  let key = DiscoveryKey(bytes: [UInt8](repeating: 7, count: 32))!
  let start = ContinuousClock.now
  var core: SwarmCore

  init(_ change: (inout Swarm.Options) -> Void = { _ in }) {
    var options = Swarm.Options()
    change(&options)
    core = SwarmCore(
      options: options,
      policy: AddressPolicy(
        allowed: options.allowed, denied: options.denied, maximumOffences: options.maximumOffences),
      random: SeededRandom(seed: 1))
    core.join(key)
  }

  func at(_ seconds: Double) -> ContinuousClock.Instant { start + .seconds(seconds) }

  mutating func find(
    _ hosts: [String], port: Int = 3282, from origin: PeerOrigin = .lan,
    by informant: String? = nil,
    at seconds: Double = 0
  ) {
    for host in hosts {
      core.found(
        Finding(
          topic: Topic(key), addresses: [PeerAddress(host: host, port: port)],
          informant: informant ?? host), from: origin, now: at(seconds))
    }
  }

  mutating func orders(at seconds: Double) -> [SwarmCore.Order] {
    var orders: [SwarmCore.Order] = []
    while let order = core.next(now: at(seconds)) { orders.append(order) }
    return orders
  }

  func target(_ host: String) -> SwarmCore.Target {
    SwarmCore.Target(discoveryKey: key, address: PeerAddress(host: host, port: 3282))
  }

  mutating func refusals() -> [SwarmEvent.Refusal] {
    defer { core.events = [] }
    return core.events.compactMap { if case .refused(_, _, let why) = $0 { why } else { nil } }
  }

  /// Fails the address again and again; returns the times at which it was tried.
  mutating func failing(_ host: String, tries: Int) -> [Double] {
    var now = 0.0
    var times: [Double] = []
    while times.count < tries {
      guard let order = core.next(now: at(now)) else {
        guard let due = core.deadline() else { break }
        // A number of seconds may be rounded to before the instant.
        now = (due - start) / .seconds(1) + 1e-9
        continue
      }
      times.append(now)
      core.closed(order.number, reason: "no", now: at(now))
    }
    return times
  }
}
