public import Hypercore
package import HypercoreCrypto

/// An event of a database, for a follower that takes in every entry once.
@nonexhaustive
public enum DatabaseUpdate: Sendable {
  /// Entries that were not told before: those of one feed in order, feeds in no order.
  case entries([DatabaseNode])
  /// All that was stored when the sequence began was told.
  case caughtUp
  /// This replica's own feed is one of the database's now.
  case authorized
  /// Peers have fetched the local feed up to and with this block.
  case uploaded(seq: UInt64)
  /// The key of a feed has signed two histories: nothing more is taken of the second one, and nothing is written
  /// if it is the feed that is written here. Told once a feed, also of one that was found before.
  case forked(ForkEvidence)
  /// What was missing of the feed that is written here can be fetched from a peer: writing is possible again.
  case restored
  /// An entry can't be read, and is left out.
  case issue(HyperDBError)
}

/// Every entry of a database, once each: those that are here, then those that come.
///
/// Costs what is new, whatever the order in which feeds arrive: a place in each feed is all that is
/// kept for a reader, however slow, and it is given up with the sequence. Of a sparse database the
/// entries are told that are here, in the order in which they came. To be read by one task: iterating
/// again goes on after what was told.
public struct DatabaseUpdates: AsyncSequence, Sendable {
  public typealias Element = DatabaseUpdate

  let db: HyperDB
  let reader: UpdateReader

  public func makeAsyncIterator() -> Iterator { Iterator(db: db, reader: reader) }

  /// Waits for one update after the other.
  public struct Iterator: AsyncIteratorProtocol {
    let db: HyperDB
    let reader: UpdateReader

    /// The next update; nil once the database is closed, or when the task is cancelled.
    public mutating func next() async -> DatabaseUpdate? { await db.nextUpdate(reader) }
  }
}

/// The signals that wait for a follower. What they stand for is read from the database.
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
  /// Tells whether there may be a forked feed that was not told: at first of those that were found before.
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
/// Unchecked with this proof: the subscription is Sendable, `valueLimit` and `start` never change, and all
/// else is touched on the database's executor only.
final class UpdateReader: @unchecked Sendable {
  let subscription: Broadcast<UpdateQueue>.Subscription
  /// Values of more bytes than this are left out.
  let valueLimit: Int
  /// The last blocks that need not be told, by feed.
  let start: [PublicKey: UInt64]
  /// By feed, the next block, and the key whose feed it is: a number may pass to another feed.
  private(set) var cursors: [Int] = []
  private var keys: [PublicKey] = []
  /// The next blocks of feeds that have lost their number.
  private var left: [PublicKey: Int] = [:]
  /// In a sparse database: the next of ``Arrivals/places``, and those that can't be read before another
  /// block is here.
  var nextArrival = 0
  var deferred: [FeedSequence] = []
  var isCaughtUp = false
  /// The feeds whose forks were told.
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
  func follow(_ feeds: [PublicKey]) {
    for (number, key) in feeds.enumerated() {
      if number < keys.count, keys[number] == key { continue }
      let next = left.removeValue(forKey: key) ?? Int(clamping: start[key] ?? 0) &+ 1
      if number < keys.count {
        left[keys[number]] = cursors[number]
        keys[number] = key
        cursors[number] = next
      } else {
        keys.append(key)
        cursors.append(next)
      }
    }
  }

  /// The block of a feed was looked at.
  func advance(_ feed: Int) { cursors[feed] += 1 }
}

extension HyperDB {
  /// Every entry, once each, from the first on.
  ///
  /// Following has begun when this returns.
  ///
  /// - Parameter limit: entries with a value of more bytes are told without it. Writers decide how large
  ///   their values are, up to 8 MiB: say what you can use.
  public nonisolated func updates(valuesUpTo limit: Int = .max) -> DatabaseUpdates {
    updates(after: [:], valuesUpTo: limit)
  }

  /// The same without the entries up to these blocks, which the reader has from another time. In a sparse
  /// database they are told all the same.
  package nonisolated func updates(
    after start: [PublicKey: UInt64], valuesUpTo limit: Int
  ) -> DatabaseUpdates {
    let reader = UpdateReader(
      followers.subscribe(UpdateQueue()), valueLimit: limit, start: start)
    return DatabaseUpdates(db: self, reader: reader)
  }

  func nextUpdate(_ reader: UpdateReader) async -> DatabaseUpdate? {
    while !isClosed, !Task.isCancelled {
      // Before the look, so that what comes after it is not missed.
      _ = reader.subscription.withQueue { $0.next() }
      if let update = take(from: reader) { return update }
      guard await reader.subscription.waits() else { return nil }
    }
    return nil
  }

  /// The number of entries that are told at once, fewer if they are large.
  private static let entriesAtOnce = 512
  /// Keys and values of this many bytes are enough for one time, in a walk as well.
  static let bytesAtOnce = 1 << 20

  /// Returns whether there is room for another entry in what is told at once.
  func hasRoom(_ nodes: [DatabaseNode], shownBefore: Int) -> Bool {
    nodes.count < Self.entriesAtOnce && shownBytes &- shownBefore < Self.bytesAtOnce
  }

  private func take(from reader: UpdateReader) -> DatabaseUpdate? {
    var nodes: [DatabaseNode] = []
    let feeds = core.feedKeys
    let shownBefore = shownBytes
    if options.sparse { takeArrivals(from: reader, &nodes, shownBefore: shownBefore) }
    reader.follow(feeds)
    for feed in feeds.indices where !options.sparse || feed == core.local {
      guard let log = feedSet.logs[feeds[feed]] else { continue }
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
    // Entries that were read only now may have named feeds.
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
