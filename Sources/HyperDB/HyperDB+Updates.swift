internal import Hypercore
public import HypercoreCrypto

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
  /// A feed has lost its place to others: what was told of it is no part of the database any more. If it
  /// comes back, its entries are told again.
  case left(PublicKey)
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
  }

  private var changed = false
  private(set) var authorizedIsDue = false

  mutating func add(_ event: Event) {
    changed = true
    if case .authorized = event { authorizedIsDue = true }
  }

  mutating func next() -> Event? {
    defer { changed = false }
    return changed ? .changed : nil
  }

  mutating func takeAuthorized() -> Bool {
    defer { authorizedIsDue = false }
    return authorizedIsDue
  }

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
  /// The count of changes of feeds when the cursors were last compared with them.
  private var followedChanges = -1
  /// Feeds that have lost their place, of which the reader is to be notified, and those that begin anew if
  /// they come back.
  private var lost: [PublicKey] = []
  private var left: Set<PublicKey> = []
  /// In a sparse database: the next of ``Arrivals/places``, and those that can't be read before another
  /// block is here.
  var nextArrival = 0
  var deferred: [FeedSequence] = []
  var isCaughtUp = false
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

  /// A feed that has lost its place, once each. They are told before anything else, since a feed may be
  /// back by then.
  func takeLost() -> PublicKey? { lost.popLast() }

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

  /// The same without the entries up to these blocks, which the reader has from another time. Of a feed that
  /// has no place any more it is told that it left. In a sparse database the entries are told all the same.
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
    if reader.subscription.withQueue({ $0.takeAuthorized() }) ?? false { return .authorized }
    if reader.uploaded < uploadedLength {
      reader.uploaded = uploadedLength
      return .uploaded(seq: uploadedLength - 1)
    }
    return nil
  }
}
