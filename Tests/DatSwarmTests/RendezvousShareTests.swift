import DatDNS
import DatTesting
import Foundation
import HypercoreCrypto
import Testing

@testable import DatSwarm

private let topic = Topic(hex: "eff1e39681e1722b6bb83799f79fa61e9e09e019")!
private let start = ContinuousClock.now

/// The share of one client of a rendezvous server, and what remains for others.
@Suite struct RendezvousShareTests {
  private func message(_ packet: RendezvousServerCore.Packet?) -> DNSMessage? {
    packet.flatMap { DNSMessage(decoding: $0.bytes) }
  }

  private func fields(_ packet: RendezvousServerCore.Packet?) -> [String: String] {
    guard case .text(let strings)? = message(packet)?.answers.first?.contents else { return [:] }
    return DiscoveryMessages.fields(strings)
  }

  private let probe = DNSMessage(
    id: 1, questions: [DNSQuestion(DiscoveryMessages.domain, type: DNSRecord.textType)]
  ).encoded()!

  private func token(
    _ server: inout RendezvousServerCore, _ sender: PeerAddress, _ now: ContinuousClock.Instant
  ) -> String {
    fields(server.receive(probe, from: sender, now: now).first)["token"] ?? ""
  }

  private func packet(
    _ token: String?, about topics: [Topic] = [topic], announcing port: Int? = nil,
    subscribes: Bool = true
  ) -> [UInt8] {
    var message = DNSMessage(id: 2, questions: topics.map(DiscoveryMessages.question))
    if let token {
      let announce = port.map { [("announce", "\($0)")] } ?? []
      message.additionals = [
        DiscoveryMessages.text(
          DiscoveryMessages.name(of: topics[0]),
          (subscribes ? [("subscribe", "true")] : []) + [("token", token)] + announce)
      ]
    }
    return message.encoded()!
  }

  private func peers(_ packet: RendezvousServerCore.Packet?) -> [PeerAddress] {
    let fields = fields(packet)
    return DiscoveryMessages.peers(reading: fields["peers"] ?? "", from: "")
      + DiscoveryMessages.peers6(reading: fields["peers6"] ?? "")
  }

  @Test func `one socket's thousand announcements leave the topic to everybody else`() {
    for host in ["192.0.2.66", "127.0.0.1"] {
      var server = RendezvousServerCore(random: SeededRandom(seed: 1))
      let liar = PeerAddress(host: host, port: 4000)
      let liarsToken = token(&server, liar, start)
      for port in 1...1024 {
        let now = start + .milliseconds(port)
        _ = server.receive(packet(liarsToken, announcing: port), from: liar, now: now)
      }
      #expect(server.statistics.entries <= 5)
      var met = 0
      for number in 1...10 {
        // On the same machine, if the liar is on it.
        let peer = PeerAddress(
          host: host == "127.0.0.1" ? host : "198.51.100.\(number)", port: 5000 + number)
        let now = start + .seconds(2 + number)
        let own = token(&server, peer, now)
        let answer = server.receive(packet(own, announcing: 3282 + number), from: peer, now: now)
        met += peers(answer.first).count { $0.port > 3282 && $0.port != 3282 + number }
      }
      #expect(met == (0..<10).reduce(0, +), "each finds all that came before")
    }
  }

  @Test func `a customer with many networks of 64 bits has one host's share`() {
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    for number in 0..<1100 {
      let liar = PeerAddress(host: "2001:db8:7:\(String(number, radix: 16))::1", port: 4000)
      let now = start + .milliseconds(50 * number)
      let own = token(&server, liar, now)
      _ = server.receive(packet(own, announcing: 3282), from: liar, now: now)
    }
    for number in 1...10 {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 9)
      let own = token(&server, peer, start + .seconds(60))
      _ = server.receive(packet(own, announcing: 3282), from: peer, now: start + .seconds(60))
    }
    #expect(server.statistics.full == 0)
    let asker = PeerAddress(host: "203.0.113.1", port: 9)
    let own = token(&server, asker, start + .seconds(61))
    let found = peers(
      server.receive(packet(own), from: asker, now: start + .seconds(61)).first)
    #expect(found.count { $0.host.hasPrefix("198.51.100.") } == 10)
  }

  @Test func `who announces and hears of nobody is found all the same`() {
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    let peer = PeerAddress(host: "198.51.100.1", port: 4000)
    let own = token(&server, peer, start)
    _ = server.receive(packet(own, announcing: 3282, subscribes: false), from: peer, now: start)
    #expect(server.statistics.entries == 1)
    let asker = PeerAddress(host: "203.0.113.1", port: 9)
    let found = server.receive(packet(token(&server, asker, start)), from: asker, now: start)
    #expect(peers(found.first) == [PeerAddress(host: peer.host, port: 3282)])
  }

  @Test func `an announcement that there is no room for is told to nobody`() {
    var limits = RendezvousServerCore.Limits()
    limits.entries = 3
    var server = RendezvousServerCore(limits: limits, random: SeededRandom(seed: 1))
    for number in 1...3 {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 4000)
      let own = token(&server, peer, start)
      let sent = server.receive(packet(own, announcing: 3282), from: peer, now: start)
      // The answer, and for the second that of whom the first hears.
      #expect(sent.count == (number == 2 ? 2 : 1))
    }
    #expect(server.statistics.announced == 2 && server.statistics.pushed == 1)
    #expect(server.statistics.full == 3, "the second's subscription, and all of the third")
  }

  @Test func `an announcement to a full topic is told to nobody`() {
    var limits = RendezvousServerCore.Limits()
    limits.topic = EndpointTable.Shares(total: 3, host: 2, socket: 2)
    var server = RendezvousServerCore(limits: limits, random: SeededRandom(seed: 1))
    for number in 1...4 {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 4000)
      let own = token(&server, peer, start)
      let sent = server.receive(packet(own, announcing: 3282), from: peer, now: start)
      // The answer, and what those before hear of it.
      #expect(sent.count == (number <= 3 ? number : 1))
    }
    #expect(server.statistics.announced == 3 && server.statistics.pushed == 3)
    #expect(server.statistics.full == 2, "the fourth's announcement and subscription")
  }

  @Test func `a place runs out at the instant when it has lasted its time`() {
    let shares = EndpointTable.Shares(total: 10, host: 4, socket: 4)
    var table = EndpointTable()
    for (port, pause) in [(1, 0), (2, 1)] {
      let endpoint = EndpointTable.Endpoint(host: IPAddress("192.0.2.1")!, port: UInt16(port))
      _ = table.store(
        endpoint, from: 4000, now: start + .seconds(pause), lasting: .seconds(60), shares: shares)
    }
    var excess: [EndpointTable.Client: Int] = [:]
    let lost = table.sweep(now: start + .seconds(60), lasting: .seconds(60), excess: &excess)
    #expect(Array(lost.values) == [1])
    #expect(table.count == 1)
  }

  @Test func `some hosts that announce all they may leave room to others`() {
    var limits = RendezvousServerCore.Limits()
    limits.entries = 4_000
    limits.entriesOfHost = 400
    var server = RendezvousServerCore(limits: limits, random: SeededRandom(seed: 1))
    func flood(_ instant: ContinuousClock.Instant) {
      for host in 1...12 {
        let liar = PeerAddress(host: "192.0.2.\(host)", port: 4000)
        let own = token(&server, liar, instant)
        for number in 0..<200 {
          let name = Topic(hex: String(format: "%036x%04x", host, number))!
          _ = server.receive(packet(own, about: [name], announcing: 9), from: liar, now: instant)
        }
      }
    }
    func announce(_ number: Int, _ instant: ContinuousClock.Instant) {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 9)
      let own = token(&server, peer, instant)
      _ = server.receive(packet(own, announcing: 3282), from: peer, now: instant)
    }
    announce(1, start)
    flood(start)
    #expect(server.statistics.entries == 4_000)
    for second in 1...4 {
      _ = server.tick(now: start + .seconds(11 * second))
      #expect(server.statistics.entries <= 3_600)
      // They can't take again what they lost.
      flood(start + .seconds(11 * second + 5))
      announce(second + 1, start + .seconds(11 * second + 6))
      #expect(server.statistics.entries <= 3_600)
    }
    let asker = PeerAddress(host: "203.0.113.1", port: 9)
    let own = token(&server, asker, start + .seconds(60))
    let found = peers(
      server.receive(packet(own), from: asker, now: start + .seconds(60)).first)
    #expect(Set(found.map(\.host)) == Set((1...5).map { "198.51.100.\($0)" }))
  }

  @Test func `hosts have equal shares of an answer, however much one of them announces`() {
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    for number in 0..<64 {
      let liar = PeerAddress(host: "192.0.2.66", port: 1 + number)
      let own = token(&server, liar, start + .milliseconds(100 * number))
      _ = server.receive(
        packet(own, announcing: 1 + number), from: liar, now: start + .milliseconds(100 * number))
    }
    for number in 1...20 {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 9)
      let own = token(&server, peer, start)
      _ = server.receive(packet(own, announcing: 3282), from: peer, now: start + .seconds(7))
    }
    let asker = PeerAddress(host: "203.0.113.1", port: 9)
    let own = token(&server, asker, start)
    let found = peers(
      server.receive(packet(own), from: asker, now: start + .seconds(8)).first)
    #expect(found.count == 31)
    #expect(Set(found.map(\.host)).count == 21)
  }

  @Test func `a full topic makes room for new hosts, at the cost of those with most`() {
    var limits = RendezvousServerCore.Limits()
    limits.topic = EndpointTable.Shares(total: 40, host: 20, socket: 20)
    var server = RendezvousServerCore(limits: limits, random: SeededRandom(seed: 1))
    for host in ["192.0.2.66", "192.0.2.67"] {
      let liar = PeerAddress(host: host, port: 1)
      let own = token(&server, liar, start)
      for port in 1...20 {
        _ = server.receive(packet(own, announcing: port), from: liar, now: start)
      }
    }
    for number in 1...30 {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 9)
      let own = token(&server, peer, start)
      _ = server.receive(packet(own, announcing: 3282), from: peer, now: start)
    }
    #expect(server.statistics.full == 0)
    let asker = PeerAddress(host: "203.0.113.1", port: 9)
    let own = token(&server, asker, start)
    let found = peers(server.receive(packet(own), from: asker, now: start).first)
    #expect(Set(found.map(\.host)).count == 31)
  }

  @Test func `a socket that announces more ports than it may has its oldest replaced`() {
    var table = EndpointTable()
    let host = IPAddress(IPv4(number: 1 << 24))
    func store(_ port: Int, at second: Int) -> EndpointTable.Outcome {
      table.store(
        EndpointTable.Endpoint(host: host, port: UInt16(port)), from: 1,
        now: start + .seconds(second), lasting: .seconds(180),
        shares: EndpointTable.Shares(total: .max, host: 64, socket: 2)
      ).outcome
    }
    _ = store(1, at: 0)
    _ = store(2, at: 1)
    // A renewal makes the first one younger than the second.
    let renewal = store(1, at: 2)
    #expect(renewal == .renewed)
    _ = store(3, at: 3)
    var random = SeededRandom(seed: 1)
    let left = table.sample(31, now: start + .seconds(3), lasting: .seconds(180), using: &random)
    #expect(Set(left.map(\.port)) == [1, 3])
  }

  @Test func `the cost of an answer does not grow with the topic`() {
    func drawn(_ hosts: Int) -> Int {
      var table = EndpointTable()
      for number in 0..<hosts {
        let host = IPAddress(IPv4(number: UInt32(number) + 1 << 24))
        _ = table.store(
          EndpointTable.Endpoint(host: host, port: 1), from: 1, now: start, lasting: .seconds(180),
          shares: EndpointTable.Shares(total: .max, host: 64, socket: 4))
      }
      var random = CountedRandom(SeededRandom(seed: 1))
      let found = table.sample(31, now: start, lasting: .seconds(180), using: &random)
      #expect(Set(found).count == 31)
      return random.count
    }
    // One draw for each host, and one for its place; a shuffle would take one for each of a thousand.
    #expect(drawn(50) <= 2 * 62)
    #expect(drawn(1024) <= 2 * 62)
  }

  @Test func `a question asked eight times is answered once`() throws {
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    let asker = PeerAddress(host: "203.0.113.1", port: 9)
    let own = token(&server, asker, start)
    let answer = server.receive(
      packet(own, about: Array(repeating: topic, count: 8)), from: asker, now: start)
    #expect(answer.count == 1)
    let reply = try #require(message(answer.first))
    #expect(reply.questions.count == 1)
    #expect(reply.answers.count == 1)
    // Different topics share a packet.
    let many = (0..<8).map { Topic(bytes: [UInt8](repeating: UInt8($0), count: 20))! }
    let shared = server.receive(packet(own, about: many), from: asker, now: start)
    #expect(shared.count == 1)
    #expect(try #require(shared.first).bytes.count <= 1232)
  }

  @Test func `a question with a forged source is answered with a token alone, and not for ever`() {
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    for number in 1...40 {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 9)
      let own = token(&server, peer, start)
      _ = server.receive(packet(own, announcing: 3282), from: peer, now: start)
    }
    let victim = PeerAddress(host: "203.0.113.1", port: 9)
    let questions = [
      probe, packet(nil), packet("of somebody else", announcing: 1),
      packet(nil, about: (0..<8).map { Topic(bytes: [UInt8](repeating: $0, count: 20))! }),
      DNSMessage(
        questions: [
          DNSQuestion(DiscoveryMessages.name(of: topic), type: DNSRecord.serviceType)
        ]
      ).encoded()!,
    ]
    for question in questions {
      let answer = server.receive(question, from: victim, now: start)
      #expect(answer.count == 1)
      #expect((answer.first?.bytes.count ?? 0) <= 200)
      #expect(peers(answer.first).isEmpty)
      #expect(message(answer.first)?.answers.contains { $0.type != DNSRecord.textType } == false)
    }
    #expect(probe.count == 27, "as long as the reference's first packet")
    let said = fields(server.receive(probe, from: victim, now: start).first)
    #expect(Set(said.keys) == ["token", "host", "port"])
    // A flood of them: 100 answers at once, 20 a second.
    var bytes = 0
    for number in 0..<4_000 {
      let now = start + .milliseconds(number)
      bytes += server.receive(probe, from: victim, now: now).reduce(0) { $0 + $1.bytes.count }
    }
    print(
      "of 4,000 forged packets, \(4_000 * probe.count) bytes, \(bytes) bytes reached the victim")
    #expect(bytes < 200 * 200)
    #expect(server.statistics.untold > 3_000)
    // With its own token the victim is served meanwhile.
    let own = said["token"] ?? ""
    let answer = server.receive(packet(own), from: victim, now: start + .seconds(5))
    #expect(peers(answer.first).count == 31)
  }

  @Test func `our own question without a token is as long as its answer may be`() {
    var client = RendezvousClientCore(
      server: PeerAddress(host: "192.0.2.1", port: 5300), firstID: 1)
    client.join(topic, announcing: 3282, now: start)
    guard case .send(let bytes)? = client.tick(now: start).first else {
      Issue.record("nothing was asked")
      return
    }
    #expect(bytes.count >= 200)
    #expect(DNSMessage(decoding: bytes)?.questions.first?.name == DiscoveryMessages.domain)
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    let answer = server.receive(bytes, from: PeerAddress(host: "203.0.113.1", port: 9), now: start)
    #expect((answer.first?.bytes.count ?? 0) <= bytes.count)
    for missing in 10...1000 {
      let strings = DiscoveryMessages.padding(missing)
      #expect(abs(strings.reduce(0) { $0 + 1 + $1.count } - missing) <= 9)
      #expect(strings.allSatisfy { $0.count <= 255 })
    }
  }

  @Test func `the memory of rates drops its oldest, never all`() {
    var memory = RateMemory<Int>(perSecond: 1, burst: 2, capacity: 100)
    for _ in 0..<3 { _ = memory.take(-1, now: start) }
    for number in 0..<10_000 {
      let isNew = memory.take(number, now: start)
      #expect(isNew)
      // A source that is seen now and then is remembered.
      guard number % 50 == 0 else { continue }
      let isForgotten = memory.take(-1, now: start)
      #expect(!isForgotten)
      #expect(memory.count <= 100)
    }
    let isForgotten = memory.take(-1, now: start)
    #expect(!isForgotten)
  }

  @Test func `announcements of one host push to subscribers within a budget`() {
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    for number in 1...16 {
      let peer = PeerAddress(host: "198.51.100.\(number)", port: 9)
      let own = token(&server, peer, start)
      _ = server.receive(packet(own), from: peer, now: start)
    }
    let liar = PeerAddress(host: "192.0.2.66", port: 1)
    let own = token(&server, liar, start)
    var pushed = 0
    for port in 1...1000 {
      pushed += server.receive(packet(own, announcing: port), from: liar, now: start).count - 1
    }
    #expect(pushed <= 256)
    #expect(server.statistics.unpushed > 0)
  }

  @Test func `peers with IPv6 addresses are stored, told and found`() {
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    let six = PeerAddress(host: "2001:db8::7", port: 4000)
    let four = PeerAddress(host: "192.0.2.7", port: 4000)
    for peer in [six, four] {
      let own = token(&server, peer, start)
      #expect(!own.isEmpty)
      let answers = server.receive(packet(own, announcing: 3282), from: peer, now: start)
      #expect(answers.first?.to == peer)
    }
    let asker = PeerAddress(host: "2001:db8:1::1", port: 1)
    let own = token(&server, asker, start)
    let found = peers(server.receive(packet(own), from: asker, now: start).first)
    #expect(
      Set(found) == [
        PeerAddress(host: "2001:db8::7", port: 3282), PeerAddress(host: "192.0.2.7", port: 3282),
      ])
  }

  @Test(.timeLimit(.minutes(1)), arguments: Loopback.addresses)
  func `peers find each other through a server of either kind of address`(host: String) async throws
  {
    let server = try await RendezvousServer(host: host == "::1" ? "::" : "0.0.0.0")
    let address = PeerAddress(host: host, port: server.address.port)
    let one = RendezvousSource(servers: [address])
    let other = RendezvousSource(servers: [address])
    await one.join(topic, announcing: 1001)
    await other.join(topic, announcing: 1002)
    for await finding in other.findings
    where finding.addresses.contains(PeerAddress(host: host, port: 1001)) { break }
    #expect(await other.standingTroubles.isEmpty)
    await one.close()
    await other.close()
    await server.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `a server's name that stands for nothing is said at once, and goes on being said`()
    async throws
  {
    let source = RendezvousSource(servers: [PeerAddress(host: "name.invalid", port: 5300)])
    let swarm = Swarm(sources: [source])
    let events = await swarm.events()
    await swarm.join(DiscoveryKey(bytes: [UInt8](repeating: 7, count: 32))!) { _ in
      throw CancellationError()
    }
    for await event in events {
      guard case .trouble(.rendezvous, let sentence) = event else { continue }
      #expect(sentence.contains("name.invalid:5300"))
      break
    }
    #expect(await swarm.troubles.count == 1)
    await swarm.close()
  }

  @Test(.timeLimit(.minutes(1)))
  func `an interface that is not there is said at once`() async throws {
    var options = LANSource.Options()
    options.interfaces = ["nosuch0"]
    let source = LANSource(options: options)
    await source.join(topic, announcing: 1)
    for await trouble in source.troubles {
      #expect(trouble.contains("nosuch0"))
      break
    }
    #expect(await source.standingTroubles.count == 1)
    await source.close()
  }
}

/// A generator that counts its draws.
private struct CountedRandom: RandomNumberGenerator {
  private var random: SeededRandom
  private(set) var count = 0

  init(_ random: SeededRandom) { self.random = random }

  mutating func next() -> UInt64 {
    count += 1
    return random.next()
  }
}
