internal import Hypercore
internal import HypercoreCrypto
internal import HypercoreProtocol
internal import RandomAccessStorage

/// Appends, reads, opening and memory of one feed.
enum FeedRows {
  static let all: [Row] =
    [
      Row("append.one.files", goal: 35_000, limit: "limit.sign") { settings in
        try await appendOne(settings, count: settings.scale(20_000), files: true)
      },
      Row("append.one.memory", goal: 45_000, limit: "limit.sign") { settings in
        try await appendOne(settings, count: settings.scale(20_000), files: false)
      },
      Row("append.batch.files", goal: 1_800_000, limit: "limit.blake2b_100") { settings in
        let batches = makeBlocks(1000, size: 100).chunked(1000)
        return try await appendBatches(
          settings, Array(repeating: batches[0], count: settings.scale(500)), unit: 1)
      },
      Row("append.large.files", goal: 700, unit: "MB/s", limit: "limit.blake2b_64k") { settings in
        let batch = makeBlocks(16, size: 65_536)
        return try await appendBatches(
          settings, Array(repeating: batch, count: settings.scale(200)), unit: 65_536 / 1e6)
      },
      Row("get.random.files", goal: 500_000) { settings in
        try await withFeed(settings.scale(200_000)) { feed, count in
          var order = Shuffler(1)
          let reads = settings.scale(200_000)
          return Double(reads)
            / (try await seconds {
              for _ in 0..<reads { _ = try await feed.get(UInt64(order.next(below: count))) }
            })
        }
      },
      Row("get.batch.files", goal: 5_000_000) { settings in
        try await withFeed(settings.scale(200_000)) { feed, count in
          let rounds = 5
          return Double(rounds * count)
            / (try await seconds {
              for _ in 0..<rounds {
                for start in stride(from: 0, to: count, by: 1000) {
                  let end = min(start + 1000, count)
                  _ = try await feed.get(UInt64(start)..<UInt64(end))
                }
              }
            })
        }
      },
      Row("proof", limit: nil) { settings in
        try await withFeed(settings.scale(200_000)) { feed, count in
          var order = Shuffler(2)
          let reads = settings.scale(100_000)
          return Double(reads)
            / (try await seconds {
              for _ in 0..<reads { _ = try await feed.proof(of: UInt64(order.next(below: count))) }
            })
        }
      },
      Row("verify", limit: "limit.blake2b_100") { settings in
        try await verify(settings)
      },
    ] + opening

  /// Blocks that a reader verifies against their proofs and stores, trusting the tree's upper part.
  private static func verify(_ settings: Settings) async throws -> Double {
    let count = settings.scale(100_000)
    let source = try await Feed.inMemory()
    let blocks = makeBlocks(count, size: 100)
    try await source.append(blocks)
    guard let key = source.key else { throw BenchFailure("no key") }
    let reader = try await Feed.inMemory(options: Feed.Options(key: key))
    var proofs: [Proof] = []
    for index in 0..<UInt64(count) {
      // The digest of a reader that goes from left to right.
      let digest: UInt64 = index == 0 ? 0 : 1
      proofs.append(try await source.proof(of: index, digest: index & 1 == 1 ? digest : 0))
    }
    return Double(count)
      / (try await seconds {
        for index in 0..<count {
          try await reader.put(UInt64(index), blocks[index], proof: proofs[index])
        }
      })
  }

  private static func appendOne(_ settings: Settings, count: Int, files: Bool) async throws
    -> Double
  {
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    let feed = try await open(settings, folder: files ? folder : nil)
    let count = settings.isSynced && files ? max(count / 50, 20) : count
    let blocks = makeBlocks(count, size: 100)
    for block in blocks.prefix(100) { try await feed.append(block) }
    let time = try await seconds { for block in blocks { try await feed.append(block) } }
    try await feed.close()
    return Double(count) / time
  }

  private static func appendBatches(_ settings: Settings, _ batches: [[[UInt8]]], unit: Double)
    async throws -> Double
  {
    let folder = Scratch.folder()
    defer { Scratch.remove(folder) }
    let feed = try await open(settings, folder: folder)
    let batches = settings.isSynced ? Array(batches.prefix(max(batches.count / 5, 10))) : batches
    try await feed.append(batches[0])
    let time = try await seconds { for batch in batches { try await feed.append(batch) } }
    try await feed.close()
    return Double(batches.count * batches[0].count) * unit / time
  }

  static func open(_ settings: Settings, folder: String?) async throws -> Feed {
    var options = Feed.Options()
    options.durability = settings.isSynced ? .synced : .buffered
    guard let folder else { return try await Feed.inMemory(options: options) }
    return try await Feed.open(folder: folder, options: options)
  }

  private static func withFeed(
    _ count: Int, _ body: (Feed, Int) async throws -> Double
  ) async throws -> Double {
    let folder = try await Fixture.feed(count, size: 100)
    let feed = try await Feed.open(folder: folder)
    for index in stride(from: 0, to: count, by: 997) { _ = try await feed.get(UInt64(index)) }
    let value = try await body(feed, count)
    try await feed.close()
    return value
  }

  // MARK: Opening

  private static let opening: [Row] =
    [(1_000_000, "1m"), (10_000_000, "10m")].map { count, name in
      Row("feed.open.\(name)", unit: "ms", isHeavy: count > 1_000_000) { settings in
        let folder = try await Fixture.feed(settings.scale(count), size: 10)
        return try await seconds {
          let feed = try await Feed.open(folder: folder)
          _ = try await feed.get(await feed.length - 1)
          try await feed.close()
        } * 1e3
      }
    } + [
      Row("feed.memory.1m", unit: "MB") { settings in
        let count = settings.scale(1_000_000)
        let folder = try await Fixture.feed(count, size: 10)
        // In a process of its own, which has used no memory for anything else.
        let child = try Child(["peer", "read-feed", folder])
        defer { child.end() }
        let told = try child.expect("bytes")
        return ((told["bytes"] as? Double) ?? 0) / 1e6 * 1e6 / Double(count)
      },
      // The memory that a million appends leave in use, and the peak on the way.
      Row(group: "append.memory.1m") { settings in
        let count = settings.scale(1_000_000)
        let folder = Scratch.folder()
        defer { Scratch.remove(folder) }
        let child = try Child(["peer", "append-feed", folder, "\(count)"])
        defer { child.end() }
        return Memory.samples("append.memory", try child.expect("peak"))
      },
    ]
}

extension Array {
  func chunked(_ size: Int) -> [[Element]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
  }
}

/// Feeds in files that several rows read.
actor Fixture {
  private static let shared = Fixture()
  private var folders: [String: String] = [:]

  static func feed(_ count: Int, size: Int) async throws -> String {
    try await shared.feed(count, size)
  }

  private func feed(_ count: Int, _ size: Int) async throws -> String {
    if let folder = folders["\(count) \(size)"] { return folder }
    let folder = Scratch.folder()
    folders["\(count) \(size)"] = folder
    let feed = try await Feed.open(folder: folder)
    let perBatch = size > 10_000 ? 64 : 5000
    for start in stride(from: 0, to: count, by: perBatch) {
      try await feed.append(makeBlocks(min(perBatch, count - start), size: size, from: start))
    }
    try await feed.close()
    return folder
  }
}
