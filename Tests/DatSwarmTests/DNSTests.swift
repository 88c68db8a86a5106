import DatDNS
import DatTesting
import HypercoreCrypto
import Testing

@testable import DatSwarm

private let topic = Topic(hex: "eff1e39681e1722b6bb83799f79fa61e9e09e019")!

private func bytes(_ hex: String) -> [UInt8] {
  let digits = Array(hex.utf8.filter { $0 != 32 && $0 != 10 })
  return stride(from: 0, to: digits.count, by: 2).map {
    UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
  }
}

private let nameBytes: [UInt8] =
  [0x28] + Array(topic.hex.utf8) + [3] + Array("dat".utf8) + [5] + Array("local".utf8) + [0]

/// The question and the answer of the specification, as the reference's encoder makes them.
private let question = bytes("0000 0000 0001 0000 0000 0000") + nameBytes + bytes("0010 0001")
private let response =
  bytes("0000 8400 0001 0001 0000 0000") + nameBytes + bytes("0010 0001")
  + nameBytes + bytes("0010 0001 00000000 0042")
  + [0x32] + Array("token=nAdksiYPAbGIv8zUOAellvH6XRxDKxE355kMsWUfAaQ=".utf8)
  + [0x0e] + Array("peers=AAAAAAzS".utf8)

@Suite struct DNSTests {
  @Test func `the reference's question is read, and written the same`() throws {
    #expect(question.count == 68)
    let message = try #require(DNSMessage(decoding: question))
    #expect(message.questions == [DiscoveryMessages.question(about: topic)])
    #expect(!message.isResponse)
    #expect(message.encoded() == question)
  }

  @Test func `the reference's answer is read, and written the same`() throws {
    #expect(response.count == 196)
    let message = try #require(DNSMessage(decoding: response))
    #expect(message.flags == DNSMessage.multicastResponse)
    #expect(message.encoded() == response)
    guard case .text(let strings)? = message.answers.first?.contents else {
      Issue.record("no text record")
      return
    }
    let fields = DiscoveryMessages.fields(strings)
    let secret = [UInt8](0..<32)
    #expect(fields["token"] == DiscoveryMessages.token(secret, for: "192.168.1.20"))
    #expect(
      DiscoveryMessages.peers(reading: fields["peers"] ?? "", from: "192.168.1.7")
        == [PeerAddress(host: "192.168.1.7", port: 3282)])
  }

  @Test func `compressed names are read`() throws {
    // The answer's name points to that of the question, which starts at byte 12.
    let compressed =
      bytes("0000 8400 0001 0001 0000 0000") + nameBytes
      + bytes("0010 0001 c00c 0010 0001 00000000")
      + [0, 3, 2] + Array("ab".utf8)
    let message = try #require(DNSMessage(decoding: compressed))
    #expect(message.answers[0].name == message.questions[0].name)
    #expect(message.answers[0].contents == .text([Array("ab".utf8)]))
  }

  @Test func `names that loop, reach too far or are too long are refused`() {
    let header = bytes("0000 0000 0001 0000 0000 0000")
    let hostile: [[UInt8]] = [
      // To itself, to behind itself, out of the packet, through a label to itself.
      [0xc0, 12], [0xc0, 14, 0, 0], [0xff, 0xff], [1, 97, 0xc0, 12], [0xc0], [0x40, 0], [0x80, 0],
      // Cut, and 256 bytes.
      [63, 1, 2], (0..<4).flatMap { _ in [63] + [UInt8](repeating: 97, count: 63) } + [0],
    ]
    for name in hostile {
      #expect(DNSMessage(decoding: header + name + bytes("0010 0001")) == nil, "\(name)")
    }
    // Two names that point at each other.
    let pair = bytes("0000 0000 0002 0000 0000 0000 c012 0010 0001 c00c 0010 0001")
    #expect(DNSMessage(decoding: pair) == nil)
  }

  @Test func `what is promised and not there is refused before anything is made of it`() {
    #expect(DNSMessage(decoding: []) == nil)
    #expect(DNSMessage(decoding: bytes("0000 0000 ffff ffff ffff ffff")) == nil)
    for count in 0..<response.count {
      #expect(DNSMessage(decoding: Array(response[..<count])) == nil)
    }
    let text = bytes("0000 8400 0000 0001 0000 0000 00 0010 0001 00000000 0002 ff61")
    #expect(DNSMessage(decoding: text) == nil)
    let service = bytes("0000 8400 0000 0001 0000 0000 00 0021 0001 00000000 0006 000000000000")
    #expect(DNSMessage(decoding: service) == nil)
  }

  @Test func `messages of every kind are read as they were written`() throws {
    var random = SeededRandom(seed: 11)
    for _ in 0..<300 {
      func name() -> DNSName {
        DNSName(
          labels: (0..<Int.random(in: 0...4, using: &random)).map { _ in
            random.bytes(Int.random(in: 1...40, using: &random))
          })
      }
      func record() -> DNSRecord {
        let contents: DNSRecord.Contents =
          switch Int.random(in: 0..<4, using: &random) {
          case 0: .text((0..<3).map { _ in random.bytes(Int.random(in: 0...255, using: &random)) })
          case 1: .service(priority: 1, weight: 2, port: 3282, target: name())
          case 2: .address(random.bytes(4))
          default: .other(type: 99, random.bytes(9))
          }
        return DNSRecord(name(), contents, ttl: .random(in: 0 ... .max, using: &random))
      }
      var message = DNSMessage(id: .random(in: 0 ... .max, using: &random), flags: 0x8400)
      message.questions = [DNSQuestion(name(), type: 16), DNSQuestion(name(), type: 1)]
      message.answers = [record(), record()]
      message.authorities = [record()]
      message.additionals = [record()]
      let packet = try #require(message.encoded())
      #expect(DNSMessage(decoding: packet) == message)
    }
    #expect(DNSMessage(questions: [DNSQuestion(DNSName(labels: [[]]), type: 1)]).encoded() == nil)
    let long = [UInt8](repeating: 97, count: 64)
    #expect(DNSMessage(questions: [DNSQuestion(DNSName(labels: [long]), type: 1)]).encoded() == nil)
  }

  @Test func `random and damaged packets are read or refused, by everybody who reads any`() {
    var random = SeededRandom(seed: 12)
    let now = ContinuousClock.now
    let sender = PeerAddress(host: "192.0.2.7", port: 5353)
    var lan = LANCore(secret: [UInt8](0..<32))
    lan.join(topic, announcing: 3282, now: now)
    var server = RendezvousServerCore(random: SeededRandom(seed: 1))
    var client = RendezvousClientCore(server: sender, firstID: 0)
    client.join(topic, announcing: 3282, now: now)
    for round in 0..<3_000 {
      var packet: [UInt8]
      if round % 2 == 0 {
        packet = random.bytes(Int.random(in: 0...120, using: &random))
      } else {
        packet = Bool.random(using: &random) ? question : response
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          packet[Int.random(in: 0..<packet.count, using: &random)] =
            .random(in: .min ... .max, using: &random)
        }
      }
      // A second later, so that nothing counts as a flood.
      let at = now + .seconds(round)
      if let message = DNSMessage(decoding: packet), let again = message.encoded() {
        #expect(DNSMessage(decoding: again) == message)
      }
      _ = lan.receive(packet, from: sender, on: "eth0", ownHosts: [], now: at)
      _ = server.receive(packet, from: sender, now: at)
      _ = client.receive(packet, from: sender, now: at)
    }
    #expect(server.statistics.received == 3_000)
  }
}
