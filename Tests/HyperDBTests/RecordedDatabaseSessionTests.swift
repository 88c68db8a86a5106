import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

/// Recorded replications of databases, with this implementation at either end.
@Suite(.timeLimit(.minutes(1))) struct RecordedDatabaseSessionTests {
  /// The data of the files besides the bytes.
  struct Recording: Decodable, Sendable {
    let local: [String: String]?
    let events: [Event]?
    let final: [String: String]?

    struct Event: Decodable, Sendable {}

    init(_ name: String) throws { self = try Fixtures.json("sessions/\(name).json") }
  }

  /// The sessions about a database, apart from those about a room.
  static let names: [String] = ((try? RecordedSession.names()) ?? []).filter { name in
    guard let recording = try? Recording(name) else { return false }
    return recording.local != nil && recording.events == nil
  }

  @Test(arguments: names, RecordedSession.Side.allCases)
  func `in the place of either end a recorded session ends with the recorded data`(
    name: String, side: RecordedSession.Side
  ) async throws {
    let recording = try Recording(name)
    let session = try RecordedSession(name)
    let local = try #require(recording.local?[side.rawValue])
    let known = try knownBlocks(of: session)
    let storage = MemoryStorage()

    // What this end had before the recording began.
    var expected: [PublicKey: Int] = [:]
    for pair in session.keyPairs {
      let blocks = known[pair.publicKey] ?? []
      let isOwn = pair.publicKey.hex == local
      let feed = pair.publicKey.discoveryKey
      let received = session.messages(of: side.other, about: feed).compactMap { message in
        if case .data(let data) = message, data.value != nil { Int(data.index) } else { nil }
      }
      let count =
        isOwn
        ? length(offered: session.messages(of: side, about: feed))
        : received.min() ?? blocks.count
      expected[pair.publicKey] = isOwn ? count : max(count, (received.max() ?? -1) + 1)
      let prefix =
        pair.publicKey == session.key
        ? "source/" : isOwn ? "local/" : "peers/\(feed.hex)/"
      guard count > 0 else { continue }
      let core = try FeedCore.open(
        in: storage, prefix: prefix,
        options: FeedOptions(
          key: pair.publicKey, secretKey: pair.secretKey, storeSecretKey: isOwn, holdsLock: true))
      for block in blocks.prefix(count) { _ = try core.append([block]) }
      try core.close()
    }

    let db = try await HyperDB.open(storage, key: session.key)
    #expect(db.localKey.hex == local)
    let peer = try RecordedPeer(session, playing: side.other)
    try await peer.replay(with: db.replicate())
    #expect(peer.isSatisfied, "the recorded end still has to say \(peer.waitingToSay)")

    let feeds = await db.feeds
    for (key, count) in expected {
      #expect(feeds.first { $0.key == key }?.length == UInt64(count), "\(key)")
    }
    for (key, value) in recording.final ?? [:] {
      let values = try await db.get(key, as: DatabaseEncoding<String>.json())
      #expect(values == [value], "\(key)")
    }
    await db.close()
    // And on disk: the very same blocks.
    for (key, count) in expected where count > 0 {
      let feed = key.discoveryKey.hex
      let prefix =
        key == session.key ? "source/" : key.hex == local ? "local/" : "peers/\(feed)/"
      let core = try FeedCore.open(
        in: storage, prefix: prefix, options: FeedOptions(key: key, holdsLock: true))
      let blocks = try core.blocks(in: 0..<UInt64(count))
      #expect(blocks == Array((known[key] ?? []).prefix(count)))
    }
  }

  /// Returns the blocks of each feed, from every recording of the same database.
  private func knownBlocks(of session: RecordedSession) throws -> [PublicKey: [[UInt8]]] {
    var known: [PublicKey: [UInt64: [UInt8]]] = [:]
    for name in Self.names {
      let other = try RecordedSession(name)
      guard other.key == session.key else { continue }
      for pair in other.keyPairs {
        let blocks = other.blocks(of: pair.publicKey.discoveryKey)
        known[pair.publicKey, default: [:]].merge(blocks) { one, _ in one }
      }
    }
    return known.mapValues { blocks in
      (0..<UInt64(blocks.count)).compactMap { blocks[$0] }
    }
  }

  /// Returns the length of a feed that an end offered: its first plain Have is the last block.
  private func length(offered messages: [Message]) -> Int {
    for case .have(let start, let length, nil, _) in messages { return Int(start + length) }
    return 0
  }
}
