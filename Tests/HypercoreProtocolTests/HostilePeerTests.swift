import DatCoding
import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// Messages that a stranger may send, and the ways in which the connection ends.
@Suite struct HostilePeerTests {
  private let tooLarge = "Remote message is larger than 8MB (max allowed)"
  private let invalidFeed = "Remote sent invalid feed message"

  // MARK: Frames

  @Test func `a frame of 8 MiB is taken and one byte more refused on sight`() throws {
    let limit = 8_388_608
    let victim = try Victim()
    let value = [UInt8](repeating: 5, count: limit - 8)
    let body = [0x08, 0x01, 0x12] + varint(UInt64(value.count)) + value
    let frame = Raw.frame(0, 9, body)
    #expect(frame.count == limit + 4)
    #expect(
      try victim.receive(frame)
        == [.message(victim.channel, .data(DataMessage(index: 1, value: value)))])

    victim.expectClosed(
      .remoteFrameTooLarge, reason: tooLarge, by: varint(UInt64(limit + 1)))
  }

  @Test(arguments: [
    [0xff, 0xff, 0xff, 0xff], [0x80, 0x80, 0x80, 0x80, 0x00], [0xff, 0xff, 0xff, 0x7f],
  ])
  func `a length of more than four bytes or 8 MiB is refused`(bytes: [UInt8]) throws {
    try Victim().expectClosed(.remoteFrameTooLarge, reason: tooLarge, by: bytes)
    try Victim(greeted: false)
      .expectClosed(.remoteFrameTooLarge, reason: tooLarge, by: bytes)
  }

  @Test func `a padded length of four bytes is taken`() throws {
    let victim = try Victim()
    let have = Raw.have(0, 7)
    let padded: [UInt8] = [have[0] | 0x80, 0x80, 0x80, 0x00] + have[1...]
    #expect(try victim.receive(padded) == [.message(victim.channel, .have(start: 7))])
  }

  @Test func `before its handshake a remote gets 128 KiB a frame`() throws {
    try Victim(greeted: false)
      .expectClosed(.remoteFrameTooLarge, by: varint(UInt64(131_073)))
    let victim = try Victim(greeted: false)
    #expect(try victim.receive(varint(131_072)).isEmpty)
  }

  @Test func `keep-alives and payloads of one byte are passed over`() throws {
    let victim = try Victim()
    let bytes = [0, 0, 1, 0x03, 0, 1, 0x21, 1, 0xf0] + Raw.have(0, 9) + [0]
    #expect(try victim.receive(bytes) == [.message(victim.channel, .have(start: 9))])
  }

  @Test func `an unreadable header closes`() throws {
    for payload in [[0x80, 0x80], [0x80, 0x80, 0x80], [UInt8](repeating: 0xff, count: 11)] {
      let victim = try Victim()
      victim.expectClosed(
        .invalidHeader, reason: "Remote sent invalid header",
        by: [UInt8(payload.count)] + payload)
    }
  }

  @Test func `types 10 to 14 are ignored`() throws {
    let victim = try Victim()
    for type in 10...14 as ClosedRange<UInt8> {
      #expect(try victim.receive(Raw.frame(0, type, [1, 2, 3])).isEmpty)
    }
    #expect(try victim.receive(Raw.have(0, 1)).count == 1)
  }

  @Test func `a body that can't be read closes`() throws {
    for type in 2...9 as ClosedRange<UInt8> {
      let victim = try Victim()
      victim.expectClosed(.invalidMessage, by: Raw.frame(0, type, [0x08, 0x80]))
    }
    let victim = try Victim(greeted: false)
    try victim.receive(Raw.feed(0, key(1).discoveryKey))
    victim.expectClosed(.invalidMessage, by: Raw.frame(0, 1, [0x0a, 0x05, 0x01]))
  }

  // MARK: Feeds and channels

  @Test func `a stream that doesn't start with Feed closes`() throws {
    for bytes in [Raw.handshake(), Raw.have(0, 1), Raw.frame(0, 15, [0, 1])] {
      try Victim(greeted: false)
        .expectClosed(.invalidFeed, reason: invalidFeed, by: bytes)
    }
    #expect(throws: ProtocolError.self) { try Connection.peek(Raw.handshake()) }
  }

  @Test func `a Feed that can't be read closes`() throws {
    let name = key(1).discoveryKey.bytes
    let bodies: [[UInt8]] = [
      [0x0a, 0x1f] + name.dropLast(), [0x0a, 0x21] + name + [0],
      [0x0a, 0x20] + name + [0x12, 0x17] + [UInt8](repeating: 1, count: 23),
      [0x12, 0x18] + [UInt8](repeating: 1, count: 24), [0x08, 0x01],
      [0x0a, 0x20] + name.dropLast(),
    ]
    for body in bodies {
      try Victim(greeted: false)
        .expectClosed(.invalidFeed, reason: invalidFeed, by: Raw.frame(0, 0, body))
      try Victim().expectClosed(.invalidFeed, reason: invalidFeed, by: Raw.frame(1, 0, body))
    }
  }

  @Test func `a message on a channel that the remote has not opened closes`() throws {
    try Victim().expectClosed(.invalidFeed, reason: invalidFeed, by: Raw.have(1, 1))
    try Victim().expectClosed(.invalidFeed, reason: invalidFeed, by: Raw.handshake(1))
    try Victim().expectClosed(.invalidFeed, reason: invalidFeed, by: Raw.frame(3, 15, [0]))
  }

  @Test func `a second Feed on one channel closes, opened here or not`() throws {
    try Victim().expectClosed(.invalidFeed, by: Raw.feed(0, key(2).discoveryKey))
    let victim = try Victim()
    try victim.receive(Raw.feed(1, key(2).discoveryKey))
    victim.expectClosed(.invalidFeed, by: Raw.feed(1, key(3).discoveryKey))
  }

  @Test func `a second channel for one feed closes`() throws {
    try Victim().expectClosed(.invalidFeed, by: Raw.feed(1, key(1).discoveryKey))
    let victim = try Victim()
    try victim.receive(Raw.feed(1, key(2).discoveryKey))
    victim.expectClosed(.invalidFeed, by: Raw.feed(2, key(2).discoveryKey))
  }

  @Test func `channel numbers may have gaps, up to the limit`() throws {
    let victim = try Victim()
    #expect(
      try victim.receive(Raw.feed(255, key(2).discoveryKey)) == [.feed(key(2).discoveryKey)])
    #expect(try victim.receive(Raw.feed(7, key(3).discoveryKey)) == [.feed(key(3).discoveryKey)])
    victim.expectClosed(
      .tooManyFeeds,
      reason: "Only 256 feeds currently supported. Open a Github issue if you need more",
      by: Raw.feed(256, key(4).discoveryKey))
    for number in [1 << 27, 1 << 31, 1 << 53, 1 << 59] as [UInt64] {
      try Victim().expectClosed(.tooManyFeeds, by: Raw.have(number, 1))
    }
    try Victim(maximumChannels: 3).expectClosed(
      .tooManyFeeds,
      reason: "Only 3 feeds currently supported. Open a Github issue if you need more",
      by: Raw.feed(3, key(2).discoveryKey))
  }

  @Test func `a large frame on a channel beyond the limit is refused by its first bytes`() throws {
    for (number, code) in [(255, .invalidFeed), (256, .tooManyFeeds), (257, .tooManyFeeds)]
      as [(UInt64, ProtocolError.Code)]
    {
      let frame = Raw.frame(number, 9, [UInt8](repeating: 0, count: 1_000_000))
      try Victim().expectClosed(code, by: Array(frame.prefix(10)))
      // A small one when it is whole.
      try Victim().expectClosed(code, by: Raw.have(number, 1))
    }
  }

  // MARK: Messages on unopened channels

  @Test func `seventeen messages wait for a channel and the next closes`() throws {
    let victim = try Victim()
    let name = key(2).discoveryKey
    #expect(try victim.receive(Raw.feed(1, name)) == [.feed(name)])
    for index in 0..<17 as Range<UInt64> {
      #expect(try victim.receive(Raw.have(1, index)).isEmpty)
    }
    victim.expectClosed(
      .tooManyMessages, reason: "Remote sent too many messages on an unopened feed",
      by: Raw.have(1, 17))
  }

  @Test func `what waited for a channel comes in order, before anything newer`() throws {
    let victim = try Victim()
    try victim.receive(Raw.feed(1, key(2).discoveryKey))
    for index in 0..<17 as Range<UInt64> { try victim.receive(Raw.have(1, index)) }
    let channel = try victim.connection.open(key(2))
    let events = try victim.receive(Raw.have(1, 17) + Raw.have(0, 18))
    #expect(
      events == (0..<18).map { .message(channel, .have(start: $0)) }
        + [.message(victim.channel, .have(start: 18))])
  }

  @Test func `64 KiB wait for a channel and more closes`() throws {
    func data(_ count: Int) -> [UInt8] {
      Raw.frame(
        1, 9,
        [0x08, 0x01, 0x12] + varint(UInt64(count)) + [UInt8](repeating: 0, count: count))
    }
    let victim = try Victim()
    try victim.receive(Raw.feed(1, key(2).discoveryKey))
    for _ in 0..<6 { #expect(try victim.receive(data(10_000)).isEmpty) }
    victim.expectClosed(.tooManyMessages, by: data(10_000))

    let other = try Victim()
    try other.receive(Raw.feed(1, key(2).discoveryKey))
    other.expectClosed(.tooManyMessages, by: data(8_000_000))
  }

  @Test func `all channels together keep a megabyte waiting`() throws {
    let victim = try Victim()
    let body = [0x08, 0x01, 0x12] + varint(60_000) + [UInt8](repeating: 0, count: 60_000)
    for number in 1...17 as ClosedRange<UInt64> {
      try victim.receive(Raw.feed(number, key(UInt8(number) + 1).discoveryKey))
      #expect(try victim.receive(Raw.frame(number, 9, body)).isEmpty)
    }
    try victim.receive(Raw.feed(18, key(100).discoveryKey))
    victim.expectClosed(.tooManyMessages, by: Raw.frame(18, 9, body))
  }

  @Test(arguments: [1, 2])
  func `what waits is a megabyte at most, to the byte`(room: Int) throws {
    let victim = try Victim()
    for number in 20..<36 as Range<UInt64> {
      try victim.receive(Raw.feed(number, key(UInt8(number)).discoveryKey))
      // Two bytes before the body, which has as many as the limit of a channel leaves.
      let count = (number == 20 ? 65_536 - room : 65_536) - 8
      let body = [0x08, 0x01, 0x12] + varint(UInt64(count)) + [UInt8](repeating: 0, count: count)
      #expect(try victim.receive(Raw.frame(number, 9, body)).isEmpty)
    }
    try victim.receive(Raw.feed(36, key(36).discoveryKey))
    // Two bytes.
    let info = Raw.frame(36, 2, [])
    if room < 2 {
      victim.expectClosed(.tooManyMessages, by: info)
    } else {
      #expect(try victim.receive(info).isEmpty)
    }
  }

  // MARK: Handshakes and extensions

  @Test func `only the first handshake counts, on whatever channel`() throws {
    let victim = try Victim(greeted: false)
    let events = try victim.receive(
      Raw.feed(0, key(1).discoveryKey) + Raw.feed(9, key(2).discoveryKey)
        + Raw.handshake(9) + Raw.frame(0, 1, [0x10, 0x00, 0x28, 0x01]))
    #expect(events.count == 3)
    #expect(events.last == .handshake(Handshake(id: nil, live: true)))
    #expect(victim.connection.remoteHandshake?.live == true)
  }

  @Test func `a handshake without fields comes through where its header takes two bytes`() throws {
    let victim = try Victim(greeted: false)
    let events = try victim.receive(
      Raw.feed(0, key(1).discoveryKey) + Raw.feed(8, key(2).discoveryKey) + Raw.frame(0, 1, [])
        + Raw.frame(8, 1, []))
    #expect(events.last == .handshake(Handshake(id: nil)))
    #expect(events.count == 3)
  }

  @Test func `a handshake over the limits closes`() throws {
    let bodies: [[UInt8]] = [
      Array(repeatElement([0x22, 0x00], count: 60_000).joined()),
      Array(repeatElement([0x22, 0x01, 0x61], count: 65).joined()),
      [0x22, 65] + [UInt8](repeating: 0x61, count: 65),
      [0x1a] + varint(65_537) + [UInt8](repeating: 0, count: 65_537),
    ]
    for body in bodies {
      let victim = try Victim(greeted: false)
      try victim.receive(Raw.feed(0, key(1).discoveryKey))
      victim.expectClosed(.invalidMessage, by: Raw.frame(0, 1, body))
    }
  }

  @Test func `extension messages are mapped by name`() throws {
    let victim = try Victim(greeted: false, extensions: ["zeta", "beta", "zeta"])
    try victim.receive(Raw.feed(0, key(1).discoveryKey))
    // Not yet: the remote has announced nothing.
    #expect(try victim.receive(Raw.frame(0, 15, [0, 9])).isEmpty)
    // An unsorted list, with a name that is not spoken here and one that is invalid UTF-8.
    try victim.receive(
      Raw.frame(
        0, 1,
        [0x22, 4] + Array("zeta".utf8) + [0x22, 5] + Array("alpha".utf8) + [0x22, 1, 0xff]
          + [0x22, 4] + Array("beta".utf8)))
    #expect(victim.connection.remoteSupports("zeta") && victim.connection.remoteSupports("beta"))
    #expect(!victim.connection.remoteSupports("alpha"))
    let events = try victim.receive(
      Raw.frame(0, 15, [0, 1]) + Raw.frame(0, 15, [1, 2]) + Raw.frame(0, 15, [2, 3])
        + Raw.frame(0, 15, [3]) + Raw.frame(0, 15, [0x83, 0x80, 0x00, 4]))
    #expect(
      events == [
        .extension(victim.channel, name: "zeta", payload: [1]),
        .extension(victim.channel, name: "beta", payload: []),
        .extension(victim.channel, name: "beta", payload: [4]),
      ])
    victim.expectClosed(.invalidExtension, by: Raw.frame(0, 15, [4, 1]))
  }

  @Test func `an extension message with a bad number closes`() throws {
    for body in [[0x80], [0x80, 0x80], [UInt8](repeating: 0xff, count: 12)] as [[UInt8]] {
      try Victim().expectClosed(.invalidExtension, by: Raw.frame(0, 15, body))
    }
    let most = varint(.max)
    try Victim().expectClosed(.invalidExtension, by: Raw.frame(0, 15, most))
  }

  @Test func `an extension message on an unopened channel is lost`() throws {
    let victim = try Victim(greeted: false, extensions: ["x"])
    try victim.receive(Raw.feed(0, key(1).discoveryKey) + Raw.handshake(extensions: ["x"]))
    try victim.receive(Raw.feed(1, key(2).discoveryKey))
    for _ in 0..<100 { #expect(try victim.receive(Raw.frame(1, 15, [0, 1])).isEmpty) }
  }

  // MARK: Closed channels

  @Test func `what comes for a channel closed here is dropped`() throws {
    let victim = try Victim()
    victim.connection.close(victim.channel)
    for _ in 0..<100 { #expect(try victim.receive(Raw.have(0, 1)).isEmpty) }
    #expect(throws: ProtocolError.self) { try victim.connection.open(key(1)) }
    #expect(throws: ProtocolError.self) {
      try victim.connection.send(.have(start: 1), on: victim.channel)
    }
    #expect(!victim.connection.isClosed)
  }

  @Test func `what waited for a channel is dropped when that is closed at once`() throws {
    let victim = try Victim()
    try victim.receive(Raw.feed(1, key(2).discoveryKey) + Raw.have(1, 1) + Raw.have(1, 2))
    let channel = try victim.connection.open(key(2))
    #expect(try victim.connection.nextEvent() == .message(channel, .have(start: 1)))
    victim.connection.close(channel)
    #expect(try victim.connection.nextEvent() == nil)
  }

  // MARK: Anything

  @Test(arguments: testSeeds(standard: 100))
  func `random bytes never trap`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    for _ in 0..<10 {
      let victim = try Victim(greeted: random.chance(0.5))
      let bytes = random.bytes(Int.random(in: 0...400, using: &random))
      for piece in Cutting.random(upTo: 50).pieces(of: bytes, using: &random) {
        guard (try? victim.receive(piece)) != nil else { break }
      }
      _ = try? Connection.peek(bytes)
    }
  }

  @Test(arguments: testSeeds(standard: 100))
  func `random frames never trap`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    for _ in 0..<10 {
      let victim = try Victim(extensions: ["x"])
      for _ in 0..<30 {
        var body: [UInt8] = []
        for number in 1...4 as ClosedRange<UInt8> where random.chance(0.7) {
          let isBytes = random.chance(0.5)
          let bytes = random.bytes([0, 1, 24, 32, 64].randomElement(using: &random)!)
          body += [number << 3 | (isBytes ? 2 : 0)]
          body += isBytes ? [UInt8(bytes.count)] + bytes : varint(random.next() >> 40)
        }
        let frame = Raw.frame(
          UInt64.random(in: 0...3, using: &random), UInt8.random(in: 0...15, using: &random), body)
        guard (try? victim.receive(frame)) != nil else { break }
        if random.chance(0.2) { _ = try? victim.connection.open(key(2)) }
        if random.chance(0.1) { victim.connection.close(victim.channel) }
      }
    }
  }
}
