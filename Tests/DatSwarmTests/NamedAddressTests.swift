import DatTesting
import HypercoreCrypto
import Testing

@testable import DatSwarm

/// The addresses that are kept and tried while others name many.
@Suite struct NamedAddressTests {
  @Test func `a host that speaks for itself has a place while another names ports by the hundred`()
  {
    var world = SwarmWorld()
    // Seventeen packets of thirty-one ports each.
    for packet in 0..<17 {
      for port in 0..<31 { world.find(["192.0.2.66"], port: 2000 + 31 * packet + port) }
    }
    #expect(world.core.rooms[world.key]?.candidates.count == 4)
    for order in world.orders(at: 0) { world.core.dialed(order.number) }
    for number in 1...20 { world.find(["192.0.2.\(number)"], at: 1) }
    #expect(
      Set(world.orders(at: 1.5).map(\.target.address.host)).isSuperset(
        of: (1...10).map { "192.0.2.\($0)" }), "they are tried within half a second")
  }

  @Test func `a host's newest address takes the place of its failed or oldest one`() {
    var world = SwarmWorld { $0.maximumDialing = 1 }
    for port in 1...4 { world.find(["192.0.2.7"], port: port) }
    let order = world.orders(at: 0)[0]
    world.core.closed(order.number, reason: "no", now: world.start)
    world.find(["192.0.2.7"], port: 5)
    let ports = Set(world.core.rooms[world.key]!.candidates.keys.map(\.port))
    #expect(ports == Set(1...5).subtracting([order.target.address.port]))
  }

  @Test func `what others say of a host does not take the places of what it said itself`() {
    var world = SwarmWorld { $0.maximumDialing = 1 }
    for port in 1...4 { world.find(["192.0.2.7"], port: port) }
    for port in 100...103 { world.find(["192.0.2.7"], port: port, by: "192.0.2.66") }
    #expect(Set(world.core.rooms[world.key]!.candidates.keys.map(\.port)) == Set(1...4))
  }

  @Test func `a full topic has room for each host that speaks for itself`() {
    var world = SwarmWorld {
      $0.maximumCandidates = 20
      $0.maximumDialing = 4
    }
    // A server names others by its purpose: as many as are kept.
    world.find((0..<60).map { "198.51.100.\($0)" }, from: .rendezvous, by: "203.0.113.1")
    #expect(world.core.rooms[world.key]?.candidates.count == 20)
    world.find(["192.0.2.7"], at: 1)
    let kept = world.core.rooms[world.key]!.candidates
    #expect(kept.keys.contains(PeerAddress(host: "192.0.2.7", port: 3282)))
    #expect(kept.count == 20)
    #expect(
      world.orders(at: 1).contains { $0.target.address.host == "192.0.2.7" },
      "a try is kept free for it")
  }

  @Test func `what one host names of others takes nothing from hosts that speak for themselves`() {
    var world = SwarmWorld {
      $0.maximumCandidates = 5
      $0.maximumNamed = 100
    }
    world.find((1...30).map { "198.51.100.\($0)" }, by: "192.0.2.66")
    #expect(world.refusals().count { $0 == .talkative } == 10)
    world.find((1...5).map { "192.0.2.\($0)" })
    #expect(world.refusals().isEmpty)
  }

  @Test func `tries of hosts that speak for themselves leave those that others name their own`() {
    var world = SwarmWorld { $0.maximumDialing = 8 }
    world.find((1...6).map { "192.0.2.\($0)" })
    #expect(world.orders(at: 0).count == 6)
    world.find((1...3).map { "198.51.100.\($0)" }, by: "192.0.2.66")
    #expect(world.orders(at: 10).count == 2, "as many as are free")
  }

  @Test func `the list of addresses that wait for a free place is bounded`() {
    var world = SwarmWorld {
      $0.maximumCandidates = 10
      $0.maximumOutbound = 1
    }
    world.find(["192.0.2.1"])
    #expect(world.orders(at: 0).count == 1)
    var most = 0
    // A host's newest address takes the place of its oldest, and all of them wait.
    for port in 1...160 {
      let now = Double(601 * (port / 16))
      world.find(["192.0.2.66"], port: port, at: now)
      #expect(world.orders(at: now).isEmpty)
      most = max(most, world.core.rooms[world.key]?.parked.count ?? 0)
    }
    #expect(most == 36, "twice the addresses that are kept, and sixteen")
  }

  @Test func `failed addresses go first`() {
    var world = SwarmWorld {
      $0.maximumCandidates = 6
      $0.dialsPerSecond = 100
    }
    world.find((1...6).map { "192.0.2.\($0)" })
    let orders = world.orders(at: 0)
    for order in orders where order.target.address.host == "192.0.2.3" {
      world.core.closed(order.number, reason: "no", now: world.start)
    }
    world.find(["192.0.2.9"])
    let hosts = Set(world.core.rooms[world.key]!.candidates.keys.map(\.host))
    #expect(hosts == Set([1, 2, 4, 5, 6, 9].map { "192.0.2.\($0)" }))
  }

  @Test func `made-up ports of one host do not use up what the topic's other hosts may name`() {
    var world = SwarmWorld { $0.maximumDialing = 1 }
    for port in 1...2000 { world.find(["192.0.2.66"], port: port) }
    world.core.events = []
    for number in 1...100 { world.find(["198.51.100.\(number)"]) }
    #expect(world.refusals().isEmpty)
  }

  @Test func `within this machine a flood of ports keeps nobody out for long`() {
    var world = SwarmWorld()
    for port in 1...600 { world.find(["127.0.0.1"], port: port, by: "127.0.0.1") }
    // Nothing listens there, as the system reports at once.
    for _ in 0..<1000 {
      guard let order = world.core.next(now: world.start) else { break }
      world.core.closed(order.number, reason: "refused", now: world.start)
    }
    world.find(["127.0.0.1"], port: 3282, by: "127.0.0.1", at: 0.5)
    #expect(world.orders(at: 0.5).contains { $0.target.address.port == 3282 })
  }

  @Test func `who names from ever new addresses makes room, and is bounded all the same`() {
    var budget = NamingBudget()
    let start = ContinuousClock.now
    let topic = Topic()
    for number in 0..<20_000 {
      let host = IPAddress(IPv4(number: UInt32(number) + 1 << 24))
      let isTaken = budget.take(
        .host(topic, host), limit: 1, now: start + .milliseconds(number))
      #expect(isTaken)
    }
    let last = IPAddress(IPv4(number: UInt32(19_999) + 1 << 24))
    let isTaken = budget.take(.host(topic, last), limit: 1, now: start + .seconds(20))
    #expect(!isTaken)
  }
}
