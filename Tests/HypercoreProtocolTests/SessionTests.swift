import DatCoding
import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

/// The recorded bytes of either end decode to the recorded messages, in a connection that has the
/// keys.
@Suite struct SessionTests {
  @Test(arguments: try Session.names())
  func `a recorded session decodes as recorded, in one piece`(name: String) throws {
    try replay(name, .whole)
  }

  @Test(arguments: try Session.names())
  func `a recorded session decodes as recorded, byte by byte`(name: String) throws {
    try replay(name, .pieces(1))
  }

  @Test(arguments: try Session.names(), testSeeds(standard: 3))
  func `a recorded session decodes as recorded, cut anywhere`(name: String, seed: UInt64) throws {
    try replay(name, .random(upTo: 200), seed: seed)
    try replay(name, .random(upTo: 5000), seed: seed)
  }

  @Test(arguments: try Session.names())
  func `a recorded session can be read by an end that gets the key late`(name: String) throws {
    try replay(name, .pieces(7), openingLate: true)
  }

  @Test(arguments: try Session.names())
  func `the first bytes of a recorded session tell its feed`(name: String) throws {
    let session = try Fixtures.json("sessions/\(name)", as: Session.self)
    let feed = try #require(PublicKey(hex: session.key)).discoveryKey
    for side in session.messages.keys {
      let stream = session.stream(of: side)
      #expect(try Connection.peek(stream) == feed)
      #expect(try Connection.peek(Array(stream[..<62])) == feed)
      for count in 0..<36 { #expect(try Connection.peek(Array(stream[..<count])) == nil) }
    }
  }

  @Test(arguments: try Session.names())
  func `messages sent again are the recorded bytes`(name: String) throws {
    let session = try Fixtures.json("sessions/\(name)", as: Session.self)
    let keys = try session.keys()
    for (side, recorded) in session.messages {
      // The recorded end's own nonce, id and options, so that even the cipher gives the same bytes.
      let handshake = try #require(
        recorded.first { $0.name == "Handshake" }?.message?.handshake)
      let nonce = recorded.first?.message?.nonce
      var options = Connection.Options(
        id: try #require(handshake.id),
        nonce: try #require(Nonce(bytes: nonce ?? [UInt8](repeating: 0, count: 24))))
      options.isEncrypted = session.encrypted != false
      options.live = handshake.live
      options.userData = handshake.userData
      options.extensions = handshake.extensions
      options.ack = handshake.ack
      let connection = Connection(options: options, now: .now)
      var channels: [Int: ChannelID] = [:]
      for message in recorded {
        switch message.name {
        case "Feed":
          let name = try #require(DiscoveryKey(bytes: message.message?.discoveryKey ?? []))
          channels[message.channel] = try connection.open(try #require(keys[name]))
        case "Handshake": break
        case "Extension":
          try connection.sendExtension(
            handshake.extensions[try #require(message.id)],
            payload: [UInt8](hex: try #require(message.payload)),
            on: try #require(channels[message.channel]))
        default:
          try connection.send(
            try #require(message.message).message(message.name),
            on: try #require(channels[message.channel]))
        }
      }
      #expect(connection.takeOutput() == session.stream(of: side), "side \(side)")
    }
  }

  private func replay(
    _ name: String, _ cutting: Cutting, seed: UInt64 = 0, openingLate: Bool = false
  ) throws {
    let session = try Fixtures.json("sessions/\(name)", as: Session.self)
    try #require(!session.messages.isEmpty)
    for (side, recorded) in session.messages {
      var random = SeededRandom(seed: seed)
      var options = Connection.Options.random(using: &random)
      options.isEncrypted = session.encrypted != false
      // All names that the recorded end announced, so that no message is dropped.
      let names = recorded.first { $0.name == "Handshake" }?.message?.extensions ?? []
      options.extensions = names
      let reader = Reader(options, keys: try session.keys())
      if !openingLate { try reader.open(try #require(PublicKey(hex: session.key))) }

      for piece in cutting.pieces(of: session.stream(of: side), using: &random) {
        try reader.connection.receive(piece, now: .now)
        try reader.readAll()
      }
      reader.connection.finishInput()
      try reader.readAll()

      try expect(reader.events, recorded, names, reader, "\(name), side \(side)")
    }
  }

  /// A connection that opens every feed that it knows as soon as the remote does.
  private final class Reader {
    let connection: Connection
    let keys: [DiscoveryKey: PublicKey]
    var events: [Connection.Event] = []
    var feeds: [ChannelID: DiscoveryKey] = [:]

    init(_ options: Connection.Options, keys: [DiscoveryKey: PublicKey]) {
      connection = Connection(options: options, now: .now)
      self.keys = keys
    }

    func open(_ key: PublicKey) throws { feeds[try connection.open(key)] = key.discoveryKey }

    func readAll() throws {
      while let event = try connection.nextEvent() {
        events.append(event)
        if case .feed(let name) = event { try open(try #require(keys[name])) }
      }
    }
  }

  private func expect(
    _ events: [Connection.Event], _ recorded: [Session.Recorded], _ names: [String],
    _ reader: Reader, _ place: Comment
  ) throws {
    #expect(events.count == recorded.count + 1, place)
    #expect(events.last == .end, place)
    var feeds: [Int: DiscoveryKey] = [:]
    for (event, message) in zip(events, recorded) {
      let fields = message.message
      switch event {
      case .feed(let name):
        #expect(message.name == "Feed" && name.bytes == fields?.discoveryKey, place)
        feeds[message.channel] = name
      case .handshake(let handshake):
        #expect(message.name == "Handshake" && handshake == fields?.handshake, place)
      case .message(let channel, let value):
        #expect(reader.feeds[channel] == feeds[message.channel], place)
        #expect(value == (try #require(fields).message(message.name)), place)
      case .extension(let channel, let name, let payload):
        #expect(reader.feeds[channel] == feeds[message.channel], place)
        #expect(name == names[try #require(message.id)], place)
        #expect(Hex.encode(payload) == message.payload, place)
      case .end: Issue.record("the stream ended early: \(place)")
      }
    }
  }
}
