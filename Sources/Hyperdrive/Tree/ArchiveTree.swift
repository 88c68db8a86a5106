/// The entries of one archive, decoded on demand and cached within a budget.
///
/// Plain synchronous code over a ``MetadataSource``. If an entry is not stored here, it throws
/// ``MissingEntries``.
package final class ArchiveTree {
  package let source: any MetadataSource
  let codec = ArchiveMessageCodec()
  private var cache: NodeCache
  /// Entries that can't be read, the first ``ArchiveLimits/rememberedIssues`` of them.
  package private(set) var issues: [UInt64: ArchiveError] = [:]

  package init(_ source: any MetadataSource, cacheBytes: Int = ArchiveLimits.cacheBytes) {
    self.source = source
    cache = NodeCache(limit: cacheBytes)
  }

  /// The bytes of decoded entries to cache.
  var cacheBytes: Int {
    get { cache.limit }
    set { cache.limit = newValue }
  }

  /// The number of entries of lists that were looked at so far, by which walks are charged.
  private(set) var steps: UInt64 = 0

  /// Counts a look at entries of a list.
  func countSteps(_ count: Int) { steps &+= UInt64(count) }

  /// Entries that are made and not appended yet: they follow those of the source.
  private(set) var staged: [ArchiveNode] = []

  /// The newest version: the last entry's seq; 0 for an archive without entries.
  package var version: UInt64 {
    (source.length > 0 ? source.length - 1 : 0) + UInt64(staged.count)
  }

  /// Returns an entry; nil if what is stored there can't be read as one.
  ///
  /// - Throws: ``MissingEntries`` if it isn't stored here.
  package func node(_ seq: UInt64) throws -> ArchiveNode? {
    if let known = cache[seq] { return known }
    guard seq > 0 else { return nil }
    if !staged.isEmpty, seq >= source.length {
      let index = seq - source.length
      return index < UInt64(staged.count) ? staged[Int(index)] : nil
    }
    guard let block = try source.block(at: seq) else { throw MissingEntries(seqs: [seq]) }
    switch decode(block, at: seq) {
    case .success(let node):
      let kept = node.withoutLargeIndex
      cache.insert(kept)
      return kept
    case .failure(let fault):
      if issues.count < ArchiveLimits.rememberedIssues { issues[seq] = fault }
      return nil
    }
  }

  /// A list that was read up to the first entry that isn't here, so that the read which is run again once more
  /// entries have come decodes none of them twice. Of one list at a time, and no longer than the list.
  private var unfinished: (list: [UInt64], count: Int, nodes: [ArchiveNode])?

  /// A search of an entry's list for a path, from the newest down to the first that isn't here, for the same reason.
  struct Search {
    let head: UInt64
    let shared: Int
    let path: ArchivePath
    /// The number of entries that were not looked at.
    let left: Int
  }

  /// The search that was broken off last.
  var unfinishedSearch: Search?

  /// Returns the readable entries of a list.
  ///
  /// - Throws: ``MissingEntries`` with all that aren't stored here, up to a limit.
  func nodes(_ seqs: [UInt64]) throws -> [ArchiveNode] {
    countSteps(seqs.count)
    var (count, nodes) = (0, [ArchiveNode]())
    // Other lists may be read first when a read is run again, and leave it as it is.
    if let begun = unfinished, begun.list == seqs {
      (count, nodes) = (begun.count, begun.nodes)
      unfinished = nil
    }
    nodes.reserveCapacity(seqs.count)
    var missing: [UInt64] = []
    for index in seqs.indices.dropFirst(count) {
      do {
        let node = try node(seqs[index])
        if missing.isEmpty {
          count = index + 1
          if let node { nodes.append(node) }
        }
      } catch let gap as MissingEntries {
        missing += gap.seqs
        if missing.count >= ArchiveLimits.missingAtOnce { break }
      }
    }
    if missing.isEmpty { return nodes }
    unfinished = (seqs, count, nodes)
    throw MissingEntries(seqs: missing)
  }

  /// The large index that was read last, and the names of the folder that was written to last.
  var recent = RecentFolder()

  /// Stages an entry, to be appended with others.
  func stage(_ node: ArchiveNode) {
    recent.note(node)
    staged.append(node)
  }

  /// Ends a batch, whether or not its entries were appended.
  func endStaging(appended: Bool) {
    if appended {
      for node in staged { cache.insert(node.withoutLargeIndex) }
    } else {
      recent = RecentFolder()
      // Other entries will have these seqs.
      (unfinished, unfinishedSearch) = (nil, nil)
    }
    staged = []
  }

  /// Decodes a block as entry `seq`.
  package func decode(_ block: [UInt8], at seq: UInt64) -> Result<ArchiveNode, ArchiveError> {
    func damage(_ what: String) -> Result<ArchiveNode, ArchiveError> {
      .failure(ArchiveError(.damagedEntry, "Entry \(seq) is left out: \(what).", seq: seq))
    }
    guard let message = codec.decode(block) else { return damage("it is not an archive's entry") }
    guard message.name.count <= ArchiveLimits.readNameBytes else {
      return damage("its name has \(message.name.count) bytes")
    }
    let path = ArchivePath(stored: message.name)
    guard path.count <= ArchiveLimits.readComponents else {
      return damage("its name has \(path.count) parts")
    }
    var stat: FileStat?
    if let value = message.value {
      guard let found = codec.decodeStat(value) else { return damage("its stat can't be read") }
      stat = found.stat
    }
    guard let index = EntryIndex(message.paths ?? [], of: seq) else {
      return damage("its index is damaged")
    }
    return .success(ArchiveNode(ArchiveEntry(seq: seq, path: path, stat: stat), index: index))
  }
}

/// A cache of decoded entries within a budget of bytes: two generations, of which the older is evicted whole.
struct NodeCache {
  var limit: Int {
    didSet { if limit < oldValue { old = [:] } }
  }
  private var young: [UInt64: ArchiveNode] = [:]
  private var old: [UInt64: ArchiveNode] = [:]
  private var youngBytes = 0

  init(limit: Int) { self.limit = limit }

  subscript(seq: UInt64) -> ArchiveNode? {
    mutating get {
      if let node = young[seq] { return node }
      guard let node = old.removeValue(forKey: seq) else { return nil }
      insert(node)
      return node
    }
  }

  mutating func insert(_ node: ArchiveNode) {
    if young.updateValue(node, forKey: node.seq) == nil { youngBytes += node.byteCount }
    if youngBytes > limit / 2 {
      old = young
      young = [:]
      youngBytes = 0
    }
  }
}
