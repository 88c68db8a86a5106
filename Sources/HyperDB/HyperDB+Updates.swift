internal import Hypercore
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
  /// The next blocks of feeds that have lost their number.
  private var left: [PublicKey: Int] = [:]
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
    followedChanges = changes
    // Before any is looked for: a feed may have got a lower number.
    for (number, key) in keys.enumerated() where feeds[number] != key {
      left[key] = cursors[number]
    }
    for (number, key) in feeds.enumerated() {
      if number < keys.count, keys[number] == key { continue }
      let next = left.removeValue(forKey: key) ?? Int(clamping: start[key] ?? 0) &+ 1
      if number < keys.count {
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
    let shownBefore = shownBytes
    if options.sparse { takeArrivals(from: reader, &nodes, shownBefore: shownBefore) }
    for feed in core.feedKeys.indices where !options.sparse || feed == core.local {
      // Entries that were read a moment ago may have given a free number to another feed.
      reader.follow(core.feedKeys, changes: core.feedChanges)
      let log = core.log(of: feed)
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
