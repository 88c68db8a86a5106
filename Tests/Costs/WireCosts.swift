internal import DatSwarm
internal import DatTesting
internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import RandomAccessStorage

/// Blocks on their way to a reader, both ends counted.
enum WireCosts {
  static let all: [CostRow] = [
    CostRow("replicate.block") { try replicate(size: 100, count: 4000) },
    CostRow("replicate.large") { try replicate(size: 65_536, count: 64) },
    CostRow("live.block") { try live() },
    CostRow("live.block.tcp") { try await liveOverTCP() },
  ]

  /// A feed in memory, and one session of it, in one thread and on one instant.
  private struct End {
    let core: FeedCore
    let replicator: Replicator
    let session: ReplicationSession

    init(key: PublicKey?, seed: UInt64, now: Connection.Instant) throws {
      var random = SeededRandom(seed: seed)
      guard let pair = KeyPair(seed: random.bytes(32)) else { throw CostFailure("no key pair") }
      let options = key.map { FeedOptions(key: $0) } ?? FeedOptions(keyPair: pair)
      core = try FeedCore.open(in: MemoryStorage(), options: options)
      replicator = Replicator(core: core, isSparse: false, random: SeededRandom(seed: seed))
      var connection = Connection.Options.random(using: &random)
      connection.live = true
      connection.timeout = nil
      session = ReplicationSession(
        connection: Connection(options: connection, now: now), expectedFeeds: 1, now: now)
    }
  }

  /// Carries bytes both ways, 64 KiB at a time, until nobody has any.
  private static func exchange(_ one: End, _ other: End, now: Connection.Instant) {
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      for (from, to) in [(one, other), (other, one)] {
        guard let bytes = from.session.takeOutput(now: now), !bytes.isEmpty else { continue }
        isQuiet = false
        to.session.receive(bytes, now: now)
      }
    }
  }

  private static func pair() throws -> (End, End, Connection.Instant) {
    let now = ContinuousClock.now
    let writer = try End(key: nil, seed: 1, now: now)
    return (writer, try End(key: writer.core.key, seed: 2, now: now), now)
  }

  private static func open(_ writer: End, _ reader: End) throws {
    try writer.session.open(writer.replicator, download: false)
    try reader.session.open(reader.replicator, download: true)
  }

  private static func replicate(size: Int, count: Int) throws -> Cost {
    let (writer, reader, now) = try pair()
    _ = try writer.core.append(blocks(count, size: size))
    let cost = try counted(count) {
      try open(writer, reader)
      exchange(writer, reader, now: now)
    }
    guard reader.core.downloaded() == UInt64(count) else {
      throw CostFailure("\(reader.core.downloaded()) of \(count) blocks arrived")
    }
    return cost
  }

  private static func live() throws -> Cost {
    let (writer, reader, now) = try pair()
    try open(writer, reader)
    let all = blocks(600)
    func send(_ range: Range<Int>) throws {
      for index in range {
        _ = try writer.core.append([all[index]])
        try writer.replicator.flush()
        exchange(writer, reader, now: now)
        guard reader.core.has(UInt64(index)) else {
          throw CostFailure("block \(index) did not arrive, \(reader.core.length)")
        }
      }
    }
    try send(0..<100)
    let cost = try counted(500) { try send(100..<600) }
    return cost
  }

  /// Over sockets, between two feeds of this process: the next block is appended when the last one arrived.
  private static func liveOverTCP() async throws -> Cost {
    let writer = try await Feed.inMemory()
    guard let key = writer.key else { throw CostFailure("the feed has no key") }
    let reader = try await Feed.inMemory(options: Feed.Options(key: key))
    let listener = try await TCPListener(host: "127.0.0.1")
    let serving = Task { await listener.run { await serve($0, writer) } }
    let dialing = Task { await serve(try await TCPDialer.connect(to: listener.address), reader) }
    let all = blocks(300)
    func send(_ range: Range<Int>) async throws {
      for index in range {
        try await writer.append(all[index])
        _ = try await reader.get(UInt64(index))
      }
    }
    try await send(0..<100)
    let result = try await cost(of: 200) { try await send(100..<300) }
    serving.cancel()
    dialing.cancel()
    try await reader.close()
    try await writer.close()
    return result
  }

  private static func serve(_ socket: PeerSocket, _ feed: Feed) async {
    guard let stream = try? await feed.replicate(.live) else { return }
    try? await socket.pump(stream)
  }
}
