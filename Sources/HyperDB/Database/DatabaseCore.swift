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

  let options: Options
  let openFeed: OpenFeed
  /// The feeds that have a place, by their numbers.
  @exclusivity(unchecked) var feeds: FeedTable
  /// The keys that writers name, and the feeds among them without a place.
  @exclusivity(unchecked) var admission = Admission()
  /// Called with the number of a feed that loses its place, before another feed gets that number.
  package var onVacate: ((Int) -> Void)?

  /// The way from blocks to entries and back.
  @exclusivity(unchecked) var coder = EntryCoder()
  /// The decoded entries, and the index of their paths.
  @exclusivity(unchecked) var memory: EntryMemory
  /// The cost of the blocks that walks read.
  @exclusivity(unchecked) var budget = LoadBudget()
  let walks = TrieWalks()
  /// The last snapshots.
  @exclusivity(unchecked) var snapshots = SnapshotCache()
  /// The entries that are written but not appended yet.
  @exclusivity(unchecked) var pending = PendingBatch()
  /// The entries that can't be read.
  private var unreadable = EntryIssues()

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
    feeds = FeedTable(fetchesBlocks: options.fetchesBlocks)
    memory = EntryMemory(
      limit: options.cacheBytes, isIndexed: options.indexesPaths && !options.fetchesBlocks)
    feeds.add(source)
    if source.isOwned {
      feeds.setLocal(0)
    } else if let local, local.key != source.key {
      feeds.setLocal(feeds.add(local))
    }
    for key in options.feedOrder where feeds.number(of: key) == nil {
      if let log = try openFeed(key) { feeds.add(log) }
    }
    authorize(feed: 0)
    if let header = try source.block(at: 0),
      coder.codec.headerProtocol(header) != Array("hyperdb".utf8)
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
    let log = feeds[local].log
    if log.length == 0 {
      if log.isWritable { try log.append([EntryMessageCodec.header]) }
    } else if log.length > 1 {
      let newest = FeedSequence(feed: local, seq: log.length - 1)
      if try node(at: newest) == nil { throw fault(at: newest) ?? unknownFault(newest) }
    }
  }

  private func unknownFault(_ location: FeedSequence) -> HyperDBError {
    HyperDBError(
      .malformedEntry, "The entry in \(name(location)) can't be read", feed: location.feed,
      seq: location.seq)
  }

  // MARK: Feeds

  /// The database's key.
  package var key: PublicKey { feeds.keys[0] }
  /// The key of every open feed, by number.
  package var feedKeys: [PublicKey] { feeds.keys }
  /// The number of feeds that have a place.
  package var feedCount: Int { feeds.count }
  /// The number of the feed that this replica writes; nil if it has none.
  package var local: Int? { feeds.local }
  /// The authorized feeds, in the order of authorization, which is the order of replication.
  package var authorized: [Int] { feeds.authorized }
  /// The number of changes of feeds so far: opened, authorized, lost or newly named ones.
  package var feedChanges: Int { feeds.changes }

  package func log(of feed: Int) -> any EntryLog { feeds[feed].log }

  /// The number of a feed; nil if it isn't open.
  package func number(of key: PublicKey) -> Int? { feeds.number(of: key) }

  // MARK: Costs

  var hash: PathHash { options.hash }
  /// The bytes that were read to decode entries, and 32 for each block.
  var loadedBytes: Int { budget.loadedBytes }
  /// The steps that writes have taken so far to merge what others wrote.
  package var mergedSteps: Int { walks.insertion.allSteps }

  // MARK: Entries

  /// An entry; nil if what is stored there can't be read as one.
  ///
  /// - Throws: `MissingBlock` if it isn't stored here.
  package func node(at location: FeedSequence) throws -> EntryNode? { try load(location) }

  /// - Parameter isPassing: true if a walk merely passes through it. A walk that never comes back should
  ///   not evict what is cached.
  func load(_ location: FeedSequence, isPassing: Bool = false) throws -> EntryNode? {
    if pending.reaches(location) { return pending.node(at: location) }
    switch memory.entries[location] {
    case .node(let node): return node
    case .bad: return nil
    case .empty: break
    }
    guard location.seq > 0 else { return nil }
    try checkAllowance(location)
    guard let block = try feeds[location.feed].log.block(at: location.seq) else {
      throw MissingBlock(feed: location.feed, seq: location.seq)
    }
    budget.charge(block.count + 32)
    do {
      let node = try decode(block, at: location)
      if !isPassing || memory.entries.admits(location) {
        memory.entries.insert(.node(node), at: location)
      }
      return node
    } catch let fault as HyperDBError where fault.isQuarantine {
      memory.entries.insert(.bad, at: location)
      unreadable.add(fault, at: location)
      return nil
    }
  }

  /// The value of an entry. A large one is read again from its block.
  ///
  /// - Throws: `HyperDBError` if it is no longer stored here.
  package func value(of node: EntryNode) throws -> [UInt8]? {
    guard node.isValueApart else { return node.value }
    guard let block = try feeds[node.feed].log.block(at: node.seq),
      let value = coder.codec.withEntry(in: block, { $0.value.map { Array($0) } })
    else {
      throw HyperDBError(
        .feed, "The value in \(name(node.location)) is not here any more", feed: node.feed,
        seq: node.seq)
    }
    return value
  }

  /// The key and value of an entry, read from its block. The cache is neither asked nor filled, and the
  /// rest of the entry is not looked at. Nil if the block is not here or holds no entry.
  package func content(
    at location: FeedSequence
  ) throws -> (key: [UInt8], value: [UInt8]?, isDeleted: Bool)? {
    guard location.seq > 0, let block = try feeds[location.feed].log.block(at: location.seq) else {
      return nil
    }
    return coder.codec.withEntry(in: block) {
      (Array($0.key), $0.value.map { Array($0) }, $0.isDeleted)
    }
  }

  /// The blocks whose lists matter in a feed: those that named new feeds, and the newest.
  func namingLists(of feed: Int) -> [Int] {
    let newest = feeds[feed].newestList?.seq
    return Set(admission.namings.lists(of: feeds.keys[feed]) + [newest].compactMap { $0 }).sorted()
  }

  /// Reads a block that was just stored, so that the feeds that it lists are opened at once.
  ///
  /// - Throws: `MissingBlock` if the list that it is read by is not here.
  package func inspect(feed: Int, seq: Int) throws {
    reviewNamesIfDue()
    _ = try node(at: FeedSequence(feed: feed, seq: seq))
  }

  /// The index, for a read in the newest state if that has one head.
  func index(for snapshot: Snapshot) -> PathIndex? {
    memory.index(for: snapshot, in: snapshots.local)
  }

  /// The key of a writer's content feed, as far as its lists were read.
  package func contentKey(of feed: Int) -> [UInt8]? { feeds[feed].newestList?.contentKey }

  /// The name of an entry in an error.
  func name(_ location: FeedSequence) -> String {
    "block \(location.seq) of feed \(feeds.keys[location.feed])"
  }

  /// Returns whether an entry leads to another one that it claims to know.
  func leads(_ newer: EntryNode, to older: EntryNode) throws -> Bool {
    try walks.headCheck.leads(newer, to: older, self)
  }

  /// The entries that reads start from, given the newest entries of all feeds.
  ///
  /// - Parameter lengths: by feed, the number of blocks that a read takes into account; nil for those of the
  ///   last snapshot.
  func roots(
    of newest: [EntryNode], within lengths: [Int]? = nil
  ) throws -> (heads: [EntryNode], beside: [EntryNode]) {
    try walks.headCheck.roots(of: newest, within: lengths, self)
  }

  // MARK: Issues

  /// The errors of entries that can't be read, the first ``HyperDBLimits/rememberedIssues`` of them.
  package var issues: [HyperDBError] { unreadable.remembered }
  /// The number of entries that can't be read, in all.
  package var issueCount: Int { unreadable.count }

  /// The error of an entry that can't be read, if it is remembered.
  func fault(at location: FeedSequence) -> HyperDBError? { unreadable.fault(at: location) }
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
