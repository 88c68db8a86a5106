internal import DatFleet
internal import HyperDB
internal import Hypercore
internal import HypercoreCrypto
internal import Hyperdrive
internal import Saga

/// Questions of a fleet's members about the blocks that are here, and answers.
extension HostedReplica {
  /// One feed of the replica.
  private struct Part: Sendable {
    enum Source: Sendable {
      case feed(Feed)
      case writer(WriterFeed)
    }

    let key: PublicKey
    let length: UInt64
    let stored: UInt64
    let source: Source

    func stored(below length: UInt64) async -> UInt64 {
      switch source {
      case .feed(let feed): await feed.downloaded(in: 0..<length)
      case .writer(let feed): await feed.downloaded(in: 0..<length)
      }
    }

    func has(_ index: UInt64) async -> Bool {
      guard index < .max else { return false }
      return switch source {
      case .feed(let feed): await feed.has(index..<index + 1)
      case .writer(let feed): await feed.has(index..<index + 1)
      }
    }

    func block(_ index: UInt64) async throws -> [UInt8] {
      let options = Feed.GetOptions(wait: false)
      return switch source {
      case .feed(let feed): try await feed.get(index, options: options)
      case .writer(let feed): try await feed.get(index, options: options)
      }
    }

    func proof(_ index: UInt64) async throws -> Proof {
      switch source {
      case .feed(let feed): try await feed.proof(of: index)
      case .writer(let feed): try await feed.proof(of: index)
      }
    }
  }

  /// Random blocks that are here, each verified, and how much of each feed is.
  struct Sample: Sendable {
    var feeds: [FleetFeed] = []
    var blocks: [FleetQuestion.Block] = []
    /// The bytes of ``blocks``.
    var bytes: [[UInt8]] = []
  }

  /// Returns random blocks to ask another host for.
  ///
  /// Each is read, and verified by its proof and the signature of its feed's key, as if it came from a stranger: a block
  /// that the disk has changed proves nothing of another host.
  ///
  /// - Throws: the error of a block that can't be read, or is not the one that was signed.
  func sample() async throws -> Sample {
    let parts = try await parts(isAuthorized: true).filter { $0.length > 0 }
      .prefix(FleetQuestion.maximumFeeds)
    var sample = Sample()
    sample.feeds = parts.map {
      FleetFeed(feed: $0.key.discoveryKey, length: $0.length, stored: min($0.stored, $0.length))
    }
    let total = parts.reduce(0) { Self.sum($0, $1.stored) }
    var chosen: Set<FleetQuestion.Block> = []
    for _ in 0..<4 * FleetQuestion.maximumBlocks where total > 0 {
      guard chosen.count < FleetQuestion.maximumBlocks else { break }
      // A feed is chosen by the number of its blocks.
      var place = UInt64.random(in: 0..<total)
      guard
        let number = parts.indices.first(where: { number in
          if place < parts[number].stored { return true }
          place -= parts[number].stored
          return false
        })
      else { continue }
      guard let index = await Self.randomBlock(of: parts[number]) else { continue }
      let block = FleetQuestion.Block(feed: number, index: index)
      guard chosen.insert(block).inserted else { continue }
      sample.blocks.append(block)
      sample.bytes.append(try await Self.verified(parts[number], index))
    }
    return sample
  }

  private static func sum(_ one: UInt64, _ other: UInt64) -> UInt64 {
    let (sum, overflow) = one.addingReportingOverflow(other)
    return overflow ? .max : sum
  }

  /// Returns a random block that is here; nil if chance found none in a few tries.
  private static func randomBlock(of part: Part) async -> UInt64? {
    for _ in 0..<64 {
      let index = UInt64.random(in: 0..<part.length)
      if await part.has(index) { return index }
    }
    return nil
  }

  private static func verified(_ part: Part, _ index: UInt64) async throws -> [UInt8] {
    let block = try await part.block(index)
    let proof = try await part.proof(index)
    let judge = try await Feed.inMemory(options: Feed.Options(key: part.key, sparse: true))
    try await judge.put(index, block, proof: proof)
    try await judge.close()
    return block
  }

  /// Answers a question of another member: whether as much is here as there, with a proof from the blocks that it
  /// asks for.
  func answer(_ question: FleetQuestion) async -> FleetAnswer {
    guard let parts = try? await parts(isAuthorized: false), await isSettled else {
      return .incomplete
    }
    var own: [DiscoveryKey: Part] = [:]
    for part in parts { own[part.key.discoveryKey] = part }
    for feed in question.feeds where feed.length > 0 {
      guard let part = own[feed.feed], part.length >= feed.length,
        await part.stored(below: feed.length) >= feed.stored
      else { return .incomplete }
    }
    var blocks: [[UInt8]] = []
    for block in question.blocks {
      guard question.feeds.indices.contains(block.feed),
        let part = own[question.feeds[block.feed].feed], await part.has(block.index),
        let bytes = try? await part.block(block.index)
      else { return .incomplete }
      blocks.append(bytes)
    }
    return .proved(question.proof(of: blocks))
  }

  /// True if nothing is known to be missing that this host is to have.
  private var isSettled: Bool {
    get async {
      guard case .archive(let archive) = content else { return true }
      return await archive.isComplete
    }
  }

  /// Returns the feeds of the replica.
  ///
  /// - Parameter isAuthorized: true for those alone that others have as well, as readers of a database do.
  /// - Throws: ``HostError`` with `closed` if it is not open.
  private func parts(isAuthorized: Bool) async throws -> [Part] {
    switch content {
    case .closed: throw HostError(.closed, failure ?? "The replica is being opened or closed.")
    // Nothing of it is stored.
    case .probe: return []
    case .feed(let feed): return [await Self.part(feed, key)]
    case .archive(let archive):
      var parts = [await Self.part(archive.metadata, key)]
      if let content = await archive.content, let key = content.key {
        parts.append(await Self.part(content, key))
      }
      return parts
    case .database(let database): return await Self.parts(database, isAuthorized)
    case .room(let saga): return await Self.parts(saga.db, isAuthorized)
    }
  }

  private static func part(_ feed: Feed, _ key: PublicKey) async -> Part {
    Part(
      key: key, length: await feed.length, stored: await feed.downloaded(), source: .feed(feed))
  }

  private static func parts(_ database: HyperDB, _ isAuthorized: Bool) async -> [Part] {
    var parts: [Part] = []
    for feed in await database.feeds where feed.isAuthorized || !isAuthorized {
      if let writer = await database.feed(of: feed.key) {
        parts.append(
          Part(
            key: feed.key, length: feed.length, stored: feed.storedLength, source: .writer(writer)))
      }
      if let content = await database.contentFeed(of: feed.key), let key = content.key {
        parts.append(await part(content, key))
      }
    }
    return parts
  }
}
