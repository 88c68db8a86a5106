import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// Timers, on a clock that the test sets.
@Suite struct TimerTests {
  private func options(_ timeout: Duration?) -> Connection.Options {
    var random = SeededRandom(seed: 0)
    var options = Connection.Options.random(using: &random)
    options.isEncrypted = false
    options.timeout = timeout
    return options
  }

  /// A connection that was greeted at `start`.
  private func greeted(_ timeout: Duration?, at start: Connection.Instant) throws -> Connection {
    let connection = Connection(options: options(timeout), now: start)
    _ = try connection.open(key(1))
    _ = connection.takeOutput()
    try connection.receive(Raw.feed(0, key(1).discoveryKey) + Raw.handshake(), now: start)
    while try connection.nextEvent() != nil {}
    return connection
  }

  @Test func `two idle ends keep each other alive for a day`() throws {
    var random = SeededRandom(seed: 0)
    let pair = PeerPair(a: .random(using: &random), b: .random(using: &random))
    _ = try pair.a.open(key(1))
    _ = try pair.b.open(key(1))
    try pair.exchange()
    let before = pair.a.statistics.bytesSent
    try pair.pass(.seconds(86_400)) { _, event in Issue.record("\(event)") }
    #expect(!pair.a.isClosed && !pair.b.isClosed)
    // One byte every five seconds.
    #expect(pair.a.statistics.bytesSent - before == 86_400 / 5)
  }

  @Test func `a keep-alive is sent when nothing was for the timeout`() throws {
    let start = Connection.Instant.now
    let connection = try greeted(.seconds(5), at: start)
    #expect(connection.deadline == start.advanced(by: .seconds(5)))
    let early = try connection.tick(now: start.advanced(by: .milliseconds(4999)))
    #expect(!early && connection.outputCount == 0)
    let due = try connection.tick(now: start.advanced(by: .seconds(5)))
    #expect(due && connection.takeOutput() == [0])
  }

  @Test func `a connection that sends a keep-alive keeps no memory of earlier messages`() throws {
    let start = Connection.Instant.now
    let connection = try greeted(.seconds(5), at: start)
    let data = Raw.field(2, [UInt8](repeating: 1, count: 9000))
    try connection.receive(Raw.frame(0, 9, [0x08, 0] + data), now: start)
    var messages = 0
    while try connection.nextEvent() != nil { messages += 1 }
    #expect(messages == 1 && connection.keptBytes > 9000)
    let later = start.advanced(by: .seconds(5))
    try connection.receive([0], now: later)
    while try connection.nextEvent() != nil { messages += 1 }
    try connection.tick(now: later)
    #expect(connection.outputCount == 1)
    #expect(connection.keptBytes < 100)
    // The next message is read all the same.
    try connection.receive(Raw.frame(0, 9, [0x08, 1] + data), now: later)
    while try connection.nextEvent() != nil { messages += 1 }
    #expect(messages == 2)
  }

  @Test func `a keep-alive that may be early is sent by the last tick before it is due`() throws {
    let start = Connection.Instant.now
    var options = options(.seconds(5))
    options.keepAliveLead = .seconds(1)
    let connection = Connection(options: options, now: start)
    _ = try connection.open(key(1))
    _ = connection.takeOutput()
    try connection.receive(Raw.feed(0, key(1).discoveryKey) + Raw.handshake(), now: start)
    while try connection.nextEvent() != nil {}
    #expect(connection.deadline == start.advanced(by: .seconds(5)))
    try connection.tick(now: start.advanced(by: .milliseconds(3999)))
    #expect(connection.outputCount == 0)
    try connection.tick(now: start.advanced(by: .milliseconds(4000)))
    #expect(connection.takeOutput() == [0])
    try connection.receive([0], now: start.advanced(by: .seconds(4)))
    #expect(try connection.nextEvent() == nil)
    #expect(connection.deadline == start.advanced(by: .seconds(9)))
  }

  @Test func `moments round to the same steps`() {
    let one = Moment(.now + .seconds(1000))
    let step = one.rounded(downTo: .seconds(1))
    #expect(step <= one && one < step + .seconds(1))
    for milliseconds in [0, 1, 500, 999] {
      #expect((step + .milliseconds(milliseconds)).rounded(downTo: .seconds(1)) == step)
    }
    #expect((step - .milliseconds(1)).rounded(downTo: .seconds(1)) == step - .seconds(1))
    // Also before the origin.
    let early = step - .seconds(4_000_000)
    #expect((early + .milliseconds(1)).rounded(downTo: .seconds(1)) == early)
    #expect((early - .milliseconds(1)).rounded(downTo: .seconds(1)) == early - .seconds(1))
    #expect(one.rounded(downTo: .zero) == one)
  }

  @Test func `a remote silent for one and a half timeouts is given up`() throws {
    let start = Connection.Instant.now
    let connection = try greeted(.seconds(4), at: start)
    // Any byte counts, even of an incomplete frame.
    let later = start.advanced(by: .seconds(3))
    try connection.receive([0], now: later)
    #expect(try connection.nextEvent() == nil)
    try connection.tick(now: later.advanced(by: .milliseconds(5999)))
    #expect(!connection.isClosed)
    let error = #expect(throws: ProtocolError.self) {
      try connection.tick(now: later.advanced(by: .seconds(6)))
    }
    #expect(error?.code == .remoteTimedOut)
    #expect(error?.reason == "Remote timed out")
    #expect(connection.isClosed)
  }

  @Test func `a remote without handshake is given up after five seconds`() throws {
    let start = Connection.Instant.now
    let connection = Connection(options: options(.seconds(60)), now: start)
    _ = try connection.open(key(1))
    try connection.receive(Raw.feed(0, key(1).discoveryKey), now: start.advanced(by: .seconds(1)))
    #expect(try connection.nextEvent() != nil)
    // A few more bytes don't help.
    for second in 2...4 {
      try connection.receive([0], now: start.advanced(by: .seconds(second)))
      #expect(try connection.nextEvent() == nil)
    }
    #expect(connection.deadline == start.advanced(by: .seconds(5)))
    let error = #expect(throws: ProtocolError.self) {
      try connection.tick(now: start.advanced(by: .seconds(5)))
    }
    #expect(error?.code == .handshakeTimedOut)
  }

  @Test func `while the key is missing here, the handshake is not late`() throws {
    let start = Connection.Instant.now
    var random = SeededRandom(seed: 0)
    let connection = Connection(options: .random(using: &random), now: start)
    try connection.receive(
      Raw.feed(0, key(1).discoveryKey, nonce: [UInt8](repeating: 1, count: 24)), now: start)
    #expect(try connection.nextEvent() == .feed(key(1).discoveryKey))
    // Silence counts from the last byte, as always; no keep-alive is sent.
    try connection.tick(now: start.advanced(by: .seconds(7)))
    #expect(connection.outputCount == 0)
    try connection.receive([1], now: start.advanced(by: .seconds(7)))
    _ = try connection.open(key(1))
    let error = #expect(throws: ProtocolError.self) {
      try connection.tick(now: start.advanced(by: .seconds(12)))
    }
    #expect(error?.code == .handshakeTimedOut)
  }

  @Test func `a frame that takes more than a minute closes`() throws {
    let start = Connection.Instant.now
    let connection = try greeted(.seconds(5), at: start)
    var now = start
    let frame = Raw.frame(0, 12, [UInt8](repeating: 0, count: 100))
    var closed: ProtocolError?
    for byte in frame where closed == nil {
      now = now.advanced(by: .seconds(2))
      do {
        try connection.tick(now: now)
        try connection.receive([byte], now: now)
        #expect(try connection.nextEvent() == nil)
      } catch {
        closed = error
      }
    }
    #expect(closed?.code == .frameTimedOut)
    #expect(now == start.advanced(by: .seconds(62)))
  }

  @Test func `many frames may take as long as they like`() throws {
    let start = Connection.Instant.now
    let connection = try greeted(.seconds(5), at: start)
    var now = start
    for index in 0..<100 as Range<UInt64> {
      for byte in Raw.have(0, index) {
        now = now.advanced(by: .seconds(5))
        try connection.tick(now: now)
        try connection.receive([byte], now: now)
        while try connection.nextEvent() != nil {}
      }
    }
    #expect(!connection.isClosed)
  }

  @Test(arguments: [nil, .zero] as [Duration?])
  func `without a timeout there are no timers`(timeout: Duration?) throws {
    let start = Connection.Instant.now
    let connection = Connection(options: options(timeout), now: start)
    _ = try connection.open(key(1))
    _ = connection.takeOutput()
    #expect(connection.deadline == nil)
    try connection.tick(now: start.advanced(by: .seconds(100_000)))
    #expect(connection.outputCount == 0)
    #expect(!connection.isClosed)
  }
}
