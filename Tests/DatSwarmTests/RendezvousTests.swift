import DatDNS
import DatTesting
import HypercoreCrypto
import Testing

@testable import DatSwarm

private let topic = Topic(hex: "eff1e39681e1722b6bb83799f79fa61e9e09e019")!
private let start = ContinuousClock.now

/// A server and its clients, on a clock of their own and a network that loses nothing.
private struct World {
  var server = RendezvousServerCore(random: SeededRandom(seed: 1))
  var clients: [RendezvousClientCore] = []
  var findings: [[PeerAddress]] = []
  var isServerThere = true

  static let address = PeerAddress(host: "192.0.2.1", port: 5300)

  static func client(_ number: Int) -> PeerAddress {
    PeerAddress(host: "198.51.100.\(number + 1)", port: 40_000)
  }

  mutating func add(announcing port: Int?, at now: ContinuousClock.Instant = start) {
    var client = RendezvousClientCore(
      server: Self.address, firstID: UInt16(clients.count) &* 1000)
    client.join(topic, announcing: port, now: now)
    clients.append(client)
    findings.append([])
  }

  mutating func run(from: Double = 0, to end: Double) {
    for second in stride(from: from, through: end, by: 0.5) {
      let now = start + .seconds(second)
      if isServerThere { deliver(server.tick(now: now), now) }
      for number in clients.indices { carry(clients[number].tick(now: now), number, now) }
    }
  }

  private mutating func carry(
    _ actions: [RendezvousClientCore.Action], _ number: Int, _ now: ContinuousClock.Instant
  ) {
    for action in actions {
      switch action {
      case .found(let finding): findings[number] += finding.addresses
      case .send(let bytes):
        if isServerThere {
          deliver(server.receive(bytes, from: Self.client(number), now: now), now)
        }
      }
    }
  }

  private mutating func deliver(
    _ packets: [RendezvousServerCore.Packet], _ now: ContinuousClock.Instant
  ) {
    for packet in packets {
      for number in clients.indices where Self.client(number) == packet.to {
        carry(clients[number].receive(packet.bytes, from: Self.address, now: now), number, now)
      }
    }
  }
}

@Test func `two peers meet within seconds in a topic that others fill`() {
  // Fifty hosts announce, and an answer has room for 31 of them.
  for seed in 1...40 {
    var world = World()
    world.server = RendezvousServerCore(random: SeededRandom(seed: UInt64(seed)))
    for number in 0..<50 { world.add(announcing: 1000 + number) }
    world.run(to: 20)
    world.add(announcing: 5000, at: start + .seconds(20))
    world.add(announcing: 5001, at: start + .seconds(20))
    world.run(from: 20, to: 25)
    let met =
      world.findings[50].contains { $0.port == 5001 }
      || world.findings[51].contains { $0.port == 5000 }
    #expect(met, "seed \(seed)")
  }
}

@Test func `who announces is found by who comes later, and told of them at once`() {
  var world = World()
  world.add(announcing: 3282)
  world.run(to: 1)
  world.add(announcing: 4000, at: start + .seconds(2))
  world.run(from: 2, to: 3)
  #expect(world.findings[1].contains(PeerAddress(host: "198.51.100.1", port: 3282)))
  // It asks again soon, and is told of itself as well.
  let own = PeerAddress(host: "198.51.100.1", port: 3282)
  #expect(
    world.findings[0].filter { $0 != own } == [PeerAddress(host: "198.51.100.2", port: 4000)])
  #expect(world.server.statistics.entries == 4)
  // Leaving withdraws what was announced.
  world.clients[1].leave(topic, now: start + .seconds(4))
  world.run(from: 4, to: 5)
  world.add(announcing: nil, at: start + .seconds(6))
  world.run(from: 6, to: 7)
  #expect(Set(world.findings[2]) == [PeerAddress(host: "198.51.100.1", port: 3282)])
}

@Test func `a server that was restarted knows everybody again soon`() {
  var world = World()
  world.add(announcing: 3282)
  world.run(to: 30)
  world.isServerThere = false
  world.run(from: 30.5, to: 60)
  #expect(!world.clients[0].isReachable)
  world.server = RendezvousServerCore(random: SeededRandom(seed: 2))
  world.isServerThere = true
  world.run(from: 60.5, to: 95)
  #expect(world.clients[0].isReachable)
  #expect(world.server.statistics.announced == 1)
  // Restarted so fast that nobody noticed: the old token is not valid, the new one is.
  world.server = RendezvousServerCore(random: SeededRandom(seed: 3))
  world.run(from: 95.5, to: 120)
  #expect(world.server.statistics.announced == 1)
}

@Test func `what is announced lasts while it is repeated, and not much longer`() {
  var world = World()
  world.add(announcing: 3282)
  world.run(to: 1000)
  #expect(world.server.statistics.entries == 2)
  world.clients = []
  world.run(from: 1000, to: 1200)
  #expect(world.server.statistics.entries == 0)
  #expect(world.server.statistics.topics == 0)
}

@Test func `without a token that was sent to one's address nothing is stored`() {
  var server = RendezvousServerCore(random: SeededRandom(seed: 1))
  func announce(_ token: String, from sender: PeerAddress) -> [RendezvousServerCore.Packet] {
    server.receive(
      DNSMessage(
        id: 7, questions: [DiscoveryMessages.question(about: topic)],
        additionals: [
          DiscoveryMessages.text(
            DiscoveryMessages.name(of: topic),
            [("subscribe", "true"), ("token", token), ("announce", "3282")])
        ]
      ).encoded()!, from: sender, now: start)
  }
  func token(_ packets: [RendezvousServerCore.Packet]) -> String {
    guard let packet = packets.first,
      case .text(let strings)? = DNSMessage(decoding: packet.bytes)?.answers.first?.contents
    else { return "" }
    return DiscoveryMessages.fields(strings)["token"] ?? ""
  }
  let honest = PeerAddress(host: "192.0.2.7", port: 1000)
  let fresh = token(announce("", from: honest))
  #expect(!fresh.isEmpty)
  _ = announce(fresh, from: PeerAddress(host: "192.0.2.8", port: 1000))
  #expect(server.statistics.entries == 0)
  #expect(server.statistics.unproven == 2)
  _ = announce(fresh, from: honest)
  #expect(server.statistics.entries == 2)
  // The previous one is valid as well, the one before that no longer.
  _ = server.tick(now: start)
  _ = server.tick(now: start + .seconds(300))
  #expect(token(announce(fresh, from: honest)) != fresh)
  #expect(server.statistics.unproven == 2)
  _ = server.tick(now: start + .seconds(600))
  _ = announce(fresh, from: honest)
  #expect(server.statistics.unproven == 3)
}

@Test func `the server's memory is bounded, and so is what one address gets of its time`() {
  var limits = RendezvousServerCore.Limits()
  limits.entries = 500
  limits.entriesOfHost = 100
  limits.topic = EndpointTable.Shares(total: 50, host: 10, socket: 4)
  limits.hosts = 64
  limits.pushes = 20
  var server = RendezvousServerCore(limits: limits, random: SeededRandom(seed: 1))
  var random = SeededRandom(seed: 2)
  for round in 0..<4_000 {
    let sender = PeerAddress(host: "10.0.\(round % 3).\(round % 200)", port: 1 + round % 60_000)
    let probe = DNSMessage(
      id: 1, questions: [DNSQuestion(DiscoveryMessages.domain, type: DNSRecord.textType)])
    let now = start + .milliseconds(round)
    guard let reply = server.receive(probe.encoded()!, from: sender, now: now).first,
      case .text(let strings)? = DNSMessage(decoding: reply.bytes)?.answers.first?.contents,
      let token = DiscoveryMessages.fields(strings)["token"]
    else { continue }
    let about = Topic(bytes: random.bytes(1) + [UInt8](repeating: 0, count: 19))!
    let packet = DNSMessage(
      id: 2, questions: [DiscoveryMessages.question(about: about)],
      additionals: [
        DiscoveryMessages.text(
          DiscoveryMessages.name(of: about),
          [("subscribe", "true"), ("token", token), ("announce", "\(1 + round % 60_000)")])
      ]
    ).encoded()!
    let sent = server.receive(packet, from: sender, now: now)
    #expect(sent.count <= 1 + limits.pushesOfAnnouncement)
    #expect(sent.allSatisfy { $0.bytes.count <= 512 })
    if round % 500 == 0 { _ = server.tick(now: now) }
  }
  #expect(server.statistics.entries <= 500)
  #expect(server.statistics.full > 0)
  var flooded = 0
  for _ in 0..<3_000 {
    let answer = server.receive(
      [UInt8](repeating: 0, count: 12), from: PeerAddress(host: "192.0.2.66", port: 9),
      now: start + .seconds(60))
    flooded += answer.isEmpty ? 1 : 0
  }
  #expect(flooded >= 3_000 - limits.burst)
}

@Test func `a client wakes for a sign of life between two questions about its topic`() throws {
  var world = World()
  world.add(announcing: 1000)
  world.run(to: 30)
  // The topic is asked about every minute, and the server heard from every five seconds.
  let now = start + .seconds(30)
  let due = try #require(world.clients[0].deadline(now: now))
  #expect(due > now && due <= now + .seconds(5))
}

@Test func `a server that is silent is asked less and less often`() {
  var client = RendezvousClientCore(server: World.address, firstID: 1)
  client.join(topic, announcing: 1000, now: start)
  var (now, sent) = (start, [ContinuousClock.Instant]())
  while sent.count < 40, let due = client.deadline(now: now) {
    now = due
    for case .send in client.tick(now: now) { sent.append(now) }
  }
  // A probe is sent five times within 7.5 seconds, and given up four seconds later.
  let pauses = zip(sent, sent.dropFirst()).map { ($1 - $0) / .seconds(1) }.filter { $0 > 4 }
  #expect(pauses == [5, 6, 9, 14, 24, 34, 34])
}

@Test(.timeLimit(.minutes(1)))
func `a source that is closed has no more findings`() async {
  let source = RendezvousSource(servers: [PeerAddress(host: "127.0.0.1", port: 9)])
  await source.join(topic, announcing: 1001)
  await source.close()
  for await _ in source.findings {}
}

@Test func `peers find each other over sockets through a server, also one that was restarted`()
  async throws
{
  var server = try await RendezvousServer(host: "127.0.0.1")
  let address = server.address
  func source(_ port: Int) async -> RendezvousSource {
    let source = RendezvousSource(servers: [address], heartbeat: .milliseconds(200))
    await source.join(topic, announcing: port)
    return source
  }
  func find(_ port: Int, by source: RendezvousSource) async {
    for await finding in source.findings
    where finding.addresses.contains(PeerAddress(host: "127.0.0.1", port: port)) { break }
  }
  let one = await source(1001)
  let two = await source(1002)
  await find(1001, by: two)
  await server.close()
  server = try await RendezvousServer(host: "127.0.0.1", port: address.port)
  let three = await source(1003)
  await find(1001, by: three)
  for source in [one, two, three] { await source.close() }
  await server.close()
}
