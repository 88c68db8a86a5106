internal import DatSwarm
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// Feeds over TCP on the loopback interface, between two processes.
enum ReplicationRows {
  static let all: [Row] =
    [
      Row("replicate.small", goal: 400_000, unit: "/s", limit: "limit.blake2b_100") { settings in
        let count = settings.scale(200_000)
        let folder = try await Fixture.feed(count, size: 100)
        return try await fetch(folder, count: count, toFiles: false, settings).rate
      },
      Row("replicate.large", goal: 550, unit: "MB/s", limit: "limit.blake2b_64k") { settings in
        let count = settings.scale(4096)
        let folder = try await Fixture.feed(count, size: 65_536)
        return try await fetch(folder, count: count, toFiles: true, settings).rate * 65_536 / 1e6
      },
      Row(group: "replicate.memory.1m") { settings in
        let count = settings.scale(1_000_000)
        let folder = try await Fixture.feed(count, size: 10)
        return Memory.samples(
          "replicate.memory",
          try await fetch(
            folder, count: count, toFiles: true, settings, watchingMemory: true
          ).told)
      },
      Row("live.feed", unit: "ms") { settings in try await live(settings.scale(1000)) },
    ]
    + [1, 2, 4, 8, 16].map { peers in
      Row("replicate.peers.\(peers)") { settings in
        let count = settings.scale(100_000)
        let folder = try await Fixture.feed(count, size: 100)
        return try await fetch(folder, count: count, toFiles: false, peers: peers, settings).rate
      }
    }

  /// The blocks per second, from the connection to the last block, and what else the reader
  /// reports.
  static func fetch(
    _ source: String, count: Int, toFiles: Bool, peers: Int = 1, _ settings: Settings,
    watchingMemory: Bool = false, roundTrip: Int = 0
  ) async throws -> (rate: Double, told: [String: Any]) {
    let server = try Child(["peer", "serve-feed", source])
    defer { server.end() }
    let told = try server.expect("port")
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    let reader = try Child([
      "peer", "fetch-feed", toFiles ? folder : "memory", told["key"] as? String ?? "",
      "\(told["port"] ?? 0)", "\(count)", "\(peers)", settings.isSynced ? "synced" : "buffered",
      watchingMemory ? "\(count / 10)" : "0", "\(roundTrip)",
    ])
    defer { reader.end() }
    let result = try reader.expect("seconds")
    return (Double(count) / (result["seconds"] as? Double ?? .nan), result)
  }

  /// The time from an append to the reader's having the block, in one process; the median in
  /// milliseconds.
  private static func live(_ count: Int) async throws -> Double {
    let writer = try await Feed.inMemory()
    guard let key = writer.key else { throw BenchFailure("no key") }
    let reader = try await Feed.inMemory(options: Feed.Options(key: key))
    let listener = try await TCPListener(host: "127.0.0.1")
    let serving = Task { await listener.run { await serve($0, writer) } }
    let dialing = Task {
      await serve(try await TCPDialer.connect(to: listener.address), reader)
    }
    try await writer.append([0])
    _ = try await reader.get(0)
    var times: [Double] = []
    for number in 1...count {
      let waiting = Task { try await reader.get(UInt64(number)) }
      try await Task.sleep(for: .milliseconds(1))
      let start = ContinuousClock.now
      try await writer.append([UInt8](repeating: 1, count: 100))
      _ = try await waiting.value
      times.append((ContinuousClock.now - start).seconds)
    }
    serving.cancel()
    dialing.cancel()
    try await reader.close()
    try await writer.close()
    return times.median * 1e3
  }

  static func serve(_ socket: PeerSocket, _ feed: Feed, roundTrip: Int = 0) async {
    guard let stream = try? await feed.replicate(.live) else { return }
    try? await socket.pump(DistantStream.far(stream, roundTrip: roundTrip))
  }
}

/// The work of this tool as the other side.
enum Peer {
  static func run(_ arguments: [String]) async throws {
    guard let role = arguments.first else { throw BenchFailure("peer needs a role") }
    let rest = Array(arguments.dropFirst())
    switch role {
    case "serve-feed": try await serveFeed(rest[0])
    case "fetch-feed": try await fetchFeed(rest)
    case "read-feed": try await readFeed(rest[0])
    case "append-feed": try await appendFeed(rest)
    case "serve-room": try await RoomPeer.serve(rest)
    case "join-room": try await RoomPeer.join(rest)
    case "webrtc": try await BrowserPeer.carry(rest)
    case "webrtc-idle": try await BrowserPeer.idle(rest)
    case "walk-database": try await DatabaseMemoryRows.walk(rest)
    default: try await ArchivePeer.run(role, rest)
    }
  }

  private static func serveFeed(_ folder: String) async throws {
    let feed = try await Feed.open(folder: folder, access: .readOnly)
    let listener = try await TCPListener(host: "127.0.0.1")
    let serving = Task {
      await listener.run { await ReplicationRows.serve($0, feed) }
    }
    say(["port": listener.address.port, "key": feed.key?.hex ?? ""])
    await untilInputEnds()
    serving.cancel()
  }

  private static func fetchFeed(_ rest: [String]) async throws {
    guard rest.count == 8, let key = PublicKey(hex: rest[1]), let port = Int(rest[2]),
      let count = UInt64(rest[3]), let peers = Int(rest[4]), let first = UInt64(rest[6]),
      let roundTrip = Int(rest[7])
    else { throw BenchFailure("fetch-feed folder key port count peers durability first roundtrip") }
    var options = Feed.Options(key: key, sparse: true)
    options.durability = rest[5] == "synced" ? .synced : .buffered
    let feed =
      rest[0] == "memory"
      ? try await Feed.inMemory(options: options)
      : try await Feed.open(folder: rest[0], options: options)
    let address = PeerAddress(host: "127.0.0.1", port: port)
    var early = 0
    let time = try await seconds {
      for _ in 0..<peers {
        Task {
          await ReplicationRows.serve(
            try await TCPDialer.connect(to: address), feed, roundTrip: roundTrip)
        }
      }
      if first > 0 {
        try await feed.download(DownloadRange(0..<first))
        early = Memory.resident
      }
      try await feed.download(DownloadRange(0..<count))
      if rest[0] != "memory" { try await feed.flush() }
    }
    say([
      "seconds": time, "peak": Double(Memory.peak), "growth": Double(Memory.resident - early),
    ])
    await untilInputEnds()
  }

  private static func appendFeed(_ rest: [String]) async throws {
    guard rest.count == 2, let count = Int(rest[1]) else {
      throw BenchFailure("append-feed folder count")
    }
    let feed = try await Feed.open(folder: rest[0])
    var early = 0
    for start in stride(from: 0, to: count, by: 1000) {
      try await feed.append(makeBlocks(min(1000, count - start), size: 100, from: start))
      if start <= count / 10 { early = Memory.resident }
    }
    say(["peak": Double(Memory.peak), "growth": Double(Memory.resident - early)])
    try await feed.close()
    await untilInputEnds()
  }

  /// The memory of a feed whose blocks were all read once.
  private static func readFeed(_ folder: String) async throws {
    let before = Memory.resident
    let feed = try await Feed.open(folder: folder)
    let length = await feed.length
    for start in stride(from: 0, to: length, by: 1000) {
      _ = try await feed.get(start..<min(start + 1000, length))
    }
    say(["bytes": Double(max(Memory.resident - before, 0))])
    await untilInputEnds()
  }
}
