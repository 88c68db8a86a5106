internal import HypercoreCrypto

/// The keys that writers name, and the feeds among them that have no place in the database.
///
/// A key that a writer names is a *candidate* as long as nothing of its feed is here. Once a block of it is
/// verified, the feed gets a place if one is free; otherwise it *waits* for one. ``Namings`` decides which feeds
/// have the places.
struct Admission {
  /// The keys that the writers' lists name.
  private(set) var namings = Namings()
  /// Feeds without a place that have a verified block, the first ``HyperDBLimits/waitingFeeds`` of them.
  private var waiting: [PublicKey: any EntryLog] = [:]
  /// The changes of the namings after which places were last assigned.
  private var assignedAt = -1
  private var knownCandidates: (changes: Int, keys: [PublicKey]) = (-1, [])
  private var knownNewcomers: (changes: Int, keys: [[PublicKey]]) = (-1, [])
  private var reviews = ReviewPace()

  /// Returns whether a feed waits for a place.
  func isWaiting(_ key: PublicKey) -> Bool { waiting[key] != nil }

  /// True if any feed waits for a place.
  var hasWaiting: Bool { !waiting.isEmpty }

  /// Returns whether a block of a feed is verified.
  private func isProven(_ key: PublicKey, _ feeds: FeedTable) -> Bool {
    feeds.number(of: key) != nil || waiting[key] != nil
  }

  // MARK: Names

  /// Notes the keys of a list that a writer published.
  ///
  /// - Returns: the number of keys that the writer had not named, and whether a block of any of their feeds is
  ///   verified.
  mutating func note(
    _ keys: [PublicKey?], in list: FeedList, isAuthorization: Bool, by writer: PublicKey,
    _ feeds: FeedTable
  ) -> (count: Int, hasProven: Bool) {
    let waiting = self.waiting
    return namings.note(keys, at: list.seq, isAuthorization: isAuthorization, by: writer) {
      feeds.number(of: $0) != nil || waiting[$0] != nil
    }
  }

  /// Returns whether most keys that a writer named lately belong to no feed that is known.
  func isCrowded(by writer: PublicKey, _ feeds: FeedTable) -> Bool {
    namings.isCrowded(by: writer) { isProven($0, feeds) }
  }

  /// Removes the keys that a writer named that has lost its place.
  mutating func removeNames(by writer: PublicKey) { namings.remove(writer) }

  /// Returns whether a writer with a place names a key.
  func isNamedByWriter(_ key: PublicKey, _ feeds: FeedTable) -> Bool {
    namings.isNoted(key) && feeds.authorized.contains { namings.names(feeds.keys[$0], key) }
  }

  /// Returns the first key of a list, by its index, of whose feed nothing is here, if there are as many of these as
  /// a list may have.
  func replaceable(in keys: [[UInt8]], _ feeds: FeedTable) -> Int? {
    let unproven = keys.indices.filter { index in
      PublicKey(bytes: keys[index]).map { !isProven($0, feeds) } ?? true
    }
    return unproven.count < HyperDBLimits.unprovenNewcomers ? nil : unproven[0]
  }

  // MARK: Reviews

  /// Counts keys as named since the last review.
  mutating func countNames(_ count: Int) { reviews.names += count }

  /// Returns whether the names are to be reviewed now that another block has come.
  mutating func isReviewDue() -> Bool { reviews.isDue(keyCount: namings.keyCount) }

  /// True if keys were named since the last review.
  var hasUnreviewedNames: Bool { reviews.names > 0 }

  /// Begins to count anew.
  mutating func countReview() { reviews = ReviewPace() }

  // MARK: Feeds that wait for a place

  /// Lets a feed wait for a place. If there are too many, those that would be the last to get one are evicted.
  mutating func wait(_ log: any EntryLog, owner: PublicKey, _ feeds: FeedTable) {
    waiting[log.key] = log
    assignedAt = -1
    guard waiting.count > HyperDBLimits.waitingFeeds else { return }
    let nearest = Set(
      namings.places(owner: owner, limit: HyperDBLimits.places + HyperDBLimits.waitingFeeds / 2) {
        isProven($0, feeds)
      })
    waiting = waiting.filter { nearest.contains($0.key) }
  }

  /// Removes a feed that waits, which gets a place.
  mutating func removeWaiting(_ key: PublicKey) -> (any EntryLog)? {
    waiting.removeValue(forKey: key)
  }

  /// Makes the next look at the places assign them, even if no name has changed.
  mutating func invalidatePlaces() { assignedAt = -1 }

  /// True if other feeds may have the places than those that they were last assigned to.
  var isAssignmentStale: Bool { assignedAt != namings.placeChanges }

  /// Returns the feeds that are to have the places besides the owner's.
  mutating func assignPlaces(owner: PublicKey, _ feeds: FeedTable) -> Set<PublicKey> {
    assignedAt = namings.placeChanges
    return Set(
      namings.places(owner: owner, limit: HyperDBLimits.places) { isProven($0, feeds) })
  }

  /// Returns the feeds that wait and are to have a place, in the order of their keys.
  func waiting(in placed: Set<PublicKey>) -> [PublicKey] {
    waiting.keys.filter { placed.contains($0) }.sorted { $0.precedes($1) }
  }

  // MARK: Candidates

  /// The keys that writers name and of whose feeds nothing is here, in the order of the writers. For most of them
  /// there may be no feed at all.
  mutating func candidates(owner: PublicKey, _ feeds: FeedTable) -> [PublicKey] {
    if knownCandidates.changes == feeds.changes { return knownCandidates.keys }
    var keys: [PublicKey] = []
    var known: Set<PublicKey> = []
    // Once places are scarce, feeds that would get none are not asked for.
    let nearest =
      waiting.isEmpty
      ? nil : Set(namings.places(owner: owner, limit: HyperDBLimits.feeds + 64) { _ in true })
    for number in feeds.authorized {
      for key in namings.keys(of: feeds.keys[number])
      where !isProven(key, feeds) && known.insert(key).inserted {
        if nearest?.contains(key) ?? true { keys.append(key) }
      }
    }
    knownCandidates = (feeds.changes, keys)
    return keys
  }

  /// The candidates that a writer let in, by writer, the newest first. All others were merely listed.
  mutating func newcomers(owner: PublicKey, _ feeds: FeedTable) -> [[PublicKey]] {
    if knownNewcomers.changes == feeds.changes { return knownNewcomers.keys }
    var rest = Set(candidates(owner: owner, feeds))
    let keys: [[PublicKey]] = feeds.authorized.compactMap { number in
      let letIn = namings.shares(of: feeds.keys[number]).letIn.reversed()
        .filter { rest.remove($0) != nil }
      return letIn.isEmpty ? nil : Array(letIn)
    }
    knownNewcomers = (feeds.changes, keys)
    return keys
  }
}

/// The pace of looks at newly named keys, where a writer names many made-up ones.
///
/// A review costs as much as there are names in all. So the next one waits until so many keys were named, or so many
/// blocks have come, that each of these has only a small share in the cost, which a made-up key pays, too.
private struct ReviewPace {
  /// The number of keys that were named since the last review.
  var names = 0
  /// The number of blocks that came since then.
  private var blocks = 0

  mutating func isDue(keyCount: Int) -> Bool {
    guard names > 0 else { return false }
    blocks += 1
    return names + blocks > (keyCount - 256) / 64
  }
}
