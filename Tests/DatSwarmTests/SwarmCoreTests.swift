import DatTesting
import HypercoreCrypto
import Testing

@testable import DatSwarm

@Test func `a found address is tried five times, then forgotten until it is found again`() {
  var world = SwarmWorld()
  world.find(["192.0.2.7"])
  let times = world.failing("192.0.2.7", tries: 100)
  #expect(times.count == 5)
  for (pause, (before, after)) in zip([1.0, 1, 5, 15], zip(times, times.dropFirst())) {
    #expect((pause * 0.75...pause + 1e-6).contains(after - before))
  }
  #expect(world.core.deadline() == nil)
  #expect(world.core.rooms[world.key]?.candidates.isEmpty == true)
  world.find(["192.0.2.7"], at: 100)
  #expect(world.orders(at: 100).count == 1)
}

@Test func `a given address is tried for ever, with pauses up to a minute`() {
  var world = SwarmWorld()
  world.core.give(world.target("192.0.2.7"), now: world.start)
  let times = world.failing("192.0.2.7", tries: 12)
  let pauses = [1.0, 1, 5, 15, 30, 60, 60, 60, 60, 60, 60]
  for (pause, (before, after)) in zip(pauses, zip(times, times.dropFirst())) {
    #expect((pause * 0.75...pause + 1e-6).contains(after - before))
  }
  #expect(times.count == 12)
}

@Test
func `a connection that had come to its handshake is opened again soon, whatever failed before`() {
  var world = SwarmWorld()
  world.find(["192.0.2.7"])
  var now = 0.0
  for _ in 0..<3 {
    let order = world.orders(at: now)[0]
    world.core.closed(order.number, reason: "no", now: world.at(now))
    now += 20
  }
  let order = world.orders(at: now)[0]
  world.core.dialed(order.number)
  #expect(world.core.handshaken(order.number, remote: [2], own: [1]) == .stays)
  world.core.lonely = []
  world.core.closed(order.number, reason: nil, now: world.at(now))
  #expect(world.core.lonely == [world.key], "nobody is left, so sources look again")
  #expect(world.orders(at: now + 1).count == 1)
}

@Test func `an address that leads to ourselves is not tried again`() {
  var world = SwarmWorld()
  world.find(["192.0.2.7"])
  world.core.give(world.target("192.0.2.8"), now: world.start)
  let orders = world.orders(at: 0)
  #expect(orders.count == 2)
  for order in orders {
    #expect(world.core.handshaken(order.number, remote: [1], own: [1]) == .isOwn)
    world.core.closed(order.number, reason: nil, now: world.start)
  }
  world.find(["192.0.2.7"], at: 30)
  #expect(world.core.deadline() == nil)
  #expect(world.orders(at: 1000).isEmpty)
}

@Test func `addresses that strangers should not make us dial are refused and counted`() {
  var world = SwarmWorld { $0.denied = ["192.0.2.66"] }
  world.core.local = LocalAddresses(
    own: ["192.0.2.1"], broadcasts: ["192.0.2.255"], ports: [3282])
  world.find(
    [
      "224.0.0.251", "239.1.1.1", "255.255.255.255", "240.0.0.1", "0.0.0.0", "0.1.2.3",
      "192.0.2.255",
      "evil.example", "::", "ff02::1", "::ffff:127.0.0.1",
    ], by: "192.0.2.9")
  world.find(["192.0.2.7"], port: 0)
  #expect(world.refusals() == Array(repeating: .unusable, count: 12))
  world.find(["127.0.0.1", "::1", "127.9.9.9"], port: 3283, by: "192.0.2.9")
  #expect(world.refusals() == Array(repeating: .loopback, count: 2 + 1))
  world.find(["10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1"], from: .dht)
  #expect(world.refusals() == Array(repeating: .local, count: 5))
  world.find(["192.0.2.1"])
  #expect(world.refusals() == [.own])
  world.find(["192.0.2.66"])
  #expect(world.refusals() == [.denied])
  #expect(world.orders(at: 0).isEmpty)
  // The same machine may name itself, and a local network has private addresses.
  world.find(["10.1.2.3", "192.0.2.2"])
  world.find(["127.0.0.1"], port: 4000, by: "127.0.0.1")
  #expect(world.orders(at: 0).count == 3)
}

@Test func `one machine can name few others, and made-up machines no more than a bounded number`() {
  var world = SwarmWorld {
    $0.maximumNamed = 4
    $0.maximumCandidates = 50
    $0.maximumOutbound = .max
    $0.maximumDialing = .max
    $0.dialsPerSecond = 1_000_000
  }
  world.find((0..<100).map { "198.51.100.\($0)" }, by: "192.0.2.9")
  #expect(world.orders(at: 0).count == 4)
  #expect(world.refusals().filter { $0 == .talkative }.count == 96)
  // A flood of senders that each name themselves, for two minutes.
  var tried: Set<PeerAddress> = []
  for second in 0..<120 {
    let now = Double(second)
    world.find((0..<40).map { "203.\(second / 250).\(second % 250).\($0)" }, at: now)
    for order in world.orders(at: now) {
      tried.insert(order.target.address)
      world.core.closed(order.number, reason: "no", now: world.at(now))
    }
    #expect((world.core.rooms[world.key]?.candidates.count ?? 0) <= 50)
    world.core.events = []
  }
  #expect(tried.count <= 4 * 50)
}

@Test func `tries are limited in number and rate, and outgoing connections by topic`() {
  var world = SwarmWorld {
    $0.maximumDialing = 4
    $0.maximumOutbound = 6
    $0.dialsPerSecond = 5
  }
  world.find((1...30).map { "192.0.2.\($0)" })
  let first = world.orders(at: 0)
  #expect(first.count == 4)
  for order in first { world.core.dialed(order.number) }
  #expect(world.orders(at: 0).count == 1)
  #expect(world.orders(at: 0.1).isEmpty)
  #expect(world.orders(at: 1).count == 1)
  #expect(world.orders(at: 100).isEmpty, "six are connected or on their way")
  for (number, order) in first.enumerated() {
    #expect(world.core.handshaken(order.number, remote: [UInt8(number)], own: [99]) == .stays)
  }
  world.core.closed(first[0].number, reason: nil, now: world.at(100))
  #expect(world.orders(at: 100).count == 1)
  // Given addresses are not subject to any of these limits.
  for host in 100..<110 { world.core.give(world.target("192.0.2.\(host)"), now: world.at(100)) }
  #expect(world.orders(at: 100).count == 10)
}

@Test func `hosts that break connections again and again are refused for a while`() {
  let policy = AddressPolicy(allowed: nil, denied: [], maximumOffences: 3)
  let now = ContinuousClock.now
  let stranger = PeerAddress(host: "192.0.2.7", port: 1)
  for _ in 0..<3 {
    #expect(policy.refusal(of: stranger.host, now: now) == nil)
    policy.offended(stranger, now: now)
    policy.offended(PeerAddress(host: "127.0.0.1", port: 1), now: now)
  }
  #expect(policy.refusal(of: stranger.host, now: now) == .offended)
  #expect(policy.refusal(of: "127.0.0.1", now: now) == nil)
  #expect(policy.refusal(of: stranger.host, now: now + .seconds(601)) == nil)
}

@Test func `where hosts are listed as allowed there are connections with no others`() {
  var world = SwarmWorld { $0.allowed = ["192.0.2.7"] }
  world.find(["192.0.2.7", "192.0.2.8"])
  #expect(world.refusals() == [.denied])
  #expect(world.orders(at: 0).map(\.target.address.host) == ["192.0.2.7"])
  // A ban holds whatever the list says, until it is revoked.
  let policy = AddressPolicy(allowed: ["192.0.2.7"], denied: [], maximumOffences: 3)
  policy.deny("192.0.2.7")
  #expect(policy.refusal(of: "192.0.2.7", now: world.start) == .denied)
  policy.undeny("192.0.2.7")
  #expect(policy.refusal(of: "192.0.2.7", now: world.start) == nil)
}

@Test func `a topic that was left wants nothing more`() {
  var world = SwarmWorld()
  world.find(["192.0.2.7", "192.0.2.8"])
  let orders = world.orders(at: 0)
  #expect(world.core.handshaken(orders[0].number, remote: [2], own: [1]) == .stays)
  #expect(Set(world.core.leave(world.key)) == Set(orders.map(\.number)))
  for order in orders { world.core.closed(order.number, reason: nil, now: world.start) }
  #expect(world.core.lonely.isEmpty)
  world.find(["192.0.2.9"])
  #expect(world.orders(at: 100).isEmpty)
  #expect(world.core.deadline() == nil)
  #expect(world.core.arrived(world.key, from: PeerAddress(host: "192.0.2.7", port: 1)) == nil)
}
