public import Hypercore
public import HypercoreCrypto

/// One feed of a database, as a feed: what it is made of, rather than the entries in it.
///
/// It is a view on the feed that the database has open, without a copy of anything. The database appends to it,
/// closes it and decides with which peers it is replicated.
///
/// ```swift
/// for feed in await db.feeds {
///   let blocks = await db.feed(of: feed.key)
///   print(feed.key, await blocks?.downloaded() ?? 0, "blocks of", await blocks?.length ?? 0)
/// }
/// ```
///
/// Stands for an element of hyperdb `feeds`.
public struct WriterFeed: Sendable {
  /// The feed's key, which names its writer in every replica.
  public let key: PublicKey
  private let feed: Feed
  private let db: HyperDB

  init(_ feed: Feed, key: PublicKey, of db: HyperDB) {
    self.feed = feed
    self.key = key
    self.db = db
  }

  /// The name under which the feed is announced on connections.
  public var discoveryKey: DiscoveryKey { key.discoveryKey }

  /// The number of blocks that the feed is known to have, stored here or not, header included. Stands for
  /// hypercore `length`.
  public var length: UInt64 { get async { await feed.length } }

  /// The total size of these blocks in bytes. Stands for hypercore `byteLength`.
  public var byteLength: UInt64 { get async { await feed.byteLength } }

  /// Returns whether all blocks of a range are here. Stands for hypercore `has(start, end)`.
  public func has(_ range: Range<UInt64>) async -> Bool { await feed.has(range) }

  /// Returns the number of blocks of a range, or of the whole feed, that are here. Stands for hypercore
  /// `downloaded(start, end)`.
  public func downloaded(in range: Range<UInt64>? = nil) async -> UInt64 {
    await feed.downloaded(in: range)
  }

  /// Returns a block as it is stored: the header, or the bytes of an entry.
  ///
  /// - Throws: `FeedError`, as `get` of `Feed`.
  ///
  /// Stands for hypercore `get(index)`.
  public func get(
    _ index: UInt64, options: Feed.GetOptions = Feed.GetOptions()
  ) async throws -> [UInt8] {
    try await feed.get(index, options: options)
  }

  /// Downloads a range and returns when all of it is here, as `download` of `Feed` does.
  ///
  /// - Throws: `FeedError` with `timeout`, `cancelled` or `closed`.
  ///
  /// Stands for hypercore `download(range, callback)`.
  public func download(
    _ range: DownloadRange = DownloadRange(), timeout: Duration? = nil
  ) async throws {
    try await feed.download(range, timeout: timeout)
  }

  /// Fails everything that waits for a block of `range`, and cancels downloads inside it. Stands for hypercore
  /// `cancel(start, end)`.
  public func cancel(_ range: Range<UInt64>) async throws { try await feed.cancel(range) }

  /// Removes the blocks of a range from the storage, except the header. They are fetched again when a read or a
  /// download needs them.
  ///
  /// - Throws: ``HyperDBError`` with `notSparse` unless the database was opened with ``HyperDB/Options/sparse``;
  ///   with `ownFeed` for the feed that is written here, whose next entries build on these. Nothing is removed
  ///   in either case. `FeedError` if the storage fails.
  ///
  /// Stands for hypercore `clear(start, end)`.
  public func clear(_ range: Range<UInt64>) async throws {
    guard key != db.localKey else {
      throw HyperDBError(
        .ownFeed,
        "Feed \(key) is written here, and its next entries build on its blocks: none was given up.")
    }
    guard db.options.sparse else {
      throw HyperDBError(
        .notSparse,
        "Blocks can be given up in a sparse database alone: this one reads what is here and fetches all. Open it "
          + "with `sparse`.")
    }
    guard range.upperBound > 1 else { return }
    try await feed.clear(max(range.lowerBound, 1)..<range.upperBound)
  }

  /// Returns the proof of a block, as `proof(of:)` of `Feed` does.
  package func proof(of index: UInt64) async throws -> Proof { try await feed.proof(of: index) }

  /// Hashes every block that is recorded as stored. Those that are missing, or don't match, count as not stored
  /// while the database is open, so that peers can bring them.
  ///
  /// Stands for hypercore `audit()`.
  public func audit() async throws -> AuditReport { try await feed.audit() }

  /// The feed's events from now on, `ready` first and `close` last.
  ///
  /// Stands for hypercore `on(event)`.
  public func events() -> FeedEvents { feed.events() }

  /// The amounts exchanged, in total and with each peer that is connected now. Stands for hypercore `stats`.
  public var statistics: FeedStatistics { get async { await feed.statistics } }

  /// The peers that replicate this feed now. Stands for hypercore `peers`.
  public var peers: [FeedPeerStatus] { get async { await feed.peers } }

  /// The reason why downloading is paused; nil if it isn't. hypercore has no such call.
  public var downloadPause: DownloadPause? { get async { await feed.downloadPause } }
}

extension HyperDB {
  /// Returns one of the database's feeds as a feed, with its blocks, peers and events.
  ///
  /// - Parameter writer: the feed's key, as ``feeds``, nodes and ``localKey`` have it.
  /// - Returns: nil if no feed of the database has that key, or nothing of it is here.
  public func feed(of writer: PublicKey) -> WriterFeed? {
    guard !isClosed, core.number(of: writer) != nil, let log = feedSet.logs[writer] else {
      return nil
    }
    if let known = views[writer] { return WriterFeed(known, key: writer, of: self) }
    let listen = log.replicator.onEvent
    // Wrapping sets a listener, beside the database's own.
    let feed = Feed.wrapping(OnReplica(log.replicator, on: replica))
    let follow = log.replicator.onEvent
    log.replicator.onEvent = { event in
      listen?(event)
      follow?(event)
    }
    views[writer] = feed
    return WriterFeed(feed, key: writer, of: self)
  }
}
