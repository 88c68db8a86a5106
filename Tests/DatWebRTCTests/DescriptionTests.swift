import Testing

@testable import DatWebRTC

struct DescriptionTests {
  static let fingerprint = (0..<32).map {
    "\($0 < 16 ? "0" : "")" + String($0, radix: 16, uppercase: true)
  }
  .joined(separator: ":")

  /// An offer as Chromium writes it.
  static let offer = """
    v=0\r
    o=- 3546004397921447048 2 IN IP4 127.0.0.1\r
    s=-\r
    t=0 0\r
    a=group:BUNDLE 0\r
    a=extmap-allow-mixed\r
    a=msid-semantic: WMS\r
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r
    c=IN IP4 0.0.0.0\r
    a=ice-ufrag:abcd\r
    a=ice-pwd:0123456789abcdefghijkl+/\r
    a=ice-options:trickle\r
    a=fingerprint:sha-256 \(fingerprint)\r
    a=setup:actpass\r
    a=mid:0\r
    a=sctp-port:5000\r
    a=max-message-size:262144\r

    """

  func read(_ text: String, _ kind: SessionDescription.Kind = .offer) throws(WebRTCError)
    -> SessionDescription
  {
    try SessionDescription(kind, parsing: text.utf8)
  }

  func replacing(_ old: String, _ new: String) -> String {
    var text = Self.offer
    text.replace(old, with: new)
    return text
  }

  @Test func `an offer is read`() throws {
    let description = try read(Self.offer)
    #expect(
      description.credentials == ICECredentials(name: "abcd", password: "0123456789abcdefghijkl+/"))
    #expect(description.fingerprint == Array(0..<32))
    #expect(description.setup == .actpass)
    #expect(description.maximumMessage == 262144)
    #expect(description.sctpPort == 5000)
    #expect(description.mid == "0")
  }

  @Test func `what is written is read`() throws {
    var random = SystemRandomNumberGenerator()
    var description = SessionDescription(
      kind: .answer, credentials: ICECredentials(random: &random), fingerprint: Array(10..<42),
      setup: .active)
    description.mid = "data"
    description.maximumMessage = 262144
    #expect(try read(description.text(session: 7), .answer) == description)
  }

  @Test(arguments: [
    ("a=ice-ufrag:abcd\r\n", ""), ("a=ice-pwd:0123456789abcdefghijkl+/", "a=ice-pwd:short"),
    ("a=fingerprint:sha-256", "a=fingerprint:sha-1"), ("00:01:", "0:01:"), ("1E:1F", "1E:1F:20"),
    ("1E:1F", "1E"), ("00:01", "GG:01"),
  ])
  func `a description without what it needs is refused`(change: (String, String)) {
    #expect(throws: WebRTCError.self) { try read(replacing(change.0, change.1)) }
  }

  @Test func `of ten thousand candidates the first are taken`() throws {
    let lines = (0..<10_000).map {
      "a=candidate:1 1 udp 2113937151 10.0.\($0 / 250).\($0 % 250 + 1) 5000 typ host\r\n"
    }
    let text = Self.offer + lines.joined()
    #expect(throws: WebRTCError.self) { try read(text) }
    let some = Self.offer + lines.prefix(500).joined()
    #expect(try read(some).candidates.count == SessionDescription.candidateLimit)
  }

  @Test func `any bytes are read or refused`() {
    var random = AgentPair.Sequence(state: 42)
    let offer = Array(Self.offer.utf8)
    for _ in 0..<3000 {
      var bytes = offer
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: index)
        default: bytes.insert(contentsOf: bytes[index...].prefix(40), at: index)
        }
      }
      _ = try? SessionDescription(.offer, parsing: bytes)
      _ = ICECandidate(parsing: bytes.prefix(200))
    }
  }
}

struct CandidateTests {
  @Test func `a candidate is read as it is written`() throws {
    for text in [
      "candidate:1 1 udp 2113937151 192.0.2.7 54321 typ host",
      "candidate:2 1 udp 1677729535 203.0.113.9 60000 typ srflx raddr 0.0.0.0 rport 0",
    ] {
      let candidate = try #require(ICECandidate(parsing: text.utf8))
      #expect(candidate.description.utf8.dropFirst(11).elementsEqual(text.utf8.dropFirst(11)))
    }
  }

  @Test(arguments: [
    "candidate:1 1 udp 1 2f3c8e4a-0000-4000-8000-000000000000.local 5 typ host",
    "candidate:1 2 udp 1 192.0.2.7 5 typ host",
    "candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
    "candidate:1 1 udp 4294967296 192.0.2.7 5 typ host",
    "candidate:1 1 udp 1 192.0.2.7 65536 typ host",
    "candidate:1 1 udp 1 192.0.2.7 0 typ host", "candidate:1 1 udp 1 192.0.2 5 typ host",
    "candidate:1 1 udp 1 192.0.2.256 5 typ host", "candidate:1 1 udp 1 0.0.0.0 5 typ host",
    "candidate:1 1 udp 1 224.0.0.251 5353 typ host", "candidate:1 1 udp 1 ff02::fb 5 typ host",
    "candidate:1 1 udp 1 192.0.2.7 5 typ guest", "candidate:1 1 udp 1 192.0.2.7 -5 typ host",
    "candidate:", "", "candidate:1 1 udp 1 1:2:3:4:5:6:7:8:9 5 typ host",
    "candidate:1 1 udp 1 1::2::3 5 typ host", "candidate:1 1 udp 1 12345::1 5 typ host",
  ])
  func `a candidate that is of no use is none`(text: String) {
    #expect(ICECandidate(parsing: text.utf8) == nil)
  }

  @Test(
    arguments: [
      ("2001:db8::7", [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]),
      ("::1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
      ("fe80::", [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      ("1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]),
      ("::ffff:192.0.2.1", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]),
    ] as [(String, [UInt8])])
  func `an IPv6 address is read`(text: String, bytes: [UInt8]) {
    let address = TransportAddress(host: Array(text.utf8), port: 1)
    #expect(address?.bytes == bytes)
    #expect(address.flatMap { TransportAddress(host: Array($0.host.utf8), port: 1) } == address)
  }
}
