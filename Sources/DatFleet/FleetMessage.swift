package import HypercoreCrypto

/// The part of a feed that the asking host has; the question is whether the other one has as much.
package struct FleetFeed: Hashable, Sendable {
  /// The feed's discovery key.
  package let feed: DiscoveryKey
  /// Its length in blocks, as far as the asking host knows.
  package let length: UInt64
  /// The number of its blocks that the asking host has.
  package let stored: UInt64

  /// Makes the part of a feed.
  package init(feed: DiscoveryKey, length: UInt64, stored: UInt64) {
    self.feed = feed
    self.length = length
    self.stored = stored
  }
}

/// A question that only a host with a key's blocks can answer.
package struct FleetQuestion: Hashable, Sendable {
  /// A block of one of the feeds.
  package struct Block: Hashable, Sendable {
    /// The index of the feed in ``FleetQuestion/feeds``.
    package let feed: Int
    /// The block's index.
    package let index: UInt64

    /// Makes a block of one of the feeds.
    package init(feed: Int, index: UInt64) {
      self.feed = feed
      self.index = index
    }
  }

  /// The number that the answer repeats.
  package var id: UInt32
  /// The hosted key.
  package var key: DiscoveryKey
  /// 32 random bytes, so that no answer can be computed in advance.
  package var nonce: [UInt8]
  /// The feeds of the key, as far as the asking host has them.
  package var feeds: [FleetFeed]
  /// Random blocks that the asking host has.
  package var blocks: [Block]

  /// The most feeds: those of a full database, with their content feeds.
  package static let maximumFeeds = 512
  /// The most blocks that are asked for at a time. Each is read from the disk, 8 MiB at most.
  package static let maximumBlocks = 8

  /// Makes a question.
  package init(
    id: UInt32, key: DiscoveryKey, nonce: [UInt8], feeds: [FleetFeed], blocks: [Block]
  ) {
    self.id = id
    self.key = key
    self.nonce = nonce
    self.feeds = feeds
    self.blocks = blocks
  }

  /// Returns the proof that a host has these blocks: BLAKE2b-256 over their lengths and bytes, with the question's
  /// nonce as its key.
  ///
  /// - Parameter blocks: those asked for, in their order.
  package func proof(of blocks: [[UInt8]]) -> [UInt8] {
    var parts: [[UInt8]] = []
    for block in blocks {
      parts.append(bigEndian(UInt64(block.count)))
      parts.append(block)
    }
    return KeyedHash.hash(parts, key: nonce)
  }
}

/// An answer to a ``FleetQuestion``.
package enum FleetAnswer: Hashable, Sendable {
  /// The host does not own the key in its own view, or does not know it.
  case unknown
  /// It owns the key, and lacks something.
  case incomplete
  /// It has as much as the asking host, and gives ``FleetQuestion/proof(of:)``.
  case proved([UInt8])
}

/// A message between two members of a fleet.
package enum FleetMessage: Hashable, Sendable {
  /// The first message on a connection: the sender's name, of which 255 bytes are sent.
  case member(String)
  case question(FleetQuestion)
  case answer(id: UInt32, FleetAnswer)
  /// The digests of the 256 parts of the sender's list of keys. They ask for the entries of all parts that differ,
  /// which the other side sends, and a message without entries after them.
  case digests([UInt64])
  /// Entries of the list of keys; none ends the answer to ``digests(_:)``.
  case entries([FleetEntry])
  /// The sender's list has changed by more than it sends unasked: ask it with ``digests(_:)``.
  case changed

  /// The most entries of a message: 41 bytes each, within the 8 MiB that a message may have.
  package static let maximumEntries = 100_000
}

/// Returns a number as eight bytes, the highest first.
func bigEndian(_ number: UInt64) -> [UInt8] {
  withUnsafeBytes(of: number.bigEndian) { Array($0) }
}

// MARK: Bytes

extension FleetMessage {
  /// The message as bytes.
  package var encoded: [UInt8] {
    switch self {
    case .member(let name): return [1] + name.utf8.prefix(255)
    case .question(let question): return [2] + Self.encode(question)
    case .answer(let id, let answer):
      let body: [UInt8] =
        switch answer {
        case .unknown: [0]
        case .incomplete: [1]
        case .proved(let proof): [2] + proof
        }
      return [3] + bigEndian(UInt64(id)) + body
    case .digests(let digests): return [4] + digests.flatMap(bigEndian)
    case .entries(let entries):
      var bytes: [UInt8] = [5]
      bytes.reserveCapacity(1 + entries.count * FleetEntry.byteCount)
      for entry in entries { entry.encode(into: &bytes) }
      return bytes
    case .changed: return [6]
    }
  }

  private static func encode(_ question: FleetQuestion) -> [UInt8] {
    var bytes = bigEndian(UInt64(question.id)) + question.key.bytes + question.nonce
    bytes += bigEndian(UInt64(question.feeds.count))
    for feed in question.feeds {
      bytes += feed.feed.bytes + bigEndian(feed.length) + bigEndian(feed.stored)
    }
    for block in question.blocks {
      bytes += bigEndian(UInt64(block.feed)) + bigEndian(block.index)
    }
    return bytes
  }

  /// Reads a message.
  ///
  /// - Returns: nil if any part of it is wrong: a message is used as a whole or not at all.
  package init?(decoding bytes: [UInt8]) {
    guard let type = bytes.first else { return nil }
    var reader = FleetReader(bytes: bytes.dropFirst())
    switch type {
    case 1:
      guard (1...255).contains(reader.bytes.count),
        let name = String(validating: reader.bytes, as: UTF8.self)
      else { return nil }
      self = .member(name)
    case 2:
      guard let question = reader.question() else { return nil }
      self = .question(question)
    case 3:
      guard let id = reader.number(), let id = UInt32(exactly: id), let status = reader.take(1)
      else { return nil }
      switch (status, reader.bytes.count) {
      case ([0], 0): self = .answer(id: id, .unknown)
      case ([1], 0): self = .answer(id: id, .incomplete)
      case ([2], 32): self = .answer(id: id, .proved(Array(reader.bytes)))
      default: return nil
      }
    case 4:
      guard reader.bytes.count == 256 * 8 else { return nil }
      self = .digests((0..<256).compactMap { _ in reader.number() })
    case 5:
      let count = reader.bytes.count / FleetEntry.byteCount
      guard reader.bytes.count == count * FleetEntry.byteCount, count <= Self.maximumEntries
      else { return nil }
      var entries: [FleetEntry] = []
      for _ in 0..<count {
        guard let part = reader.take(FleetEntry.byteCount), let entry = FleetEntry(decoding: part)
        else { return nil }
        entries.append(entry)
      }
      self = .entries(entries)
    case 6:
      guard reader.bytes.isEmpty else { return nil }
      self = .changed
    default: return nil
    }
  }
}

/// Reads a message from its start to its end.
struct FleetReader {
  var bytes: ArraySlice<UInt8>

  mutating func take(_ count: Int) -> [UInt8]? {
    guard count <= bytes.count else { return nil }
    defer { bytes = bytes.dropFirst(count) }
    return Array(bytes.prefix(count))
  }

  mutating func number() -> UInt64? {
    take(8)?.reduce(0) { $0 << 8 | UInt64($1) }
  }

  mutating func question() -> FleetQuestion? {
    guard let id = number(), let id = UInt32(exactly: id),
      let key = take(32).flatMap({ DiscoveryKey(bytes: $0) }), let nonce = take(32),
      let count = number(), count <= UInt64(FleetQuestion.maximumFeeds)
    else { return nil }
    var feeds: [FleetFeed] = []
    for _ in 0..<count {
      guard let feed = take(32).flatMap({ DiscoveryKey(bytes: $0) }), let length = number(),
        let stored = number(), stored <= length
      else { return nil }
      feeds.append(FleetFeed(feed: feed, length: length, stored: stored))
    }
    guard bytes.count % 16 == 0, bytes.count / 16 <= FleetQuestion.maximumBlocks else {
      return nil
    }
    var blocks: [FleetQuestion.Block] = []
    while let place = number(), let index = number() {
      guard place < UInt64(feeds.count) else { return nil }
      blocks.append(FleetQuestion.Block(feed: Int(place), index: index))
    }
    return FleetQuestion(id: id, key: key, nonce: nonce, feeds: feeds, blocks: blocks)
  }
}
