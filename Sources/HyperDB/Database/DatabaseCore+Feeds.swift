package import HypercoreCrypto

/// The open feeds, and the authority to write.
extension DatabaseCore {
  /// Returns whether a block of a feed is verified and its header, if here, is that of a hyperdb.
  func isProven(_ log: any EntryLog) throws -> Bool {
    guard log.length > 0 else { return false }
    guard let header = try log.block(at: 0) else { return options.fetchesBlocks }
    return coder.codec.headerProtocol(header) == Array("hyperdb".utf8)
  }

  /// The numbers of the feeds of a list, -1 for those without a place. If a feed is named for the first
  /// time, what is stored of it is opened.
  func numbers(of keys: [PublicKey?]) throws -> [Int] {
    var map: [Int] = []
    map.reserveCapacity(keys.count)
    for key in keys { map.append(try key.map(number(ofListed:)) ?? -1) }
    while map.last == -1 { map.removeLast() }
    return map
  }

  private func number(ofListed key: PublicKey) throws -> Int {
    if let number = feeds.number(of: key) { return number }
    if admission.namings.isNoted(key) || admission.isWaiting(key) { return -1 }
    guard let log = try openFeed(key), try isProven(log) else { return -1 }
    if feeds.hasPlace { return feeds.add(log) }
    wait(log)
    return -1
  }

  private func wait(_ log: any EntryLog) {
    admission.wait(log, owner: key, feeds)
    feeds.countChange()
  }

  /// Adds a feed that was named before, once a block of it is verified.
  ///
  /// - Returns: true if it has a place.
  @discardableResult
  package func admit(_ log: any EntryLog) throws -> Bool {
    if feeds.number(of: log.key) != nil { return true }
    guard admission.namings.isNoted(log.key), !admission.isWaiting(log.key), try isProven(log)
    else { return false }
    if feeds.hasPlace {
      let number = feeds.add(log)
      admission.invalidatePlaces()
      invalidate()
      if admission.isNamedByWriter(log.key, feeds) { authorize(feed: number) }
    } else {
      wait(log)
    }
    try assignPlaces()
    return feeds.number(of: log.key) != nil
  }

  /// Assigns the places anew, if there are more feeds than places.
  package func assignPlaces() throws {
    guard admission.hasWaiting else { return }
    // A feed that gets a place may name others.
    for _ in 0..<8 where admission.isAssignmentStale {
      let placed = admission.assignPlaces(owner: key, feeds)
      for number in feeds.writers.indices.dropFirst()
      where feeds[number].isAuthorized && number != local && !placed.contains(feeds.keys[number]) {
        vacate(number)
      }
      let coming = admission.waiting(in: placed)
      if coming.isEmpty { break }
      for key in coming where feeds.hasPlace || feeds.hasVacantNumber {
        guard let log = admission.removeWaiting(key) else { continue }
        authorize(feed: feeds.add(log))
      }
      invalidate()
      for key in coming {
        if let number = feeds.number(of: key) { try readLists(of: number) }
      }
    }
  }

  /// Reads the lists in what is stored of a feed.
  private func readLists(of number: Int) throws {
    let log = feeds[number].log
    var seq = 1
    while seq < log.length, log.firstMissing(from: seq) > seq {
      _ = try node(at: FeedSequence(feed: number, seq: seq))
      seq += 1
    }
  }

  /// Takes a feed's place away: its entries are no longer part of the database.
  private func vacate(_ number: Int) {
    onVacate?(number)
    let log = feeds.vacate(number)
    admission.removeNames(by: log.key)
    wait(log)
    invalidate(hasLost: true)
  }

  /// Invalidates what was decoded while a feed had no number.
  ///
  /// - Parameter hasLost: true if a feed has lost its number as well.
  private func invalidate(hasLost: Bool = false) {
    let hasLeftOut = coder.resetLeftOut()
    // Only rarely does an entry count or point to entries of a feed of which nothing is here.
    guard feeds.invalidateLists() || hasLeftOut || hasLost else { return }
    for writer in feeds.writers { writer.invalidateHeads() }
    memory.removeAll()
    walks.headCheck.invalidate()
    // An entry may be in the cut because what it claims to know of that feed was left out.
    snapshots.invalidateCut()
    snapshots.invalidate()
  }

  // MARK: Authority to write

  /// Handles a list of feeds that a writer published.
  func learn(
    _ list: FeedList, _ keys: [PublicKey?], isAuthorization: Bool, from feed: Int
  ) {
    feeds[feed].learn(list)
    let writer = feeds.keys[feed]
    let new = admission.note(
      keys, in: list, isAuthorization: isAuthorization, by: writer, feeds)
    guard new.count > 0, feeds[feed].isAuthorized else { return }
    if new.hasProven { authorize(feed: feed) }
    admission.countNames(new.count)
    if feed == 0 || new.hasProven || !admission.isCrowded(by: writer, feeds) {
      reviewNames()
    } else {
      reviewNamesIfDue()
    }
  }

  /// Reviews the keys that were named since the last review, if enough were; see ``Admission``.
  func reviewNamesIfDue() {
    if admission.isReviewDue() { reviewNames() }
  }

  /// Makes candidates of the keys that were named.
  private func reviewNames() {
    admission.countReview()
    feeds.countChange()
  }

  /// Reviews the names at once, if a key may be one of those named since the last review.
  func reviewName(_ key: PublicKey) {
    if admission.hasUnreviewedNames, feeds.number(of: key) == nil, admission.namings.isNoted(key) {
      reviewNames()
    }
  }

  /// Marks a feed as authorized, and every feed that it lists.
  func authorize(feed: Int) { feeds.authorize(feed, by: admission.namings) }

  /// Returns whether the source or any authorized writer lists the feed, as far as their lists were read.
  package func isAuthorized(_ key: PublicKey) -> Bool {
    if let number = feeds.number(of: key) { return feeds[number].isAuthorized }
    return admission.isNamedByWriter(key, feeds)
  }

  /// Returns whether the feed with that number is authorized.
  func isAuthorized(_ feed: Int) -> Bool { feeds[feed].isAuthorized }

  /// The candidates that a writer let in, by writer, the newest first. All others were merely listed.
  package var newcomers: [[PublicKey]] { admission.newcomers(owner: key, feeds) }

  /// The keys that writers name and of whose feeds nothing is here, in the order of the writers. For
  /// most of them there may be no feed at all.
  package var candidates: [PublicKey] { admission.candidates(owner: key, feeds) }
}
