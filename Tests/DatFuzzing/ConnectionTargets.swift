internal import DatCoding
internal import HypercoreCrypto
internal import HypercoreProtocol

/// Makes a connection as its owner would, and holds it to its limits.
private func makeConnection(
  encrypted: Bool, extensions: [String] = [], now: Connection.Instant
) -> Connection {
  guard let nonce = Nonce(bytes: [UInt8](repeating: 5, count: 24)) else {
    fatalError("24 bytes are a nonce")
  }
  var options = Connection.Options(id: [UInt8](repeating: 4, count: 32), nonce: nonce)
  options.isEncrypted = encrypted
  options.extensions = extensions
  return Connection(options: options, now: now)
}

private func key(_ number: UInt8) -> PublicKey {
  guard let key = PublicKey(bytes: [UInt8](repeating: number, count: 32)) else {
    fatalError("32 bytes are a key")
  }
  return key
}

extension FuzzTarget {
  static func frame(_ bytes: [UInt8]) {
    _ = try? Connection.peek(bytes)
    let whole = events(of: bytes, pieceCount: bytes.count)
    // Byte by byte if they are few.
    let cut = events(of: bytes, pieceCount: max(1 + Int(bytes.first ?? 0) % 7, bytes.count / 256))
    hold(whole.events == cut.events, "frames read differently when they come in pieces")
    hold(whole.error == cut.error, "\(whole.error as Any) is \(cut.error as Any) in pieces")
  }

  /// Returns the events of an unencrypted stream of the feed of key 1, received in pieces.
  private static func events(
    of bytes: [UInt8], pieceCount: Int
  ) -> (events: [Connection.Event], error: ProtocolError?) {
    let now = Connection.Instant.now
    let connection = makeConnection(encrypted: false, extensions: ["a", "b"], now: now)
    var events: [Connection.Event] = []
    do throws(ProtocolError) {
      _ = try connection.open(key(1))
      var position = 0
      while position < bytes.count {
        let end = min(position + max(pieceCount, 1), bytes.count)
        try connection.receive(Array(bytes[position..<end]), now: now)
        while let event = try connection.nextEvent() { events.append(event) }
        position = end
      }
      connection.finishInput()
      while let event = try connection.nextEvent() { events.append(event) }
    } catch {
      return (events, error)
    }
    return (events, nil)
  }

  static func connection(_ bytes: [UInt8]) {
    var input = FuzzInput(bytes)
    var now = Connection.Instant.now
    let flags = input.byte()
    let isEncrypted = flags & 1 != 0
    let connection = makeConnection(
      encrypted: isEncrypted, extensions: ["beta", "alpha"], now: now)
    // An honest other end, whose bytes the fuzzer changes in transit.
    let other = makeConnection(encrypted: isEncrypted, extensions: ["alpha"], now: now)
    if flags & 2 != 0 { _ = try? connection.open(key(1)) }
    if flags & 4 != 0 { _ = try? other.open(key(1)) }
    var received = 0
    while !input.isAtEnd {
      let operation = input.choice(13)
      do throws(ProtocolError) {
        switch operation {
        case 0: try connection.receive(input.chunk(), now: now)
        case 1:
          let channel = input.number()
          let type = input.byte() & 15
          let body = input.chunk()
          var frame: [UInt8] = []
          Varint.write(channel << 4 | UInt64(type), to: &frame)
          frame += body
          var length: [UInt8] = []
          Varint.write(UInt64(frame.count), to: &length)
          try connection.receive(length + frame, now: now)
        case 2: _ = try connection.open(key(UInt8(input.choice(4))))
        case 3:
          if let channel = connection.channel(of: key(UInt8(input.choice(4))).discoveryKey) {
            connection.close(channel)
          }
        case 4:
          if let channel = connection.channel(of: key(UInt8(input.choice(4))).discoveryKey) {
            try connection.send(message(from: &input), on: channel)
          }
        case 5:
          if let channel = connection.channel(of: key(1).discoveryKey) {
            try connection.sendExtension("alpha", payload: input.chunk(), on: channel)
          }
        case 6:
          now = now.advanced(by: .milliseconds(Int(input.byte()) * 100))
          try connection.tick(now: now)
        case 7: _ = connection.takeOutput()
        case 8: _ = try other.open(key(UInt8(input.choice(4))))
        case 9:
          if let channel = other.channel(of: key(UInt8(input.choice(4))).discoveryKey) {
            try other.send(message(from: &input), on: channel)
          }
        case 10:
          var output = other.takeOutput()
          let place = Int(input.byte()) | Int(input.byte()) << 8
          let change = input.byte()
          if change != 0, place < output.count { output[place] ^= change }
          try connection.receive(output, now: now)
        case 11:
          let output = connection.takeOutput()
          try other.receive(output, now: now)
          while try other.nextEvent() != nil {}
        default: connection.finishInput()
        }
        while let event = try connection.nextEvent() {
          received += 1
          if flags & 8 != 0, case .feed(let name) = event {
            for number in UInt8(0)..<4 where key(number).discoveryKey == name {
              _ = try connection.open(key(number))
            }
          }
        }
      } catch {
        // It is closed, or nothing was done.
        if connection.isClosed {
          hold(connection.deadline == nil, "a closed connection waits for something")
          hold(connection.takeOutput().isEmpty, "a closed connection has output")
        }
      }
    }
    hold(received <= bytes.count * 64 + 1024, "more events than anybody could have sent")
  }

  /// Returns any message that this side could send.
  static func message(from input: inout FuzzInput) -> Message {
    switch input.choice(8) {
    case 0: .info(uploading: input.byte() & 1 != 0, downloading: input.byte() & 1 != 0)
    case 1: .have(start: input.number(), length: input.number())
    case 2: .have(start: input.number(), length: input.number(), bitfield: input.chunk())
    case 3: .unhave(start: input.number(), length: input.number())
    case 4: .want(start: input.number() << 13, length: input.number() << 13)
    case 5:
      .request(
        Request(
          index: input.number(), bytes: input.number(), hash: input.byte() & 1 != 0,
          nodes: input.number()))
    case 6: .cancel(index: input.number(), bytes: input.number())
    default: .data(DataMessage(index: input.number(), value: input.chunk()))
    }
  }
}
