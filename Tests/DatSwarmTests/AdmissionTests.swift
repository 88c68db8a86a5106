import DatTesting
import Testing

@testable import DatSwarm

/// The places of inbound connections.
@Suite struct AdmissionTests {
  private let start = ContinuousClock.now

  private func caps(total: Int = 64, address: Int = 8, halfOpen: Int = 64) -> Admission.Caps {
    Admission.Caps(
      total: total, address: address, loopback: total, proxy: total, halfOpen: halfOpen)
  }

  private func ticket(
    _ admission: Admission, _ host: String, at seconds: Int = 0
  ) -> Admission.Ticket? {
    let address = PeerAddress(host: host, port: 1)
    guard case .admitted(let ticket, _) = admission.admit(address, now: start + .seconds(seconds))
    else { return nil }
    return ticket
  }

  @Test func `half-open connections are counted by address until confirmed`() throws {
    let admission = Admission(caps(total: 10, halfOpen: 2))
    let first = try #require(ticket(admission, "192.0.2.7"))
    let second = try #require(ticket(admission, "192.0.2.7"))
    #expect(ticket(admission, "192.0.2.7") == nil)
    #expect(ticket(admission, "192.0.2.8") != nil)
    first.confirm()
    first.confirm()
    #expect(ticket(admission, "192.0.2.7") != nil)
    #expect(ticket(admission, "192.0.2.7") == nil)
    second.leave()
    second.leave()
    #expect(admission.total == 3)
    #expect(ticket(admission, "192.0.2.7") != nil)
    for _ in 0..<6 { #expect(ticket(admission, "127.0.0.1") != nil) }
    #expect(admission.total == 10)
  }

  @Test func `one address has an eighth of the places, however its peers behave`() throws {
    let admission = Admission(caps())
    for _ in 0..<8 { try #require(ticket(admission, "192.0.2.7")).confirm() }
    #expect(ticket(admission, "192.0.2.7") == nil)
    #expect(ticket(admission, "192.0.2.8") != nil)
    // All addresses of an IPv6 network count as one.
    for number in 0..<8 { #expect(ticket(admission, "2001:db8::\(number)") != nil) }
    #expect(ticket(admission, "2001:db8::ffff:1") == nil)
    #expect(ticket(admission, "2001:db8:0:1::1") != nil)
    // An IPv4 address in IPv6 notation is the same address.
    #expect(ticket(admission, "::ffff:192.0.2.7") == nil)
  }

  @Test func `loopback and proxies have caps of their own`() {
    var caps = caps()
    caps.loopback = 20
    caps.proxy = 30
    caps.proxies = [IPAddress("192.0.2.66")!]
    let admission = Admission(caps)
    for number in 0..<30 {
      #expect((ticket(admission, "127.0.0.1") != nil) == (number < 20))
      #expect(ticket(admission, "192.0.2.66") != nil)
    }
    #expect(ticket(admission, "192.0.2.66") == nil)
  }

  @Test func `where all is taken the idlest of the most numerous address goes first`() throws {
    let admission = Admission(caps(total: 12, address: 8))
    var crowd: [Admission.Ticket] = []
    for number in 0..<8 {
      crowd.append(try #require(ticket(admission, "192.0.2.7", at: number)))
    }
    for number in 0..<4 { #expect(ticket(admission, "198.51.100.\(number)", at: 20) != nil) }
    crowd[0].noteActivity(now: start + .seconds(30))
    // The second has been idle longest, not the first, which came before it.
    let ended = Counted()
    crowd[1].whenEvicted { ended.add() }
    let newcomer = PeerAddress(host: "203.0.113.1", port: 9)
    guard case .admitted(_, let evicted?) = admission.admit(newcomer, now: start + .seconds(31))
    else {
      Issue.record("no place was made")
      return
    }
    #expect(evicted === crowd[1])
    #expect(ended.count == 1)
    // Its connection ends a moment later, and is not counted twice.
    crowd[1].leave()
    #expect(admission.total == 12)
    // An address with few may get up to the same number; beyond that it would only trade places.
    for number in 0..<5 { #expect(ticket(admission, "203.0.113.\(2 + number)") != nil) }
    #expect(admission.total == 12)
    var admitted = 0
    for _ in 0..<10 where ticket(admission, "203.0.113.99") != nil { admitted += 1 }
    #expect(admitted <= 1)
  }

  @Test func `sixty-four places are not taken by one address, with real sockets`() async throws {
    var options = TCPListener.Options()
    options.maximumInbound = 4
    options.maximumPerLoopback = 3
    let refused = Counted()
    options.refused = { _, why in if why == .crowded { refused.add() } }
    let listener = try await TCPListener(host: "127.0.0.1", options: options)
    let (served, serve) = AsyncStream.makeStream(of: Void.self)
    let server = Task {
      await listener.run { socket in
        serve.yield()
        try? await socket.pump(IdleStream())
      }
    }
    var service = served.makeAsyncIterator()
    var kept: [(PeerSocket, Task<Void, any Error>)] = []
    for _ in 0..<3 {
      let socket = try await TCPDialer.connect(to: listener.address)
      kept.append((socket, Task { try await socket.pump(IdleStream()) }))
      await service.next()
    }
    let fourth = try await TCPDialer.connect(to: listener.address)
    // The first thing it notices is that the other end is closed.
    let stream = PatternStream(Pattern(seed: 1), sending: 0, outputGate: Gate())
    let pump = Task { try await fourth.pump(stream) }
    await stream.finished.wait()
    await stream.openOutput()
    _ = await pump.result
    #expect(refused.count == 1)
    #expect(listener.inboundCount == 3)
    for (socket, pump) in kept {
      socket.close()
      _ = await pump.result
    }
    server.cancel()
    await server.value
  }
}

/// Counts calls from anywhere.
private final class Counted: Sendable {
  private let value = Guarded(0)
  func add() { value.with { $0 += 1 } }
  var count: Int { value.with { $0 } }
}
