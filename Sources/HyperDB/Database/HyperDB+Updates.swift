public import Hypercore
public import HypercoreCrypto

/// An event of a database, for a follower that receives every entry once.
@nonexhaustive
public enum DatabaseUpdate: Sendable {
  /// New entries: those of one feed in order, the feeds in no order.
  case entries([DatabaseNode])
  /// Everything that was stored when the sequence began has been delivered.
  case caughtUp
  /// This replica's own feed has been authorized.
  case authorized
  /// Peers have fetched the local feed up to and including this block.
  case uploaded(seq: UInt64)
  /// The key of a feed has signed two histories. Nothing more of the second is accepted, and if it is the feed
  /// that is written here, writing has ended. Delivered once a feed, also for a fork found before.
  case forked(ForkEvidence)
  /// A peer has what was missing of the feed that is written here: writing is possible again.
  case restored
  /// A feed has lost its place to others: the entries of it that were delivered are no longer part of the database.
  /// If it comes back, they are delivered again.
  case left(PublicKey)
  /// An entry can't be read, and is left out.
  case issue(HyperDBError)
}

/// Every entry of a database, once each: first the entries that are here, then new ones.
///
/// The cost is that of the new entries, whatever the order in which feeds arrive. However slow a reader is,
/// only its position in each feed is kept, and released with the sequence. A sparse database delivers the
/// entries that are here, in the order in which they came. One task should read it: iterating again
/// continues after what was delivered.
public struct DatabaseUpdates: AsyncSequence, Sendable {
  public typealias Element = DatabaseUpdate

  let db: HyperDB
  let reader: UpdateReader

  public func makeAsyncIterator() -> Iterator { Iterator(db: db, reader: reader) }

  /// An iterator that waits for one update after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let db: HyperDB
    let reader: UpdateReader

    /// Returns the next update; nil once the database is closed, or if the task is cancelled.
    public mutating func next() async -> DatabaseUpdate? { await db.nextUpdate(reader) }
  }
}

extension HyperDB {
  /// Returns every entry, once each, from the first on.
  ///
  /// Following has begun when this returns.
  ///
  /// - Parameter limit: the largest value to deliver, in bytes; entries with a larger one come without it.
  ///   Writers decide how large their values are, up to 8 MiB: pass what you can use.
  public nonisolated func updates(valuesUpTo limit: Int = .max) -> DatabaseUpdates {
    updates(after: [:], valuesUpTo: limit)
  }

  /// Returns every entry but those up to these blocks, which the reader already has. If one of these feeds no longer
  /// has a place, that it left is delivered. In a sparse database all entries are delivered.
  package nonisolated func updates(
    after start: [PublicKey: UInt64], valuesUpTo limit: Int
  ) -> DatabaseUpdates {
    let reader = UpdateReader(
      followers.subscribe(UpdateQueue()), valueLimit: limit, start: start)
    return DatabaseUpdates(db: self, reader: reader)
  }

  func nextUpdate(_ reader: UpdateReader) async -> DatabaseUpdate? {
    while !isClosed, !Task.isCancelled {
      // Emptied before the look at the database, so that no later signal is missed.
      _ = reader.subscription.withQueue { $0.next() }
      if let update = update(for: reader) { return update }
      guard await reader.subscription.waits() else { return nil }
    }
    return nil
  }

  /// The most entries that are delivered at once; fewer if they are large.
  private static let entriesAtOnce = 512
  /// The bytes of keys and values after which a delivery, or one turn of a walk, ends.
  static let bytesAtOnce = 1 << 20

  /// Returns whether another entry fits into what is delivered at once.
  func hasRoom(_ nodes: [DatabaseNode], shownBefore: Int) -> Bool {
    nodes.count < Self.entriesAtOnce && shownBytes &- shownBefore < Self.bytesAtOnce
  }

  /// Returns what a follower is to be given now; nil if it has everything.
  private func update(for reader: UpdateReader) -> DatabaseUpdate? {
    reader.follow(core.feedKeys, changes: core.feedChanges)
    if let feed = reader.cursors.nextLost() { return .left(feed) }
    let nodes = newEntries(for: reader)
    // The entries that were read just now may have named feeds.
    if knownFeedChanges != core.feedChanges + contentChanges { followUp() }
    if !nodes.isEmpty { return .entries(nodes) }
    if let issue = reader.reported.nextIssue(of: core.issues) { return .issue(issue) }
    if reader.reported.noteCaughtUp() { return .caughtUp }
    if reader.subscription.withQueue({ $0.forksAreDue }) ?? false {
      if let fork = reader.reported.nextFork(of: forks) { return .forked(fork) }
      reader.subscription.withQueue { $0.noteForksReported() }
    }
    if reader.subscription.withQueue({ $0.nextRestored() }) ?? false { return .restored }
    if reader.subscription.withQueue({ $0.nextAuthorized() }) ?? false { return .authorized }
    return reader.reported.noteUploaded(uploadedLength) ? .uploaded(seq: uploadedLength - 1) : nil
  }

  /// Returns the next entries that a follower was not given yet, as many as are delivered at once.
  private func newEntries(for reader: UpdateReader) -> [DatabaseNode] {
    var nodes: [DatabaseNode] = []
    let shownBefore = shownBytes
    if options.sparse { readArrivals(for: reader, &nodes, shownBefore: shownBefore) }
    for feed in core.feedKeys.indices where !options.sparse || feed == core.local {
      // Entries that were read a moment ago may have given a free number to another feed. None loses its
      // number by that.
      reader.follow(core.feedKeys, changes: core.feedChanges)
      guard let log = feedSet.logs[core.feedKeys[feed]] else { continue }
      while hasRoom(nodes, shownBefore: shownBefore), reader.cursors.nextBlocks[feed] < log.length {
        let location = FeedSequence(feed: feed, seq: reader.cursors.nextBlocks[feed])
        let node: DatabaseNode?
        do {
          node = try core.node(at: location).map {
            try publicNode($0, valueUpTo: reader.valueLimit)
          }
        } catch is MissingBlock { break } catch { node = nil }
        reader.cursors.advance(feed)
        if let node { nodes.append(node) }
      }
    }
    return nodes
  }
}
