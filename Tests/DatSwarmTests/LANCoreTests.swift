import DatDNS
import DatTesting
import HypercoreCrypto
import NIOCore
import Testing

@testable import DatSwarm

private let topic = Topic(hex: "eff1e39681e1722b6bb83799f79fa61e9e09e019")!

/// Peers on one network, each of which hears what any sends, itself included.
private struct Network {
  let start = ContinuousClock.now
  var peers: [LANCore]
  var findings: [[Finding]]

  init(_ count: Int) {
    peers = (0..<count).map {
      LANCore(
        secret: [UInt8](repeating: UInt8($0), count: 32), random: SeededRandom(seed: UInt64($0)))
    }
    findings = Array(repeating: [], count: count)
  }

  static func host(_ number: Int) -> String { "192.0.2.\(number + 1)" }

  mutating func run(at now: ContinuousClock.Instant) {
    for number in peers.indices { carry(peers[number].tick(now: now), from: number, at: now) }
  }

  private mutating func carry(
    _ actions: [LANCore.Action], from number: Int, at now: ContinuousClock.Instant
  ) {
    for action in actions {
      switch action {
      case .ask(let bytes), .answer(let bytes, _, LANCore.port):
        for hearer in peers.indices {
          let next = peers[hearer].receive(
            bytes, from: PeerAddress(host: Self.host(number), port: LANCore.port), on: "eth0",
            ownHosts: [Self.host(hearer)], now: now)
          carry(next, from: hearer, at: now)
        }
      case .answer: break
      case .found(let finding): findings[number].append(finding)
      }
    }
  }

  func found(by number: Int) -> Set<PeerAddress> {
    Set(findings[number].flatMap(\.addresses))
  }
}

@Test func `peers of a network find each other with the first question, and never themselves`() {
  var network = Network(5)
  for number in 0..<5 {
    network.peers[number].join(topic, announcing: 3000 + number, now: network.start)
  }
  network.run(at: network.start)
  for number in 0..<5 {
    let others = (0..<5).filter { $0 != number }
      .map { PeerAddress(host: Network.host($0), port: 3000 + $0) }
    #expect(network.found(by: number) == Set(others))
  }
}

@Test func `who only looks finds and is not found`() {
  var network = Network(2)
  network.peers[0].join(topic, announcing: 3282, now: network.start)
  network.peers[1].join(topic, announcing: nil, now: network.start)
  network.run(at: network.start)
  #expect(network.found(by: 0).isEmpty)
  #expect(network.found(by: 1) == [PeerAddress(host: Network.host(0), port: 3282)])
}

@Test
func `questions are repeated soon, then about once a minute, and soon again when asked to look`() {
  var core = LANCore(secret: [], random: SeededRandom(seed: 3))
  let start = ContinuousClock.now
  core.join(topic, announcing: nil, now: start)
  var times: [Double] = []
  while times.count < 10, let due = core.deadline {
    for case .ask in core.tick(now: due) { times.append((due - start) / .seconds(1)) }
  }
  #expect(times.prefix(7) == [0, 1, 3, 7, 15, 30, 60])
  for (before, after) in zip(times.dropFirst(6), times.dropFirst(7)) {
    #expect((60.0...70.0).contains(after - before))
  }
  core.lookAgain(topic, now: start + .seconds(500))
  #expect(core.deadline == start + .seconds(500))
}

@Test func `the answer to a foreign question is the specification's`() throws {
  var core = LANCore(secret: [UInt8](0..<32))
  let now = ContinuousClock.now
  core.join(topic, announcing: 3282, now: now)
  let question = try #require(
    DNSMessage(questions: [DiscoveryMessages.question(about: topic)]).encoded())
  let actions = core.receive(
    question, from: PeerAddress(host: "192.168.1.20", port: 5353), on: "eth0", ownHosts: [],
    now: now)
  guard case .answer(let bytes, "eth0", 5353)? = actions.first, actions.count == 1 else {
    Issue.record("\(actions)")
    return
  }
  let fields = [
    ("token", "nAdksiYPAbGIv8zUOAellvH6XRxDKxE355kMsWUfAaQ="), ("peers", "AAAAAAzS"),
  ]
  #expect(
    bytes
      == DNSMessage(
        flags: 0x8400, questions: [DiscoveryMessages.question(about: topic)],
        answers: [DiscoveryMessages.text(DiscoveryMessages.name(of: topic), fields)]
      ).encoded())
  // Neither the key nor the rest of the discovery key is in it: only the topic is.
  let other = Topic(hex: String(repeating: "ab", count: 20))!
  let unknown = try #require(
    DNSMessage(questions: [DiscoveryMessages.question(about: other)]).encoded())
  #expect(
    core.receive(
      unknown, from: PeerAddress(host: "192.168.1.20", port: 5353), on: "eth0", ownHosts: [],
      now: now
    ).isEmpty)
}

@Test func `services and addresses are answered, and services are believed`() throws {
  var core = LANCore(secret: [UInt8](0..<32))
  let now = ContinuousClock.now
  core.join(topic, announcing: 3282, now: now)
  let asker = PeerAddress(host: "192.168.1.20", port: 4000)
  for (type, contents) in [
    (
      DNSRecord.serviceType,
      DNSRecord.Contents.service(priority: 0, weight: 0, port: 3282, target: DNSName("0.0.0.0"))
    ), (DNSRecord.addressType, .address([192, 168, 1, 7])),
  ] {
    let question = DNSQuestion(DiscoveryMessages.name(of: topic), type: type)
    let actions = core.receive(
      DNSMessage(questions: [question]).encoded()!, from: asker, on: "eth0",
      ownHosts: ["192.168.1.7"], now: now)
    guard case .answer(let bytes, _, 4000)? = actions.first else {
      Issue.record("\(actions)")
      continue
    }
    #expect(DNSMessage(decoding: bytes)?.answers.map(\.contents) == [contents])
  }
  let record = DNSRecord(
    DiscoveryMessages.name(of: topic),
    .service(priority: 0, weight: 0, port: 0, target: DNSName("0.0.0.0")))
  let actions = core.receive(
    DNSMessage(flags: 0x8400, answers: [record]).encoded()!, from: asker, on: "eth0", ownHosts: [],
    now: now)
  #expect(
    actions == [.found(Finding(topic: topic, addresses: [asker], informant: asker.host))])
}

@Test func `what all on an interface have just heard is not said again there`() {
  var core = LANCore(secret: [UInt8](0..<32))
  let start = ContinuousClock.now
  core.join(topic, announcing: 3282, now: start)
  let question = DNSMessage(questions: [DiscoveryMessages.question(about: topic)]).encoded()!
  func answers(_ host: Int, on interface: String = "eth0", after pause: Duration) -> Int {
    let asker = PeerAddress(host: "192.0.2.\(host)", port: LANCore.port)
    return core.receive(
      question, from: asker, on: interface, ownHosts: [], now: start + pause
    ).count
  }
  #expect(answers(7, after: .zero) == 1)
  #expect(answers(8, after: .milliseconds(199)) == 0)
  #expect(answers(8, on: "eth1", after: .milliseconds(199)) == 1)
  #expect(answers(9, after: .milliseconds(200)) == 1)
}

@Test func `the loopback interface is used if it is asked for, or if there is no other`() throws {
  func device(_ name: String, _ host: String) throws -> NIONetworkDevice {
    let address = try SocketAddress(ipAddress: host, port: 0)
    return NIONetworkDevice(
      name: name, address: address, netmask: nil, broadcastAddress: nil,
      pointToPointDestinationAddress: address, multicastSupported: true, interfaceIndex: 1)
  }
  let loopback = try device("lo", "127.0.0.1")
  let all = [loopback, try device("eth0", "192.0.2.7"), try device("eth0", "192.0.2.8")]
  func usable(_ devices: [NIONetworkDevice], _ wanted: Set<String>?) -> Set<String> {
    Set(LANSource.usable(devices, wanted).keys)
  }
  #expect(usable(all, nil) == ["eth0 192.0.2.7"])
  #expect(usable(all, ["lo", "eth0"]) == ["lo 127.0.0.1", "eth0 192.0.2.7"])
  #expect(usable(all, ["eth0"]) == ["eth0 192.0.2.7"])
  #expect(usable([loopback], nil) == ["lo 127.0.0.1"])
}

@Test func `a flood of questions gets few answers, and a flood of packets is dropped`() {
  var core = LANCore(secret: [UInt8](0..<32))
  let now = ContinuousClock.now
  core.join(topic, announcing: 3282, now: now)
  let question = DNSMessage(questions: [DiscoveryMessages.question(about: topic)]).encoded()!
  var answers = 0
  for number in 0..<12_000 {
    let asker = PeerAddress(host: "192.0.2.7", port: 10_000 + number % 50_000)
    answers += core.receive(question, from: asker, on: "eth0", ownHosts: [], now: now).count
  }
  #expect(answers == 8)
  #expect((core.drops[.flood] ?? 0) == 9_500)
  // Another host is heard meanwhile, and its answer goes to all.
  let honest = PeerAddress(host: "192.0.2.8", port: LANCore.port)
  let reply = core.receive(question, from: honest, on: "eth0", ownHosts: [], now: now)
  #expect(reply.count == 1)
  // Ten thousand packets in all are looked at.
  for number in 0..<12_000 {
    let asker = PeerAddress(host: "198.51.\(number / 250).\(number % 250)", port: 10_000)
    _ = core.receive(question, from: asker, on: "eth0", ownHosts: [], now: now)
  }
  #expect((core.drops[.flood] ?? 0) == 9_500 + 12_000 - (10_000 - 2_501))
}

@Test(.timeLimit(.minutes(1)))
func `peers of one machine find each other over the loopback interface`() async throws {
  var options = LANSource.Options()
  options.interfaces = ["lo", "lo0"]
  var random = SystemRandomNumberGenerator()
  // Random, so that nothing else on this machine asks for it.
  let topic = Topic(bytes: (0..<20).map { _ in .random(in: .min ... .max, using: &random) })!
  let one = LANSource(options: options)
  let other = LANSource(options: options)
  await one.join(topic, announcing: 1001)
  await other.join(topic, announcing: 1002)
  for (source, port) in [(one, 1002), (other, 1001)] {
    for await finding in source.findings where finding.topic == topic {
      #expect(finding.addresses == [PeerAddress(host: "127.0.0.1", port: port)])
      break
    }
  }
  await one.close()
  await other.close()
}

@Test(.timeLimit(.minutes(1)))
func `a peer that came first finds one that came later, as it asks again`() async throws {
  var options = LANSource.Options()
  options.interfaces = ["lo", "lo0"]
  var random = SystemRandomNumberGenerator()
  let topic = Topic(bytes: (0..<20).map { _ in .random(in: .min ... .max, using: &random) })!
  let one = LANSource(options: options)
  // Only looks, so that nobody answers to what the other asks.
  await one.join(topic, announcing: nil)
  let other = LANSource(options: options)
  await other.join(topic, announcing: 1002)
  for await finding in one.findings where finding.topic == topic {
    #expect(finding.addresses == [PeerAddress(host: "127.0.0.1", port: 1002)])
    break
  }
  await one.close()
  await other.close()
}
