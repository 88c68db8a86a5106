internal import Hypercore
internal import HypercoreCrypto

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

  /// Returns whether the authorization of the local feed is to be reported now, once.
  mutating func nextAuthorized() -> Bool {
    defer { authorizedIsDue = false }
    return authorizedIsDue
  }

  /// Returns whether the end of a restoration is to be reported now, once.
  mutating func nextRestored() -> Bool {
    defer { restoredIsDue = false }
    return restoredIsDue
  }

  /// Notes that every fork that was found is reported.
  mutating func noteForksReported() { forksAreDue = false }

  var pendingCount: Int { changed ? 1 : 0 }
}

/// The progress of one follower.
///
/// Unchecked, with this proof: the subscription is Sendable, `valueLimit` never changes, and everything else is
/// touched on the database's executor only.
final class UpdateReader: @unchecked Sendable {
  let subscription: Broadcast<UpdateQueue>.Subscription
  /// The largest value to deliver, in bytes; larger ones are left out.
  let valueLimit: Int
  /// The next block of each feed.
  @exclusivity(unchecked) var cursors: FeedCursors
  /// In a sparse database: the next block among those that came.
  @exclusivity(unchecked) var arrivals = ArrivalCursor()
  /// Everything besides entries that was reported.
  @exclusivity(unchecked) var reported = ReportedUpdates()

  init(
    _ subscription: Broadcast<UpdateQueue>.Subscription, valueLimit: Int,
    start: [PublicKey: UInt64]
  ) {
    self.subscription = subscription
    self.valueLimit = valueLimit
    cursors = FeedCursors(start: start)
  }

  /// Sees to it that each number has the cursor of its feed.
  ///
  /// - Parameter changes: a number that is another one whenever a feed has got or lost a number.
  func follow(_ feeds: [PublicKey], changes: Int) {
    let changed = cursors.follow(feeds, changes: changes)
    if !changed.isEmpty { arrivals.remove(changed) }
  }
}

/// A follower's progress in each feed, by the feed's number.
struct FeedCursors {
  /// By feed, the last block that need not be delivered.
  private let start: [PublicKey: UInt64]
  /// By feed, the next block to deliver.
  private(set) var nextBlocks: [Int] = []
  /// By number, the feed, since a number may pass to another feed.
  private var keys: [PublicKey] = []
  /// The count of changes of feeds when the cursors were last compared with them.
  private var followedChanges = -1
  /// Feeds that have lost their place, of which the reader is to be notified.
  private var lost: [PublicKey] = []
  /// Feeds that have lost their place at any time, and begin anew if they come back.
  private var left: Set<PublicKey> = []

  init(start: [PublicKey: UInt64]) { self.start = start }

  /// Counts the next block of a feed as looked at.
  mutating func advance(_ feed: Int) { nextBlocks[feed] += 1 }

  /// Returns a feed that has lost its place, each one once. These come before anything else, since a feed may be
  /// back by then.
  mutating func nextLost() -> PublicKey? { lost.popLast() }

  /// Sees to it that each number has the cursor of its feed.
  ///
  /// - Returns: the numbers that have passed to another feed.
  mutating func follow(_ feeds: [PublicKey], changes: Int) -> [Int] {
    if changes == followedChanges { return [] }
    if followedChanges < 0 { lose(start.keys.filter { !feeds.contains($0) }) }
    followedChanges = changes
    // Before any is looked for: a feed may have got a lower number.
    let changed = keys.indices.filter { keys[$0] != feeds[$0] }
    // A number that is nobody's has the key of none.
    lose(changed.map { keys[$0] }.filter { $0 != PublicKey() })
    for number in changed + Array(keys.count..<feeds.count) {
      let key = feeds[number]
      let next = left.contains(key) ? 1 : Int(clamping: start[key] ?? 0) &+ 1
      if number < keys.count {
        keys[number] = key
        nextBlocks[number] = next
      } else {
        keys.append(key)
        nextBlocks.append(next)
      }
    }
    assert(keys == feeds && nextBlocks.count == keys.count)
    return changed
  }

  private mutating func lose(_ feeds: [PublicKey]) {
    lost += feeds
    left.formUnion(feeds)
  }
}

/// A follower's next block among those that came to a sparse database; see ``Arrivals``.
struct ArrivalCursor {
  /// The index of the next of ``Arrivals/locations``.
  private(set) var next = 0
  /// The entries that can't be read before another block is here.
  private(set) var deferred: [FeedSequence] = []

  /// Goes on to the next that came.
  mutating func advance() { next += 1 }

  /// Puts an entry off, as the last.
  mutating func putOff(_ location: FeedSequence) { deferred.append(location) }

  /// Returns the entries that were put off, which are none from now on.
  mutating func removeDeferred() -> [FeedSequence] {
    defer { deferred = [] }
    return deferred
  }

  /// Removes the entries of numbers that have passed to another feed.
  mutating func remove(_ feeds: [Int]) { deferred.removeAll { feeds.contains($0.feed) } }
}

/// The facts about a database, besides its entries, that a follower was notified of.
struct ReportedUpdates {
  private var isCaughtUp = false
  private var forks: Set<PublicKey> = []
  private var uploadedLength: UInt64 = 0
  private var issueCount = 0

  /// Returns the next issue that was not reported.
  mutating func nextIssue(of issues: [HyperDBError]) -> HyperDBError? {
    guard issueCount < issues.count else { return nil }
    issueCount += 1
    return issues[issueCount - 1]
  }

  /// Returns true the first time.
  mutating func noteCaughtUp() -> Bool {
    defer { isCaughtUp = true }
    return !isCaughtUp
  }

  /// Returns the first fork of a feed of which none was reported.
  mutating func nextFork(of found: [ForkEvidence]) -> ForkEvidence? {
    for fork in found where forks.insert(fork.key).inserted { return fork }
    return nil
  }

  /// Returns whether a length exceeds what was reported.
  mutating func noteUploaded(_ length: UInt64) -> Bool {
    guard uploadedLength < length else { return false }
    uploadedLength = length
    return true
  }
}
