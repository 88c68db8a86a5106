internal import DatCoding
internal import HypercoreCrypto

/// From blocks to entries, and the lists that these are read by.
extension DatabaseCore {
  /// Runs a walk's next step, in which no block of more than so many bytes is read.
  ///
  /// - Throws: ``OversizedBlock`` instead of reading one.
  func withAllowance<Result>(_ bytes: Int, _ body: () throws -> Result) throws -> Result {
    let before = loadAllowance
    loadAllowance = bytes
    defer { loadAllowance = before }
    return try body()
  }

  /// Refuses a block that is larger than the walk that needs it may read.
  func checkAllowance(_ place: FeedSequence) throws {
    guard loadAllowance < .max, let size = writers[place.feed].log.byteCount(at: place.seq),
      size > loadAllowance
    else { return }
    throw OversizedBlock()
  }

  /// The entry in a block.
  func decode(_ block: [UInt8], at place: FeedSequence) throws -> EntryNode {
    var list: FeedList?
    while true {
      var seq = 0
      // Nothing else can be decoded as long as the fields are shown, the list neither.
      let node = try codec.withEntry(in: block) { fields -> EntryNode?? in
        guard let inflate = fields.inflate, inflate > 0, inflate <= UInt64(place.seq) else {
          throw HyperDBError(
            .malformedFeedList,
            "The entry in \(name(place)) names block \(fields.inflate ?? 0) as its list, which can't "
              + "be one", feed: place.feed, seq: place.seq)
        }
        seq = Int(inflate)
        let known = list ?? writers[place.feed].list(at: seq)
        return .some(try known.map { try self.node(of: fields, by: $0, at: place) })
      }
      guard let node else {
        throw HyperDBError(
          .malformedEntry, "The entry in \(name(place)) is not an entry of a hyperdb",
          feed: place.feed, seq: place.seq)
      }
      if let node { return node }
      list = try self.list(at: seq, of: place, block: block)
    }
  }

  private func node(
    of fields: EntryFields, by list: FeedList, at place: FeedSequence
  ) throws -> EntryNode {
    guard let clockCount = list.clockCount(of: fields.clock, at: place) else {
      throw HyperDBError(
        .missingFeedMappings,
        "Missing feed mappings: the entry in \(name(place)) counts \(fields.clock.count) feeds, its "
          + "list has \(list.keyCount)", feed: place.feed, seq: place.seq)
    }
    defer { trieScratch.trim() }
    do throws(TrieCoding.Fault) {
      try TrieCoding.decode(
        fields.trie, by: list, owner: place, scratch: &trieScratch)
    } catch {
      throw HyperDBError(
        .malformedEntry, "The entry in \(name(place)) is left out: \(error.reason)",
        feed: place.feed, seq: place.seq)
    }
    if fields.key.count > HyperDBLimits.readSegments {
      let segments = EntryKey.segments(fields.key)
      if segments > HyperDBLimits.readSegments {
        throw HyperDBError(
          .malformedEntry,
          "The key of the entry in \(name(place)) has \(segments) segments; at most "
            + "\(HyperDBLimits.readSegments) are read", feed: place.feed, seq: place.seq)
      }
    }
    let valueCount = fields.value?.count ?? 0
    let isApart = valueCount > EntryNode.keptValue
    let entries = trieScratch.entries
    let isWide = Trie.isWide(entries)
    return EntryNode.make(
      EntryNode.Parts(
        place: place, key: fields.key, value: isApart ? nil : fields.value,
        apartCount: isApart ? valueCount : 0, isDeleted: fields.isDeleted, inflate: list.seq),
      clockCount: clockCount, trieCount: Trie.wordCount(entries, isWide: isWide), isWide: isWide
    ) { words, clock in
      Trie.write(entries, isWide: isWide, to: words)
      list.decode(fields.clock, at: place, to: clock, count: clockCount)
    }
  }

  /// The list in block `seq` of the feed that `place` is in.
  private func list(at seq: Int, of place: FeedSequence, block: [UInt8]) throws -> FeedList {
    let writer = writers[place.feed]
    if let known = writer.list(at: seq) { return known }
    let listBlock: [UInt8]
    if seq != place.seq { try checkAllowance(FeedSequence(feed: place.feed, seq: seq)) }
    if seq == place.seq {
      listBlock = block
    } else if let stored = try writer.log.block(at: seq) {
      listBlock = stored
    } else {
      throw MissingBlock(feed: place.feed, seq: seq)
    }
    guard let message = codec.decode(listBlock, inflated: true), let keys = message.feeds,
      !keys.isEmpty
    else {
      throw HyperDBError(
        .malformedFeedList,
        "The entry in \(name(place)) takes its list of feeds from block \(seq), which has none",
        feed: place.feed, seq: place.seq)
    }
    loadedBytes &+= listBlock.count
    guard
      Set(keys.prefix(HyperDBLimits.listedKeys)).count
        == min(keys.count, HyperDBLimits.listedKeys)
    else {
      throw HyperDBError(
        .malformedFeedList,
        "The list of feeds in block \(seq) of feed \(feedKeys[place.feed]) has a key twice",
        feed: place.feed, seq: place.seq)
    }
    let named = keys.map { PublicKey(bytes: $0) }
    // Only one's own list is written again.
    let list = FeedList(
      seq: seq, keyCount: keys.count, keys: place.feed == local ? keys : [],
      decodeMap: try numbers(of: named),
      contentKey: message.contentFeed.flatMap { $0.count == PublicKey.byteCount ? $0 : nil })
    learn(
      list, named, isAuthorization: message.key.isEmpty && message.value == nil, from: place.feed)
    return list
  }
}

/// A block is larger than a walk has steps left for.
struct OversizedBlock: Error {}
