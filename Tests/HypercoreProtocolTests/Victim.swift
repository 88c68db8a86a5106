import DatCoding
import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

func key(_ number: UInt8) -> PublicKey {
  PublicKey(bytes: [UInt8](repeating: number, count: 32))!
}

/// An unencrypted connection that receives frames made by hand.
final class Victim {
  let connection: Connection
  let channel: ChannelID
  var now: Connection.Instant

  /// - Parameter greeted: true if the remote's Feed and Handshake have arrived already.
  init(greeted: Bool = true, extensions: [String] = [], maximumChannels: Int = 256) throws {
    var random = SeededRandom(seed: 0)
    var options = Connection.Options.random(using: &random)
    options.isEncrypted = false
    options.extensions = extensions
    options.maximumChannels = maximumChannels
    now = .now
    connection = Connection(options: options, now: now)
    channel = try connection.open(key(1))
    _ = connection.takeOutput()
    if greeted {
      let events = try receive(Raw.feed(0, key(1).discoveryKey) + Raw.handshake())
      #expect(events.count == 2)
    }
  }

  /// Receives bytes, and returns the events.
  @discardableResult
  func receive(_ bytes: [UInt8]) throws -> [Connection.Event] {
    try connection.receive(bytes, now: now)
    var events: [Connection.Event] = []
    while let event = try connection.nextEvent() { events.append(event) }
    return events
  }

  /// Expects that the bytes close the connection for this reason.
  func expectClosed(
    _ code: ProtocolError.Code, reason: String? = nil, by bytes: [UInt8],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: ProtocolError.self, sourceLocation: sourceLocation) {
      try receive(bytes)
    }
    #expect(error?.code == code, sourceLocation: sourceLocation)
    if let reason { #expect(error?.reason == reason, sourceLocation: sourceLocation) }
    #expect(connection.isClosed, sourceLocation: sourceLocation)
    #expect(connection.takeOutput().isEmpty, sourceLocation: sourceLocation)
    #expect(connection.deadline == nil, sourceLocation: sourceLocation)
    // From now on it ignores all input.
    #expect(throws: Never.self, sourceLocation: sourceLocation) {
      #expect(try receive(bytes).isEmpty)
      try connection.tick(now: now.advanced(by: .seconds(1000)))
    }
  }
}
