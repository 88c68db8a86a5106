internal import DatTesting
internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// Appending, reading and putting, in files.
enum FeedCosts {
  static let all: [CostRow] = [
    CostRow("append.one") { try await append(.buffered, batches: 1000, of: 1) },
    CostRow("append.one.synced") { try await append(.synced, batches: 50, of: 1) },
    CostRow("append.batch") { try await append(.buffered, batches: 20, of: 100) },
    CostRow("get") {
      try await withFeed(2000) { feed in
        for index in 0..<2000 { _ = try await feed.get(UInt64(index)) }
        return try await cost(of: 1000) {
          for round in 0..<1000 { _ = try await feed.get(UInt64(round * 1009 % 2000)) }
        }
      }
    },
    CostRow("get.batch") {
      try await withFeed(2000) { feed in
        _ = try await feed.get(0..<1000)
        return try await cost(of: 1000) { _ = try await feed.get(1000..<2000) }
      }
    },
    CostRow("put.block") { try await put() },
  ]

  private static func append(_ durability: Durability, batches: Int, of size: Int) async throws
    -> Cost
  {
    let folder = try TemporaryFolder()
    var options = Feed.Options()
    options.durability = durability
    let feed = try await Feed.open(folder: folder.path, options: options)
    let all = blocks(size)
    for _ in 0..<batches { try await feed.append(all) }
    let result = try await cost(of: batches * size) {
      for _ in 0..<batches { try await feed.append(all) }
    }
    try await feed.close()
    return result
  }

  private static func withFeed(_ count: Int, _ body: (Feed) async throws -> Cost) async throws
    -> Cost
  {
    let folder = try TemporaryFolder()
    let feed = try await Feed.open(folder: folder.path)
    try await feed.append(blocks(count))
    let result = try await body(feed)
    try await feed.close()
    return result
  }

  /// Verified and stored from left to right, each with the one node that is missing then.
  private static func put() async throws -> Cost {
    let source = try await Feed.inMemory()
    let all = blocks(1000)
    try await source.append(all)
    let folder = try TemporaryFolder()
    guard let key = source.key else { throw CostFailure("the feed has no key") }
    let reader = try await Feed.open(folder: folder.path, options: Feed.Options(key: key))
    var proofs: [Proof] = []
    for index in 0..<UInt64(all.count) {
      proofs.append(try await source.proof(of: index, digest: index & 1))
    }
    func put(_ range: Range<Int>) async throws {
      for index in range {
        try await reader.put(UInt64(index), all[index], proof: proofs[index])
      }
    }
    try await put(0..<500)
    let result = try await cost(of: 500) { try await put(500..<1000) }
    try await reader.close()
    return result
  }
}
