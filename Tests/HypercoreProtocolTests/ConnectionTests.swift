import DatCoding
import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// Two ends that behave correctly.
@Suite struct ConnectionTests {
  private func pair(
    _ cutting: Cutting = .whole, seed: UInt64 = 0,
    _ change: (inout Connection.Options) -> Void = { _ in }
  ) -> PeerPair {
    var random = SeededRandom(seed: seed)
    var a = Connection.Options.random(using: &random)
    var b = Connection.Options.random(using: &random)
    change(&a)
    change(&b)
    return PeerPair(a: a, b: b, cutting: cutting, seed: seed)
  }

  /// One message of every kind.
  private func messages(_ random: inout SeededRandom) -> [Message] {
    let node = Node(index: 5, hash: Digest(bytes: random.bytes(32))!, size: 9)
    return [
      .info(uploading: true, downloading: false), .have(start: 3), .have(start: 0, length: 0),
      .have(start: 0, length: 9, ack: true),
      .have(start: 8192, length: 1_048_576, bitfield: [0x0b, 0x02, 0xf0]),
      .have(start: 0, length: 1, bitfield: []), .unhave(start: 1, length: 2),
      .want(start: 0, length: 1_048_576), .want(start: 0), .unwant(start: 0, length: 8192),
      .request(Request(index: 4, bytes: 5, hash: true, nodes: .max)),
      .cancel(index: 4, bytes: 5, hash: true), .data(DataMessage(index: 1)),
      .data(DataMessage(index: 1, value: [])),
      .data(
        DataMessage(
          index: 1, value: random.bytes(Int.random(in: 0...30_000, using: &random)),
          nodes: Array(repeating: node, count: Int.random(in: 0...60, using: &random)),
          signature: Signature(bytes: random.bytes(64)))),
    ]
  }

  @Test(arguments: testSeeds(standard: 20), [true, false])
  func `messages of every kind arrive as sent, cut anywhere`(seed: UInt64, isEncrypted: Bool)
    throws
  {
    var random = SeededRandom(seed: seed)
    let pair = pair(.random(upTo: 300), seed: seed) { $0.isEncrypted = isEncrypted }
    var sent: [PeerPair.Side: [Connection.Event]] = [:]
    var received: [PeerPair.Side: [Connection.Event]] = [:]
    func note(_ side: PeerPair.Side, _ event: Connection.Event) {
      if case .message = event { received[side, default: []].append(event) }
    }
    for number in 1...3 as ClosedRange<UInt8> {
      for side in [PeerPair.Side.a, .b] { _ = try pair[side].open(key(number)) }
    }
    for _ in 0..<4 {
      for side in [PeerPair.Side.a, .b] {
        for message in messages(&random).shuffled(using: &random) {
          let feed = key(UInt8.random(in: 1...3, using: &random)).discoveryKey
          let channel = try #require(pair[side].channel(of: feed))
          try pair[side].send(message, on: channel)
          let target = try #require(pair[side.other].channel(of: feed))
          sent[side.other, default: []].append(.message(target, message))
        }
        if random.chance(0.5) { try pair.exchange(note) }
      }
    }
    try pair.exchange(note)
    #expect(received == sent)
    #expect(pair.a.statistics.bytesSent == pair.b.statistics.bytesReceived)
    #expect(pair.b.statistics.framesSent == pair.a.statistics.framesReceived)
  }

  @Test(arguments: testSeeds(standard: 4), [true, false])
  func `small frames between large ones arrive as sent, cut anywhere`(
    seed: UInt64, isEncrypted: Bool
  ) throws {
    var random = SeededRandom(seed: seed)
    let pair = pair(.random(upTo: 400_000), seed: seed) { $0.isEncrypted = isEncrypted }
    for side in [PeerPair.Side.a, .b] { _ = try pair[side].open(key(1)) }
    let channel = try #require(pair.a.channel(of: key(1).discoveryKey))
    let target = try #require(pair.b.channel(of: key(1).discoveryKey))
    var sent: [Connection.Event] = []
    for number in 0..<12 as Range<UInt64> {
      let count = random.chance(0.5) ? 10 : Int.random(in: 900_000...1_500_000, using: &random)
      let message = Message.data(
        DataMessage(index: number, value: [UInt8](repeating: UInt8(number), count: count)))
      try pair.a.send(message, on: channel)
      sent.append(.message(target, message))
    }
    var received: [Connection.Event] = []
    try pair.exchange { side, event in
      if side == .b, case .message = event { received.append(event) }
    }
    #expect(received == sent)
  }

  @Test func `the first frame is 62 bytes in clear, the second encrypted, as the reference's`()
    throws
  {
    let pair = pair()
    _ = try pair.a.open(key(1))
    let bytes = pair.a.takeOutput()
    #expect(
      Array(bytes[..<62])
        == Raw.feed(0, key(1).discoveryKey, nonce: pair.a.options.nonce.bytes))
    #expect(bytes.count == 62 + 40)
    var rest = Array(bytes[62...])
    var cipher = StreamCipher(key: key(1), nonce: pair.a.options.nonce)
    rest.withUnsafeMutableBytes { cipher.apply(to: $0) }
    #expect(rest == [0x27, 0x01, 0x0a, 0x20] + pair.a.options.id + [0x10, 0x00, 0x28, 0x00])
  }

  @Test func `the wire looks the same whenever output is taken`() throws {
    let one = pair()
    let two = pair()
    var bytes: [UInt8] = []
    let channel = try one.a.open(key(1))
    let other = try two.a.open(key(1))
    for index in 0..<50 as Range<UInt64> {
      try one.a.send(.have(start: index), on: channel)
      try two.a.send(.have(start: index), on: other)
      bytes += one.a.takeOutput()
    }
    #expect(two.a.takeOutput() == bytes)
    #expect(one.a.outputCount == 0 && one.a.takeOutput().isEmpty)
  }

  @Test(arguments: testSeeds(standard: 10))
  func `an end without the key keeps what follows and reads it when the key comes`(seed: UInt64)
    throws
  {
    let pair = pair(.random(upTo: 90), seed: seed)
    let channel = try pair.a.open(key(1))
    try pair.a.send(.have(start: 5), on: channel)
    var events: [Connection.Event] = []
    try pair.exchange { events.append($1) }
    #expect(events == [.feed(key(1).discoveryKey)])
    #expect(pair.b.isWaitingForKey)
    #expect(pair.b.outputCount == 0)
    #expect(pair.b.remoteFirstFeed == key(1).discoveryKey)

    let late = try pair.b.open(key(1))
    #expect(!pair.b.isWaitingForKey)
    while let event = try pair.b.nextEvent() { events.append(event) }
    #expect(
      events.dropFirst() == [
        .handshake(Handshake(id: pair.a.options.id)), .message(late, .have(start: 5)),
      ])
    try pair.exchange { events.append($1) }
    #expect(events.last == .handshake(Handshake(id: pair.b.options.id)))
  }

  @Test func `what is kept for a late key has a limit`() throws {
    let pair = pair()
    _ = try pair.a.open(key(1))
    try pair.exchange()
    let parked = WireLimits.parkedBytes - 40
    try pair.b.receive([UInt8](repeating: 0, count: parked), now: pair.now)
    #expect(try pair.b.nextEvent() == nil)
    let error = #expect(throws: ProtocolError.self) { try pair.b.receive([0], now: pair.now) }
    #expect(error?.code == .tooManyParkedBytes)
    #expect(pair.b.isClosed)
  }

  @Test func `an owner that asks for no events can't fill the memory`() throws {
    let victim = try Victim()
    let chunk = [UInt8](repeating: 0, count: 1 << 20)
    let error = #expect(throws: ProtocolError.self) {
      for _ in 0..<100 { try victim.connection.receive(chunk, now: victim.now) }
    }
    #expect(error?.code == .tooManyUnparsedBytes)
  }

  @Test func `two ends that start with different feeds close`() throws {
    let pair = pair()
    _ = try pair.a.open(key(1))
    _ = try pair.b.open(key(2))
    let error = #expect(throws: ProtocolError.self) { try pair.exchange() }
    #expect(error?.code == .firstFeedMismatch)
    #expect(error?.reason == "First shared hypercore must be the same")

    // The same if the remote's feed is known first.
    let late = self.pair()
    _ = try late.a.open(key(1))
    try late.exchange()
    #expect(throws: ProtocolError.self) { try late.b.open(key(2)) }
    #expect(late.b.isClosed)
  }

  @Test func `unencrypted ends may start with different feeds`() throws {
    let pair = pair { $0.isEncrypted = false }
    _ = try pair.a.open(key(1))
    _ = try pair.b.open(key(2))
    var feeds: [DiscoveryKey] = []
    try pair.exchange { if case .feed(let name) = $1 { feeds.append(name) } }
    #expect(feeds == [key(1).discoveryKey, key(2).discoveryKey])
    #expect(!pair.a.isWaitingForKey && !pair.b.isWaitingForKey)
  }

  @Test func `an encrypted end gives up an unencrypted one`() throws {
    var random = SeededRandom(seed: 1)
    var clear = Connection.Options.random(using: &random)
    clear.isEncrypted = false
    let pair = PeerPair(a: clear, b: .random(using: &random))
    _ = try pair.a.open(key(1))
    _ = try pair.b.open(key(1))
    let error = #expect(throws: ProtocolError.self) { try pair.exchange() }
    #expect(error?.code == .nonceMissing)
    #expect(error?.reason == "Remote did not include a nonce")
    #expect(pair.b.isClosed)
  }

  @Test func `a feed that is open gives the same channel again`() throws {
    let pair = pair()
    let channel = try pair.a.open(key(1))
    let count = pair.a.outputCount
    #expect(try pair.a.open(key(1)) == channel)
    #expect(pair.a.outputCount == count)
    #expect(pair.a.channel(of: key(1).discoveryKey) == channel)
    #expect(pair.a.channel(of: key(2).discoveryKey) == nil)
    #expect(!pair.a.isOpenRemotely(channel))
    _ = try pair.b.open(key(1))
    try pair.exchange()
    #expect(pair.a.isOpenRemotely(channel))
  }

  @Test func `more feeds than allowed can't be opened`() throws {
    let pair = pair { $0.maximumChannels = 3 }
    for number in 1...3 as ClosedRange<UInt8> { _ = try pair.a.open(key(number)) }
    let error = #expect(throws: ProtocolError.self) { try pair.a.open(key(4)) }
    #expect(error?.code == .tooManyFeeds)
    #expect(
      error?.reason
        == "Only 3 feeds currently supported. Open a Github issue if you need more")
    #expect(!pair.a.isClosed)
  }

  @Test func `256 feeds speak over one connection`() throws {
    let pair = pair(.random(upTo: 1000))
    for side in [PeerPair.Side.a, .b] {
      for number in 0...255 as ClosedRange<UInt8> {
        let channel = try pair[side].open(key(number))
        try pair[side].send(.have(start: UInt64(number)), on: channel)
        if number % 8 == 7 { try pair.exchange() }
      }
    }
    try pair.exchange()
    #expect(throws: ProtocolError.self) {
      try pair.a.open(PublicKey(bytes: [1] + [UInt8](repeating: 0, count: 31))!)
    }
  }

  @Test func `a message over 8 MiB is refused here and nothing is sent`() throws {
    let pair = pair()
    let channel = try pair.a.open(key(1))
    let count = pair.a.outputCount
    let value = [UInt8](repeating: 0, count: 8_388_608)
    let error = #expect(throws: ProtocolError.self) {
      try pair.a.send(.data(DataMessage(index: 0, value: value)), on: channel)
    }
    #expect(error?.code == .frameTooLarge)
    #expect(pair.a.outputCount == count)
    #expect(!pair.a.isClosed)
    value.withUnsafeBytes { bytes in
      _ = #expect(throws: ProtocolError.self) {
        try pair.a.sendData(index: 0, value: bytes, nodes: [], signature: nil, on: channel)
      }
    }
  }

  @Test func `extensions reach the other side by name, whatever the lists`() throws {
    var random = SeededRandom(seed: 1)
    var a = Connection.Options.random(using: &random)
    a.extensions = ["zeta", "alpha", "z"]
    a.userData = Array("user a".utf8)
    var b = Connection.Options.random(using: &random)
    b.extensions = ["zeta", "beta", "z"]
    b.ack = true
    b.live = true
    let pair = PeerPair(a: a, b: b, cutting: .pieces(1))
    let channel = try pair.a.open(key(1))
    let other = try pair.b.open(key(1))
    var events: [Connection.Event] = []
    try pair.exchange { events.append($1) }
    #expect(
      pair.b.remoteHandshake
        == Handshake(
          id: a.id, userData: Array("user a".utf8), extensions: ["alpha", "z", "zeta"]))
    #expect(
      pair.a.remoteHandshake
        == Handshake(id: b.id, live: true, extensions: ["beta", "z", "zeta"], ack: true))
    events = []
    try pair.a.sendExtension("zeta", payload: [1], on: channel)
    try pair.a.sendExtension("alpha", payload: [2], on: channel)
    try pair.a.sendExtension("z", payload: [], on: channel)
    try pair.b.sendExtension("z", payload: [3], on: other)
    try pair.exchange { events.append($1) }
    #expect(
      events == [
        .extension(other, name: "zeta", payload: [1]), .extension(other, name: "z", payload: []),
        .extension(channel, name: "z", payload: [3]),
      ])
    #expect(pair.a.remoteSupports("z") && !pair.a.remoteSupports("alpha"))
    let error = #expect(throws: ProtocolError.self) {
      try pair.a.sendExtension("beta", payload: [], on: channel)
    }
    #expect(error?.code == .extensionNotAnnounced)
  }

  @Test func `options that no peer would take are refused at the first feed`() throws {
    let changes: [(inout Connection.Options) -> Void] = [
      { $0.extensions = (0..<65).map(String.init) },
      { $0.extensions = [String(repeating: "x", count: 65)] },
      { $0.userData = [UInt8](repeating: 0, count: 65_537) },
      { $0.id = [UInt8](repeating: 0, count: 257) },
    ]
    for change in changes {
      let pair = pair(.whole, change)
      let error = #expect(throws: ProtocolError.self) { try pair.a.open(key(1)) }
      #expect(error?.code == .invalidOptions)
      #expect(pair.a.outputCount == 0)
    }
  }

  @Test func `after the remote's end its last messages come, then the end, once`() throws {
    let victim = try Victim()
    try victim.connection.receive(Raw.have(0, 1) + [9, 3], now: victim.now)
    victim.connection.finishInput()
    #expect(try victim.connection.nextEvent() == .message(victim.channel, .have(start: 1)))
    #expect(try victim.connection.nextEvent() == .end)
    #expect(victim.connection.unparsedCount == 0)
    #expect(try victim.connection.nextEvent() == nil)
    #expect(victim.connection.deadline == nil)
    try victim.connection.send(.have(start: 1), on: victim.channel)
    #expect(victim.connection.takeOutput() == Raw.have(0, 1))
  }

  @Test func `a closed connection refuses commands`() throws {
    let victim = try Victim()
    victim.connection.close()
    let error = #expect(throws: ProtocolError.self) {
      try victim.connection.send(.have(start: 1), on: victim.channel)
    }
    #expect(error?.code == .connectionClosed)
    #expect(throws: ProtocolError.self) { try victim.connection.open(key(2)) }
    #expect(try victim.receive(Raw.have(0, 1)).isEmpty)
  }
}
