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

/// The signals that wait for a follower. The data that they stand for is read from the database.
struct UpdateQueue: BroadcastQueue {
  enum Event: Sendable {
    case changed
    case authorized
    case forked
    case restored
  }

  private var changed = false
  private(set) var authorizedIsDue = false
  private var restoredIsDue = false
  /// True if there may be a forked feed that was not reported, at first one that was found earlier.
  private(set) var forksAreDue = true

  mutating func add(_ event: Event) {
    changed = true
    switch event {
    case .changed: break
    case .authorized: authorizedIsDue = true
    case .forked: forksAreDue = true
    case .restored: restoredIsDue = true
    }
  }

  mutating func next() -> Event? {
    defer { changed = false }
    return changed ? .changed : nil
  }

  mutating func takeAuthorized() -> Bool {
    defer { authorizedIsDue = false }
    return authorizedIsDue
  }

  mutating func takeRestored() -> Bool {
    defer { restoredIsDue = false }
    return restoredIsDue
  }

  mutating func noteForksTold() { forksAreDue = false }

  var pendingCount: Int { changed ? 1 : 0 }
}

/// The progress of one follower.
///
/// Unchecked, with this proof: the subscription is Sendable, `valueLimit` and `start` never change, and
/// everything else is touched on the database's executor only.
final class UpdateReader: @unchecked Sendable {
  let subscription: Broadcast<UpdateQueue>.Subscription
  /// The largest value to deliver, in bytes; larger ones are left out.
  let valueLimit: Int
  /// By feed, the last block that need not be delivered.
  let start: [PublicKey: UInt64]
  /// By feed number, the next block, and the feed's key, since a number may pass to another feed.
  private(set) var cursors: [Int] = []
  private var keys: [PublicKey] = []
  /// The count of changes of feeds when the cursors were last compared with them.
  private var followedChanges = -1
  /// Feeds that have lost their place, of which the reader is to be notified, and those that begin anew if
  /// they come back.
  private var lost: [PublicKey] = []
  private var left: Set<PublicKey> = []
  /// In a sparse database: the index of the next of ``Arrivals/places``, and the entries that can't be read
  /// before another block is here.
  var nextArrival = 0
  var deferred: [FeedSequence] = []
  var isCaughtUp = false
  /// The feeds whose forks were reported.
  var toldForks: Set<PublicKey> = []
  var uploaded: UInt64 = 0
  var issueCount = 0

  init(
    _ subscription: Broadcast<UpdateQueue>.Subscription, valueLimit: Int,
    start: [PublicKey: UInt64]
  ) {
    self.subscription = subscription
    self.valueLimit = valueLimit
    self.start = start
  }

  /// Sees to it that each number has the cursor of its feed.
  ///
  /// - Parameter changes: a number that is another one whenever a feed has got or lost a number.
  func follow(_ feeds: [PublicKey], changes: Int) {
    if changes == followedChanges { return }
    if followedChanges < 0 {
      let gone = start.keys.filter { !feeds.contains($0) }
      lost += gone
      left.formUnion(gone)
    }
    followedChanges = changes
    // Before any is looked for: a feed may have got a lower number.
    let changed = keys.indices.filter { keys[$0] != feeds[$0] }
    if !changed.isEmpty {
      // A number that is nobody's has the key of none.
      let gone = changed.map { keys[$0] }.filter { $0 != PublicKey() }
      lost += gone
      left.formUnion(gone)
      deferred.removeAll { changed.contains($0.feed) }
    }
    for number in changed + Array(keys.count..<feeds.count) {
      let key = feeds[number]
      let next = left.contains(key) ? 1 : Int(clamping: start[key] ?? 0) &+ 1
      if number < keys.count {
        keys[number] = key
        cursors[number] = next
      } else {
        keys.append(key)
        cursors.append(next)
      }
    }
  }

  /// Returns a feed that has lost its place, each one once. These come before anything else, since a feed may be
  /// back by then.
  func takeLost() -> PublicKey? { lost.popLast() }

  /// Counts the next block of a feed as looked at.
  func advance(_ feed: Int) { cursors[feed] += 1 }
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
      if let update = take(from: reader) { return update }
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

  private func take(from reader: UpdateReader) -> DatabaseUpdate? {
    var nodes: [DatabaseNode] = []
    let shownBefore = shownBytes
    reader.follow(core.feedKeys, changes: core.feedChanges)
    if let feed = reader.takeLost() { return .left(feed) }
    if options.sparse { takeArrivals(from: reader, &nodes, shownBefore: shownBefore) }
    for feed in core.feedKeys.indices where !options.sparse || feed == core.local {
      // Entries that were read a moment ago may have given a free number to another feed. None loses its
      // number by that.
      reader.follow(core.feedKeys, changes: core.feedChanges)
      guard let log = feedSet.logs[core.feedKeys[feed]] else { continue }
      while hasRoom(nodes, shownBefore: shownBefore), reader.cursors[feed] < log.length {
        let place = FeedSequence(feed: feed, seq: reader.cursors[feed])
        let node: DatabaseNode?
        do {
          node = try core.node(at: place).map {
            try publicNode($0, valueUpTo: reader.valueLimit)
          }
        } catch is MissingBlock { break } catch { node = nil }
        reader.advance(feed)
        if let node { nodes.append(node) }
      }
    }
    // The entries that were read just now may have named feeds.
    if knownFeedChanges != core.feedChanges + contentChanges { settle() }
    if !nodes.isEmpty { return .entries(nodes) }
    if reader.issueCount < core.issues.count {
      reader.issueCount += 1
      return .issue(core.issues[reader.issueCount - 1])
    }
    if !reader.isCaughtUp {
      reader.isCaughtUp = true
      return .caughtUp
    }
    if reader.subscription.withQueue({ $0.forksAreDue }) ?? false {
      if let fork = forks.first(where: { reader.toldForks.insert($0.key).inserted }) {
        return .forked(fork)
      }
      reader.subscription.withQueue { $0.noteForksTold() }
    }
    if reader.subscription.withQueue({ $0.takeRestored() }) ?? false { return .restored }
    if reader.subscription.withQueue({ $0.takeAuthorized() }) ?? false { return .authorized }
    if reader.uploaded < uploadedLength {
      reader.uploaded = uploadedLength
      return .uploaded(seq: uploadedLength - 1)
    }
    return nil
  }
}
