import DatDNS
import DatSwarm
import DatTesting
import Foundation
import HypercoreCrypto
import Testing

@testable import DatHost

private let service = "_dat._tcp.hosts.example.org"

@Suite(.serialized, .timeLimit(.minutes(1))) struct FleetDirectoryTests {
  @Test func `a directory is a file, or SRV records of a server or of the system's`() throws {
    #expect(try FleetDirectory(parsing: "hosts.txt") == .file("hosts.txt"))
    #expect(try FleetDirectory(parsing: "srv:\(service)") == .service(service))
    #expect(
      try FleetDirectory(parsing: "srv:\(service)@127.0.0.1")
        == .service(service, servers: [PeerAddress(host: "127.0.0.1", port: 53)]))
    let other = try FleetDirectory(parsing: "srv:\(service)@[::1]:8600")
    #expect(other == .service(service, servers: [PeerAddress(host: "::1", port: 8600)]))
    #expect(try FleetDirectory(parsing: "\(other)") == other)
    for text in ["srv:", "srv:a..b", "srv:\(service)@", "srv:\(service)@dns.example.org:53"] {
      #expect { try FleetDirectory(parsing: text) } throws: {
        ($0 as? HostError)?.code == .malformedFile
      }
    }
    #expect(other.memberName("A.Example.ORG.") == "a.example.org")
    #expect(FleetDirectory.file("x").memberName("A.") == "A.")
  }

  @Test func `a file has a name a line, with an address or without, and remarks`() throws {
    let text = "# our hosts\n\na # in the cellar\r\nb\t10.0.0.2:3283\nc.example.org\n"
    #expect(
      try FleetDirectory.members(in: Array(text.utf8)) == [
        "a": PeerAddress(host: "a", port: 3282), "b": PeerAddress(host: "10.0.0.2", port: 3283),
        "c.example.org": PeerAddress(host: "c.example.org", port: 3282),
      ])
  }

  @Test(arguments: [
    "", "# nobody\n", "a\na\n", "a b c\n", "a nowhere\n", String(repeating: "x", count: 256),
    "a " + String(repeating: "x", count: 300) + ":1", "\u{fffd}\n\0a:\n" + "a 1.2.3.4:0\n",
  ])
  func `a file that names nobody, somebody twice or no address is none`(text: String) {
    #expect { try FleetDirectory.members(in: Array(text.utf8)) } throws: {
      ($0 as? HostError)?.code == .malformedFile
    }
  }

  private func members(_ server: SmallDNSServer) async throws -> FleetDirectory.Answer {
    try await FleetDirectory.service(service, servers: [server.address]).look()
  }

  @Test func `an answer over UDP names the members, with the addresses that it adds`() async throws
  {
    let server = try await SmallDNSServer { question, _ in
      // Whoever does not know the question's number is not heard.
      var other = question.answer([("evil.example.org", 1)])
      other.id &+= 1
      return [
        other,
        question.answer(
          [("a.example.org", 3282), ("B.example.org", 99)], ttl: 20,
          addresses: ["a.example.org": [10, 0, 0, 1]]),
      ]
    }
    let answer = try await members(server)
    #expect(
      answer.members == [
        "a.example.org": PeerAddress(host: "10.0.0.1", port: 3282),
        "b.example.org": PeerAddress(host: "b.example.org", port: 99),
      ])
    #expect(answer.seconds == 20)
    await server.close()
  }

  @Test func `an answer that does not fit a packet is asked for over TCP`() async throws {
    let hosts = (0..<1000).map { (name: "h\($0).org", port: UInt16(3282)) }
    let server = try await SmallDNSServer { question, isPacket in
      [isPacket ? question.answer([hosts[0]], flags: 0x8380) : question.answer(hosts)]
    }
    #expect(try await members(server).members.count == 1000)
    #expect(server.asked == (1, 1))
    await server.close()
  }

  @Test
  func `the next server is asked if one is silent or fails, and the last one's reason is told`()
    async throws
  {
    let silent = try await SmallDNSServer { _, _ in [] }
    let failing = try await SmallDNSServer { question, _ in [question.answer([], flags: 0x8182)] }
    let good = try await SmallDNSServer { question, _ in [question.answer([("a.org", 1)])] }
    func ask(_ servers: [SmallDNSServer]) async throws -> [String] {
      try await DNSExchange.hosts(
        of: service, servers: servers.map(\.address), packetTime: .milliseconds(100)
      ).0.map(\.target)
    }
    #expect(try await ask([silent, failing, good]) == ["a.org"])
    // A packet may be lost, so there are two.
    #expect(silent.asked == (2, 0))
    for (servers, words) in [([failing], "error 2"), ([failing, silent], "No answer came")] {
      await #expect { try await ask(servers) } throws: {
        ($0 as? HostError)?.reason.contains(words) == true
      }
    }
    failing.set { question, isPacket in
      [question.answer([("a.org", 1)], flags: isPacket ? 0x8380 : 0x8380)]
    }
    await #expect { try await ask([failing]) } throws: {
      ($0 as? HostError)?.reason.contains("cut short") == true
    }
    for server in [silent, failing, good] { await server.close() }
  }

  @Test
  func `hosts that SRV records name are a fleet, and records that vanish or lie remove nobody`()
    async throws
  {
    let server = try await SmallDNSServer { _, _ in [] }
    let address = server.address
    let lab = try FleetLab {
      $0.directory = .service(service, servers: [address])
      $0.grace = .seconds(600)
    }
    for name in ["a.hosts", "b.hosts", "c.hosts"] { try await lab.start(name, as: name + ".") }
    let hosts = await lab.members.map { (name: $0.key, port: UInt16($0.value.address.port)) }
    let numbers = Dictionary(
      uniqueKeysWithValues: hosts.map { ($0.name, [127, 0, 0, 1] as [UInt8]) })
    server.set { question, _ in [question.answer(hosts, addresses: numbers)] }
    try await lab.untilConnected()
    let key = KeyPair.generate().publicKey
    try await lab.host("a.hosts").add(HostedKey(kind: .feed, key: key))
    try await until { await lab.knowing(key).count == 3 }
    let lies: [SmallDNSServer.Answer] = [
      { question, _ in [question.answer([], flags: 0x8183)] },
      { question, _ in [question.answer([])] },
      { question, _ in [question.answer(Array(hosts.prefix(1)) + [("no such\nhost", 1)])] },
      { question, _ in [question.answer(Array(hosts.prefix(1)), flags: 0x8380)] },
    ]
    for lie in lies {
      server.set(lie)
      let report = try await lab.waitUntil("b.hosts") { $0.fleet?.trouble != nil }
      #expect(report.fleet?.members == 3 && report.fleet?.missingCount == 0)
      server.set { question, _ in [question.answer(hosts, addresses: numbers)] }
      try await lab.waitUntil("b.hosts") { $0.fleet?.trouble == nil }
    }
    // A whole answer that leaves some out: they are missing, and for the grace nothing moves.
    server.set { question, _ in [question.answer(Array(hosts.prefix(1)), addresses: numbers)] }
    let report = try await lab.waitUntil("b.hosts") { $0.fleet?.missingCount == 2 }
    #expect(report.fleet?.members == 3)
    await lab.close()
    await server.close()
  }
}
