import DatDNS
import DatTesting
import Testing

private let service = "_dat._tcp.hosts.example.org"

/// Answers to the question with number 7.
private func answer(
  _ records: [DNSRecord], id: UInt16 = 7, flags: UInt16 = 0x8180, of name: String = service,
  type: UInt16 = DNSRecord.serviceType
) -> [UInt8] {
  DNSMessage(
    id: id, flags: flags, questions: [DNSQuestion(DNSName(name), type: type)], answers: records
  ).encoded() ?? []
}

private func record(
  _ target: String, _ port: UInt16 = 3282, ttl: UInt32 = 30, of name: String = service
)
  -> DNSRecord
{
  DNSRecord(
    DNSName(name), .service(priority: 0, weight: 0, port: port, target: DNSName(target)), ttl: ttl)
}

@Suite struct ServiceLookupTests {
  private let lookup = ServiceLookup(service, id: 7)!

  @Test func `a question has the service's name, and takes packets of 1,232 bytes`() throws {
    let message = try #require(DNSMessage(decoding: lookup.question))
    #expect(message.questions == [DNSQuestion(DNSName(service), type: 33)])
    #expect(message.flags == DNSMessage.recursionDesired)
    #expect(message.additionals.first?.type == 41 && message.additionals.first?.classCode == 1232)
  }

  @Test func `an answer names the targets in lower case, and holds for the shortest time`() {
    let bytes = answer(
      [record("B.example.org", ttl: 60), record("a.example.org", 3283, ttl: 20)],
      of: "_DAT._tcp.Hosts.example.org")
    #expect(
      lookup.read(bytes, isPacket: true)
        == .hosts(
          [
            .init(target: "a.example.org", port: 3283), .init(target: "b.example.org", port: 3282),
          ], ttl: 20))
  }

  @Test func `addresses that an answer adds are taken with it`() throws {
    var message = try #require(DNSMessage(decoding: answer([record("a.org"), record("b.org")])))
    message.additionals = [
      DNSRecord(DNSName("A.org"), .address([192, 0, 2, 9])),
      DNSRecord(DNSName("a.org"), .address([192, 0, 2, 10])),
      DNSRecord(DNSName("c.org"), .address([192, 0, 2, 11])),
    ]
    #expect(
      lookup.read(try #require(message.encoded()), isPacket: true)
        == .hosts(
          [
            .init(target: "a.org", port: 3282, address: "192.0.2.9"),
            .init(target: "b.org", port: 3282),
          ], ttl: 30))
  }

  @Test func `a truncated packet is no answer, but a reason to ask over TCP`() {
    let bytes = answer([record("a.example.org")], flags: 0x8380)
    #expect(lookup.read(bytes, isPacket: true) == .truncated)
    #expect(lookup.read(bytes, isPacket: false) == .unusable("The answer is cut short."))
  }

  @Test func `what answers something else is passed over`() {
    for bytes in [
      answer([record("a.example.org")], id: 8), answer([record("a.example.org")], flags: 0x0100),
      answer([record("a.example.org")], of: "_dat._tcp.other.example.org"),
      answer([record("a.example.org")], type: 1), lookup.question, [], [0, 7],
      Array(answer([record("a.example.org")]).dropLast()),
    ] { #expect(lookup.read(bytes, isPacket: true) == nil) }
  }

  @Test(arguments: [
    (answer([]), "The answer names no host."), (answer([record(".")]), "The answer names no host."),
    (answer([record("a.example.org", of: "_x._tcp.example.org")]), "The answer names no host."),
    (answer([], flags: 0x8183), "The name does not exist."),
    (answer([], flags: 0x8182), "The server answers with error 2."),
    (answer([record("a b.org"), record("a.org")]), "The answer names a host that can't be one."),
    (answer([record("a\u{301}.org")]), "The answer names a host that can't be one."),
    (answer([record("a.org", 0)]), "The answer names a host that can't be one."),
  ])
  func `an answer that names nobody, or somebody who can't be, is none`(
    bytes: [UInt8], reason: String
  ) {
    #expect(lookup.read(bytes, isPacket: true) == .unusable(reason))
  }

  @Test func `a thousand hosts fit an answer over TCP`() {
    let records = (0..<1000).map { record("h\($0).example.org", of: service) }
    let bytes = answer(records)
    #expect(bytes.count <= 65_535)
    guard case .hosts(let hosts, _) = lookup.read(bytes, isPacket: false) else {
      Issue.record("no hosts")
      return
    }
    #expect(hosts.count == 1000)
  }

  @Test(arguments: testSeeds(standard: 20))
  func `bytes that were changed anywhere are read or not, and nothing stops`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let good = answer((0..<20).map { record("host-\($0).example.org") })
    for _ in 0..<200 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      guard case .hosts(let hosts, _) = lookup.read(bytes, isPacket: true) else { continue }
      #expect(hosts.allSatisfy { $0.target.utf8.count <= 253 && $0.port > 0 }, "SEED=\(seed)")
    }
  }

  @Test(arguments: ["", ".", "a..b", "a b", String(repeating: "a", count: 64), "é.org"])
  func `what is no name is not asked for`(text: String) {
    #expect(ServiceLookup(text, id: 1) == nil)
  }

  @Test func `the servers of a machine are those that its settings name`() {
    let text = """
      # a remark
      search example.org
      nameserver 192.0.2.1
      nameserver\t2001:db8::1
      nameserver evil.example.org
      nameserver 192.0.2.2
      nameserver 192.0.2.3
      """
    #expect(
      ResolverList.servers(in: Array(text.utf8)) == ["192.0.2.1", "2001:db8::1", "192.0.2.2"])
    #expect(ResolverList.servers(in: []) == [])
  }
}
