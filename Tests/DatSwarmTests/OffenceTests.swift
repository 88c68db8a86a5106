import Testing

@testable import DatSwarm

/// Hosts that are barred for earlier offences.
@Suite struct OffenceTests {
  private let start = ContinuousClock.now

  @Test func `two offences are forgiven, then each pause is twice as long, up to ten minutes`() {
    var offences = Offences(forgiven: 2)
    var now = start
    for _ in 0..<2 {
      offences.note("192.0.2.1", now: now)
      #expect(!offences.isBarred("192.0.2.1", now: now))
    }
    for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
      offences.note("192.0.2.1", now: now)
      #expect(offences.isBarred("192.0.2.1", now: now + .seconds(pause) - .milliseconds(1)))
      #expect(!offences.isBarred("192.0.2.1", now: now + .seconds(pause)))
      #expect(!offences.isBarred("192.0.2.2", now: now))
      now += .seconds(pause)
    }
    // After twenty quiet minutes the count starts over.
    now += .seconds(1201)
    offences.note("192.0.2.1", now: now)
    #expect(!offences.isBarred("192.0.2.1", now: now))
  }

  @Test func `addresses beyond the limit push out the oldest`() {
    var offences = Offences(forgiven: 2)
    for number in 0..<(Offences.limit + 10) {
      for _ in 0..<3 { offences.note("host \(number)", now: start + .microseconds(number)) }
    }
    #expect(!offences.isBarred("host 0", now: start))
    #expect(offences.isBarred("host \(Offences.limit)", now: start))
  }

  @Test func `all addresses of one IPv6 network are one neighbourhood`() {
    func neighbourhood(_ host: String) -> String { Offences.neighbourhood(of: host) }
    #expect(neighbourhood("2001:db8::1") == neighbourhood("2001:db8:0:0:ffff::2"))
    #expect(neighbourhood("2001:db8::1") != neighbourhood("2001:db8:0:1::1"))
    #expect(neighbourhood("192.0.2.1") == "192.0.2.1")
    #expect(neighbourhood("not an address") == "not an address")
  }

  @Test func `who offends again and again is refused, from this machine too unless excused`() {
    let address = PeerAddress(host: "127.0.0.1", port: 4000)
    for isExcused in [false, true] {
      let policy = AddressPolicy(excusesLoopback: isExcused)
      for _ in 0..<3 { policy.offended(address, now: start) }
      #expect(policy.refusal(of: address.host, now: start) == (isExcused ? nil : .offended))
    }
  }

  @Test func `a stream that says its peer offended counts against the address`() async throws {
    var options = TCPListener.Options()
    options.excusesLoopback = false
    let listener = try await TCPListener(host: "127.0.0.1", options: options)
    let address = listener.address
    let serving = Task {
      await listener.run { socket in try? await socket.pump(OffendedStream()) }
    }
    for _ in 0..<3 {
      let socket = try await TCPDialer.connect(to: address)
      try? await socket.pump(PatternStream(Pattern(seed: 1), sending: 0))
    }
    // The third was noted before its connection was released, so this one is closed at once.
    let stream = PatternStream(Pattern(seed: 2), sending: 0)
    try? await TCPDialer.connect(to: address).pump(stream)
    #expect(await stream.received == 0)
    serving.cancel()
    await serving.value
  }
}

/// A stream that sends a word and ends, and blames the other end.
private actor OffendedStream: PeerStream {
  private var isDone = false

  func receive(_ bytes: [UInt8]) {}
  func nextOutput() -> [UInt8]? {
    defer { isDone = true }
    return isDone ? nil : [1]
  }
  func finishInput() {}
  func close(_ error: (any Error)?) {}
  var offence: (any Error)? { get async { TestFailure() } }
}
