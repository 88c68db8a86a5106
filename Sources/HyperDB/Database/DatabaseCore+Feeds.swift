package import HypercoreCrypto

/// The open feeds, and the authority to write.
extension DatabaseCore {
  @discardableResult
  func add(_ log: any EntryLog) -> Int {
    let number = vacantNumbers.popLast() ?? writers.count
    let writer = Writer(id: number, log: log, fetchesBlocks: options.fetchesBlocks)
    if number < writers.count {
      writers[number] = writer
      feedKeys[number] = log.key
    } else {
      writers.append(writer)
      feedKeys.append(log.key)
    }
    numbers[log.key] = number
    feedChanges += 1
    return number
  }

  /// Returns whether a block of a feed is verified and its header, if here, is that of a hyperdb.
  func isProven(_ log: any EntryLog) throws -> Bool {
    guard log.length > 0 else { return false }
    guard let header = try log.block(at: 0) else { return options.fetchesBlocks }
    return codec.headerProtocol(header) == Array("hyperdb".utf8)
  }

  /// The number of open feeds.
  package var feedCount: Int { numbers.count }

  /// True if another feed can get a place. One number is reserved for the local feed.
  var hasPlace: Bool {
    let isLocalApart = local.map { $0 != 0 && !writers[$0].isAuthorized } ?? false
    return writers.count - vacantNumbers.count - (isLocalApart ? 1 : 0) <= HyperDBLimits.places
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
    if let number = numbers[key] { return number }
    if namings.isNoted(key) || withoutPlace[key] != nil { return -1 }
    guard let log = try openFeed(key), try isProven(log) else { return -1 }
    if hasPlace { return add(log) }
    wait(log)
    return -1
  }

  private func wait(_ log: any EntryLog) {
    withoutPlace[log.key] = log
    knownPlaces = -1
    feedChanges += 1
    guard withoutPlace.count > HyperDBLimits.waitingFeeds else { return }
    // Evicts those that would be the last to get a place.
    let nearest = Set(
      namings.places(owner: key, limit: HyperDBLimits.places + HyperDBLimits.waitingFeeds / 2) {
        numbers[$0] != nil || withoutPlace[$0] != nil
      })
    withoutPlace = withoutPlace.filter { nearest.contains($0.key) }
  }

  /// Adds a feed that was named before, once a block of it is verified.
  ///
  /// - Returns: true if it has a place.
  @discardableResult
  package func admit(_ log: any EntryLog) throws -> Bool {
    if numbers[log.key] != nil { return true }
    guard namings.isNoted(log.key), withoutPlace[log.key] == nil, try isProven(log) else {
      return false
    }
    if hasPlace {
      let number = add(log)
      knownPlaces = -1
      invalidate()
      if isNamedByWriter(log.key) { authorize(number) }
    } else {
      wait(log)
    }
    try settlePlaces()
    return numbers[log.key] != nil
  }

  /// Assigns the places anew, if there are more feeds than places.
  package func settlePlaces() throws {
    guard !withoutPlace.isEmpty, knownPlaces != namings.placeChanges else { return }
    // A feed that gets a place may name others.
    for _ in 0..<8 where knownPlaces != namings.placeChanges {
      knownPlaces = namings.placeChanges
      let placed = Set(
        namings.places(owner: key, limit: HyperDBLimits.places) {
          numbers[$0] != nil || withoutPlace[$0] != nil
        })
      for number in writers.indices.dropFirst()
      where writers[number].isAuthorized && number != local && !placed.contains(feedKeys[number]) {
        vacate(number)
      }
      let coming = withoutPlace.keys.filter { placed.contains($0) }
        .sorted { $0.precedes($1) }
      if coming.isEmpty { break }
      for key in coming where hasPlace || !vacantNumbers.isEmpty {
        guard let log = withoutPlace.removeValue(forKey: key) else { continue }
        let number = add(log)
        authorize(number)
      }
      invalidate()
      for key in coming {
        if let number = numbers[key] { try readLists(of: number) }
      }
    }
  }

  /// Reads the lists in what is stored of a feed.
  private func readLists(of number: Int) throws {
    let log = writers[number].log
    var seq = 1
    while seq < log.length, log.firstMissing(from: seq) > seq {
      _ = try node(at: FeedSequence(feed: number, seq: seq))
      seq += 1
    }
  }

  /// Takes a feed's place away: its entries are no longer part of the database.
  private func vacate(_ number: Int) {
    let log = writers[number].log
    onVacate?(number)
    namings.remove(log.key)
    numbers[log.key] = nil
    let none = MemoryLog(key: PublicKey(), isWritable: false)
    writers[number] = Writer(id: number, log: none, fetchesBlocks: options.fetchesBlocks)
    feedKeys[number] = none.key
    authorized.removeAll { $0 == number }
    vacantNumbers.append(number)
    wait(log)
    cut = []
    feedChanges += 1
    invalidate(hasLost: true)
  }

  /// Invalidates what was decoded while a feed had no number.
  ///
  /// - Parameter hasLost: true if a feed has lost its number as well.
  private func invalidate(hasLost: Bool = false) {
    var hasLeftOut = hasLost || trieScratch.hasLeftOut
    for writer in writers where writer.invalidate(numbers) { hasLeftOut = true }
    trieScratch.hasLeftOut = false
    // Only rarely does an entry count or point to entries of a feed of which nothing is here.
    guard hasLeftOut else { return }
    for writer in writers { writer.forgetHeads() }
    cache.removeAll()
    index?.reset(to: nil)
    headCheck.forget()
    latestSnapshot = nil
    cutSnapshot = nil
  }

  // MARK: Authority to write

  /// Handles a list of feeds that a writer published.
  func learn(
    _ list: FeedList, _ keys: [PublicKey?], isAuthorization: Bool, from feed: Int
  ) {
    writers[feed].learn(list)
    let isProven = { (key: PublicKey) in
      self.numbers[key] != nil || self.withoutPlace[key] != nil
    }
    let new = namings.note(
      keys, at: list.seq, isAuthorization: isAuthorization, by: feedKeys[feed], isProven: isProven)
    guard new.count > 0, writers[feed].isAuthorized else { return }
    if new.hasProven { authorize(feed) }
    unsettledNames += new.count
    if feed == 0 || new.hasProven || !namings.isCrowded(by: feedKeys[feed], isProven: isProven) {
      settleNames()
    } else {
      settleNamesInTime()
    }
  }

  /// Looks at the keys that were named since the last look, if enough were, where a writer names many made-up ones.
  ///
  /// A look costs as much as there are names in all. So the next one waits until so many keys were named, or so many
  /// blocks have come, that each of these has only a small share in the cost, which a made-up key pays, too.
  func settleNamesInTime() {
    guard unsettledNames > 0 else { return }
    unsettledBlocks += 1
    if unsettledNames + unsettledBlocks > (namings.keyCount - 256) / 64 { settleNames() }
  }

  private func settleNames() {
    unsettledNames = 0
    unsettledBlocks = 0
    feedChanges += 1
  }

  /// Looks at a key at once, if it was named since the last look.
  func settleName(_ key: PublicKey) {
    if unsettledNames > 0, numbers[key] == nil, namings.isNoted(key) { settleNames() }
  }

  /// Marks a feed as authorized, and every feed that it lists.
  func authorize(_ feed: Int) {
    var next = [feed]
    while let feed = next.popLast() {
      if !writers[feed].isAuthorized {
        writers[feed].isAuthorized = true
        authorized.append(feed)
        feedChanges += 1
      }
      next += namings.keys(of: feedKeys[feed]).reversed().compactMap { numbers[$0] }
        .filter { !writers[$0].isAuthorized }
    }
  }

  /// Returns whether a writer of the database names a key.
  private func isNamedByWriter(_ key: PublicKey) -> Bool {
    namings.isNoted(key) && authorized.contains { namings.names(feedKeys[$0], key) }
  }

  /// Returns whether the source or any authorized writer lists the feed, as far as their lists were read.
  package func isAuthorized(_ key: PublicKey) -> Bool {
    if let number = numbers[key] { return writers[number].isAuthorized }
    return isNamedByWriter(key)
  }

  /// Returns whether the feed with that number is authorized.
  func isAuthorized(_ feed: Int) -> Bool { writers[feed].isAuthorized }

  /// The candidates that a writer let in, by writer, the newest first. All others were merely listed.
  package var newcomers: [[PublicKey]] {
    if knownNewcomers.changes == feedChanges { return knownNewcomers.keys }
    var rest = Set(candidates)
    let keys: [[PublicKey]] = authorized.compactMap { number in
      let letIn = namings.shares(of: feedKeys[number]).letIn.reversed()
        .filter { rest.remove($0) != nil }
      return letIn.isEmpty ? nil : Array(letIn)
    }
    knownNewcomers = (feedChanges, keys)
    return keys
  }

  /// The keys that writers name and of whose feeds nothing is here, in the order of the writers. For
  /// most of them there may be no feed at all.
  package var candidates: [PublicKey] {
    if knownCandidates.changes == feedChanges { return knownCandidates.keys }
    var keys: [PublicKey] = []
    var known: Set<PublicKey> = []
    // Once places are scarce, feeds that would get none are not asked for.
    let nearest =
      withoutPlace.isEmpty
      ? nil
      : Set(namings.places(owner: self.key, limit: HyperDBLimits.feeds + 64) { _ in true })
    for number in authorized {
      for key in namings.keys(of: feedKeys[number])
      where numbers[key] == nil && withoutPlace[key] == nil && known.insert(key).inserted {
        if nearest?.contains(key) ?? true { keys.append(key) }
      }
    }
    knownCandidates = (feedChanges, keys)
    return keys
  }
}
