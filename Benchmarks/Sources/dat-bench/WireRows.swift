internal import HypercoreCrypto
internal import HypercoreProtocol

/// Messages to bytes and back, without sockets.
enum WireRows {
  static let all: [Row] = [
    Row("wire.encode", limit: nil) { settings in try await run(settings, encrypted: false).encode },
    Row("wire.decode", limit: nil) { settings in try await run(settings, encrypted: false).decode },
    Row("wire.encode.encrypted") { settings in try await run(settings, encrypted: true).encode },
    Row("wire.decode.encrypted") { settings in try await run(settings, encrypted: true).decode },
  ]

  /// Data messages of 100 bytes with two nodes, as linear downloads have on average.
  private static func run(_ settings: Settings, encrypted: Bool) async throws -> (
    encode: Double, decode: Double
  ) {
    let count = settings.scale(500_000)
    let key = KeyPair.generate().publicKey
    let now = ContinuousClock.now
    func connection() throws -> (Connection, ChannelID) {
      var options = Connection.Options(
        id: [UInt8](repeating: 1, count: 32), nonce: .random())
      options.isEncrypted = encrypted
      let connection = Connection(options: options, now: now)
      return (connection, try connection.open(key))
    }
    let (sender, channel) = try connection()
    let (receiver, _) = try connection()
    let value = [UInt8](repeating: 7, count: 100)
    let digest = TreeHash.leaf(value)
    var chunks: [[UInt8]] = []
    let encode = try await seconds {
      for index in 0..<count {
        let nodes = [Node(index: UInt64(index) * 2 + 2, hash: digest, size: 100)]
        try value.withUnsafeBytes {
          try sender.sendData(
            index: UInt64(index), value: $0, nodes: nodes, signature: nil, on: channel)
        }
        if sender.outputCount > 256 << 10 { chunks.append(sender.takeOutput()) }
      }
      chunks.append(sender.takeOutput())
    }
    var received = 0
    let decode = try await seconds {
      for chunk in chunks {
        try receiver.receive(chunk, now: now)
        while let event = try receiver.nextEvent() {
          if case .message = event { received += 1 }
        }
      }
    }
    guard received == count else { throw BenchFailure("\(received) of \(count) messages came") }
    return (Double(count) / encode, Double(count) / decode)
  }
}
