internal import DatCoding
internal import Hypercore
package import HypercoreCrypto

/// A database of one or more writers: everything that it does with blocks that are here, without
/// suspension, locks or a clock. When this throws `MissingBlock`, the actor around it waits for that block.
///
/// Properties that are touched for every entry are `@exclusivity(unchecked)`, here and in the classes
/// below: nothing calls out while it changes such a property.
///
/// Source: hyperdb 3.5.0 `index.js`.
package final class DatabaseCore {
  package struct Options {
    /// The hash that spreads keys; see `PathHash`.
    package var hash = PathHash.standard
    /// The memory for decoded entries and the index of their paths, in bytes.
    package var cacheBytes = HyperDBLimits.cacheBytes
    /// Feeds to open at once, in this order, after the source and the local feed, so that feeds get the
    /// numbers that another database gave them. Needed only to replay recordings.
    package var feedOrder: [PublicKey] = []
    /// True if blocks that are verified but not stored count for writes as well, since they can be
    /// fetched: in a sparse database.
    package var fetchesBlocks = false
    /// True if a head that doesn't lead to what it claims to know doesn't hide it; see `HeadCheck`.
    package var checksHeads = true
    /// True if paths are looked up in an index. It changes no answer; see `PathIndex`.
    package var indexesPaths = true
    /// The steps that a put may take to merge what others wrote.
    package var mergeSteps = Merging.Steps()
    /// True if the lists that are written here repeat every key that others named, as the reference does.
    package var repeatsKeys = false
    /// The key of the local writer's content feed, if content feeds are on.
    package var contentKey: [UInt8]?

    package init() {}
  }

  /// Called when a key is named for the first time: opens what is stored of its feed, if there is anything.
  /// Nothing is created for the others, since their feeds need not exist; see ``Namings``.
  package typealias OpenFeed = (PublicKey) throws -> (any EntryLog)?

  @exclusivity(unchecked) var writers: [Writer] = []
  /// The key of every open feed, by number.
  @exclusivity(unchecked) package internal(set) var feedKeys: [PublicKey] = []
  var numbers: [PublicKey: Int] = [:]
  let openFeed: OpenFeed
  let options: Options
  var hash: PathHash { options.hash }
  /// The number of the feed that this replica writes; nil if it has none.
  @exclusivity(unchecked) package private(set) var local: Int?

  let codec = EntryMessageCodec()
  let cache: EntryCache
  /// The index that finds entries by their paths; nil if blocks are fetched on demand, since only a walk
  /// knows which.
  let index: PathIndex?
  /// The head that the last read without the index started from.
  @exclusivity(unchecked) private var unindexedHead: FeedSequence?
  @exclusivity(unchecked) var trieScratch = TrieCoding.Scratch()
  let trieRoom = TrieCoding.Room()
  let lookup = Lookup()
  let insertion = Insertion()
  let headCheck = HeadCheck()
  /// The bytes that were read to decode entries, and 32 for each block: the cost of a walk besides its
  /// steps.
  @exclusivity(unchecked) var loadedBytes = 0
  /// The size of a block from which on it is not read for a walk with few steps left.
  @exclusivity(unchecked) var loadAllowance = Int.max
  /// The number of entries that were looked at so far to find the heads of puts.
  @exclusivity(unchecked) var settlingLooks = 0
  /// The steps that writes have taken so far to merge what others wrote.
  package var mergedSteps: Int { insertion.allSteps }

  /// The keys that the writers' lists name.
  @exclusivity(unchecked) var namings = Namings()
  /// Feeds without a place that have a verified block, the first ``HyperDBLimits/waitingFeeds`` of them.
  var withoutPlace: [PublicKey: any EntryLog] = [:]
  /// Numbers that a feed has lost and no other has got yet.
  var vacantNumbers: [Int] = []
  var knownPlaces = -1
  var knownCandidates: (changes: Int, keys: [PublicKey]) = (-1, [])
  var knownNewcomers: (changes: Int, keys: [[PublicKey]]) = (-1, [])
  /// The number of keys that were named, and of blocks that came, since names were last looked at.
  var unsettledNames = 0
  var unsettledBlocks = 0
  /// Called with the number of a feed that loses its place, before another feed gets that number.
  package var onVacate: ((Int) -> Void)?

  /// The authorized feeds, in the order of authorization, which is the order of replication.
  package internal(set) var authorized: [Int] = []
  /// The number of changes of feeds so far: opened, authorized, lost or newly named ones.
  package internal(set) var feedChanges = 0

  /// Entries that can't be read, the first ``HyperDBLimits/rememberedIssues`` of them.
  package private(set) var issues: [HyperDBError] = []
  /// The number of entries that can't be read, in all.
  package private(set) var issueCount = 0

  /// The local cut; see `LocalCut`.
  @exclusivity(unchecked) var cut: [Int] = []
  @exclusivity(unchecked) var cutSnapshot: Snapshot?
  @exclusivity(unchecked) var latestSnapshot: Snapshot?

  /// Entries of a batch that are not appended yet, and the block of the first one.
  @exclusivity(unchecked) var pending: [EntryNode] = []
  @exclusivity(unchecked) var pendingStart = 0

  /// Opens a database.
  ///
  /// - Parameters:
  ///   - source: the feed whose key is the database's.
  ///   - local: the feed to write, if it is not the source; nil to open for reading only.
  /// - Throws: `HyperDBError` with code `notADatabase` if the source's first block is not a hyperdb
  ///   header, and whatever is wrong with the local feed's newest entry.
  package init(
    source: any EntryLog, local: (any EntryLog)?, options: Options = Options(),
    openFeed: @escaping OpenFeed
  ) throws {
    self.openFeed = openFeed
    self.options = options
    cache = EntryCache(limit: options.cacheBytes)
    let isIndexed = options.indexesPaths && !options.fetchesBlocks
    index = isIndexed ? PathIndex(bytes: options.cacheBytes / 2) : nil
    add(source)
    if source.isOwned {
      self.local = 0
    } else if let local, local.key != source.key {
      self.local = add(local)
    }
    for key in options.feedOrder where numbers[key] == nil {
      if let log = try openFeed(key) { add(log) }
    }
    authorize(0)
    if let header = try source.block(at: 0),
      codec.headerProtocol(header) != Array("hyperdb".utf8)
    {
      let reason =
        EntryScan.isEntryOfEarlyHyperDB(header)
        ? "Feed \(source.key) is a hyperdb of before May 2018 (3.0.0-0 to 3.0.0-4), whose entries are "
          + "others: copy its keys into a new one with the hyperdb that wrote it"
        : "Feed \(source.key) is \(FeedKind(firstBlock: header).name); its first block is not a database's."
      throw HyperDBError(.notADatabase, reason, feed: 0, seq: 0)
    }
    try openLocal()
  }

  /// Reads the local head, so that its list is known before the first write, and writes the header of a
  /// new feed.
  private func openLocal() throws {
    guard let local else { return }
    let log = writers[local].log
    if log.length == 0 {
      if log.isWritable { try log.append([EntryMessageCodec.header]) }
    } else if log.length > 1 {
      let place = FeedSequence(feed: local, seq: log.length - 1)
      if try node(at: place) == nil { throw fault(at: place) ?? unknownFault(place) }
    }
  }

  private func unknownFault(_ place: FeedSequence) -> HyperDBError {
    HyperDBError(
      .malformedEntry, "The entry in \(name(place)) can't be read", feed: place.feed, seq: place.seq
    )
  }

  // MARK: Feeds

  /// The database's key.
  package var key: PublicKey { writers[0].log.key }

  package func log(of feed: Int) -> any EntryLog { writers[feed].log }

  /// The number of a feed; nil if it isn't open.
  package func number(of key: PublicKey) -> Int? { numbers[key] }

  // MARK: Entries

  /// An entry; nil if what is stored there can't be read as one.
  ///
  /// - Throws: `MissingBlock` if it isn't stored here.
  package func node(at place: FeedSequence) throws -> EntryNode? { try load(place) }

  /// - Parameter isPassing: true if a walk merely passes through it. A walk that never comes back should
  ///   not evict what is cached.
  func load(_ place: FeedSequence, isPassing: Bool = false) throws -> EntryNode? {
    if !pending.isEmpty, place.seq >= pendingStart, place.feed == local {
      let index = place.seq - pendingStart
      return index < pending.count ? pending[index] : nil
    }
    switch cache[place] {
    case .node(let node): return node
    case .bad: return nil
    case .empty: break
    }
    guard place.seq > 0 else { return nil }
    try checkAllowance(place)
    guard let block = try writers[place.feed].log.block(at: place.seq) else {
      throw MissingBlock(feed: place.feed, seq: place.seq)
    }
    loadedBytes &+= block.count + 32
    do {
      let node = try decode(block, at: place)
      if !isPassing || cache.admits(place) { cache.insert(.node(node), at: place) }
      return node
    } catch let fault as HyperDBError where fault.isQuarantine {
      quarantine(fault, place)
      return nil
    }
  }

  /// The value of an entry. A large one is read again from its block.
  ///
  /// - Throws: `HyperDBError` if it is no longer stored here.
  package func value(of node: EntryNode) throws -> [UInt8]? {
    guard node.isValueApart else { return node.value }
    guard let block = try writers[node.feed].log.block(at: node.seq),
      let value = codec.withEntry(in: block, { $0.value.map { Array($0) } })
    else {
      throw HyperDBError(
        .feed, "The value in \(name(node.place)) is not here any more", feed: node.feed,
        seq: node.seq)
    }
    return value
  }

  /// Passes the value of an entry to `body`; see ``value(of:)``.
  func withValue<Result>(
    of node: EntryNode, _ body: (UnsafeBufferPointer<UInt8>?) throws -> Result
  ) throws -> Result {
    guard node.isValueApart, let value = try value(of: node) else {
      return try node.withValue(body)
    }
    return try value.withUnsafeBufferPointer { try body($0) }
  }

  /// The key and value of an entry, read from its block. The cache is neither asked nor filled, and the
  /// rest of the entry is not looked at. Nil if the block is not here or holds no entry.
  package func content(
    at place: FeedSequence
  ) throws -> (key: [UInt8], value: [UInt8]?, isDeleted: Bool)? {
    guard place.seq > 0, let block = try writers[place.feed].log.block(at: place.seq) else {
      return nil
    }
    return codec.withEntry(in: block) {
      (Array($0.key), $0.value.map { Array($0) }, $0.isDeleted)
    }
  }

  /// The blocks whose lists matter in a feed: those that named new feeds, and the newest.
  func namingLists(of feed: Int) -> [Int] {
    let newest = writers[feed].newestList?.seq
    return Set(namings.lists(of: feedKeys[feed]) + [newest].compactMap { $0 }).sorted()
  }

  /// Reads a block that was just stored, so that the feeds that it lists are opened at once.
  ///
  /// - Throws: `MissingBlock` if the list that it is read by is not here.
  package func inspect(feed: Int, seq: Int) throws {
    settleNamesInTime()
    _ = try node(at: FeedSequence(feed: feed, seq: seq))
  }

  /// Caches an entry that was just written here.
  func keep(_ node: EntryNode) { cache.insert(.node(node), at: node.place) }

  /// The index, for a read in the newest state if that has one head. It is built at the second read of a
  /// state: for a single read it isn't worth it.
  func index(for snapshot: Snapshot) -> PathIndex? {
    guard let index, snapshot.isBounded, snapshot.beside.isEmpty, snapshot.heads.count == 1
    else { return nil }
    let head = snapshot.heads[0].place
    if index.head == head { return index }
    guard cutSnapshot?.heads.count == 1, cutSnapshot?.heads[0] === snapshot.heads[0] else {
      return nil
    }
    if unindexedHead != head {
      unindexedHead = head
      return nil
    }
    index.reset(to: head)
    return index
  }

  /// Limits the cache to what the index leaves of the memory for both.
  func shareCache() { cache.limit = options.cacheBytes - (index?.byteCount ?? 0) }

  /// The key of a writer's content feed, as far as its lists were read.
  package func contentKey(of feed: Int) -> [UInt8]? { writers[feed].newestList?.contentKey }

  /// The name of an entry in an error.
  func name(_ place: FeedSequence) -> String {
    "block \(place.seq) of feed \(feedKeys[place.feed])"
  }

  /// Returns whether an entry leads to another one that it claims to know.
  func leads(_ newer: EntryNode, to older: EntryNode) throws -> Bool {
    try headCheck.leads(newer, to: older, self)
  }

  /// The entries that reads start from, given the newest entries of all feeds.
  ///
  /// - Parameter lengths: by feed, the number of blocks that a read takes into account; nil for those of the
  ///   last snapshot.
  func roots(
    of newest: [EntryNode], within lengths: [Int]? = nil
  ) throws -> (heads: [EntryNode], beside: [EntryNode]) {
    try headCheck.roots(of: newest, within: lengths, self)
  }

  // MARK: Quarantine

  private func quarantine(_ fault: HyperDBError, _ place: FeedSequence) {
    cache.insert(.bad, at: place)
    if issues.contains(where: { $0.feed == place.feed && $0.seq == place.seq }) { return }
    issueCount += 1
    if issues.count < HyperDBLimits.rememberedIssues { issues.append(fault) }
  }

  /// The error of a quarantined entry, if it is remembered.
  func fault(at place: FeedSequence) -> HyperDBError? {
    issues.first { $0.feed == place.feed && $0.seq == place.seq }
  }
}

extension HyperDBError {
  /// True if the error is about the bytes of one entry, which is then left out.
  var isQuarantine: Bool {
    switch code {
    case .malformedEntry, .missingFeedMappings, .malformedFeedList: true
    default: false
    }
  }
}
