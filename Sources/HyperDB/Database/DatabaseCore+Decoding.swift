internal import DatCoding
internal import HypercoreCrypto

/// Decoding of blocks, by the lists of feeds that these are read by.
extension DatabaseCore {
  /// Runs a walk's next step, in which no block of more than so many bytes is read.
  ///
  /// - Throws: ``OversizedBlock`` instead of reading one.
  func withAllowance<Result>(_ bytes: Int, _ body: () throws -> Result) throws -> Result {
    let before = budget.allow(bytes)
    defer { _ = budget.allow(before) }
    return try body()
  }

  /// Refuses a block that is larger than the walk that needs it may read.
  func checkAllowance(_ location: FeedSequence) throws {
    guard !budget.allowsAll, let size = feeds[location.feed].log.byteCount(at: location.seq),
      size > budget.allowance
    else { return }
    throw OversizedBlock()
  }

  /// The entry in a block.
  func decode(_ block: [UInt8], at location: FeedSequence) throws -> EntryNode {
    var list: FeedList?
    while true {
      var seq = 0
      // Nothing else can be decoded as long as the fields are shown, the list neither.
      let node = try coder.codec.withEntry(in: block) { fields -> EntryNode?? in
        guard let inflate = fields.inflate, inflate > 0, inflate <= UInt64(location.seq) else {
          throw HyperDBError(
            .malformedFeedList,
            "The entry in \(name(location)) names block \(fields.inflate ?? 0) as its list, which can't "
              + "be one", feed: location.feed, seq: location.seq)
        }
        seq = Int(inflate)
        let known = list ?? feeds[location.feed].list(at: seq)
        return .some(
          try known.map { list in
            try self.coder.node(of: fields, by: list, at: location, name: self.name(location))
          })
      }
      guard let node else {
        throw HyperDBError(
          .malformedEntry, "The entry in \(name(location)) is not an entry of a hyperdb",
          feed: location.feed, seq: location.seq)
      }
      if let node { return node }
      list = try self.list(at: seq, of: location, block: block)
    }
  }

  /// The list in block `seq` of the feed that `location` is in.
  private func list(at seq: Int, of location: FeedSequence, block: [UInt8]) throws -> FeedList {
    let writer = feeds[location.feed]
    if let known = writer.list(at: seq) { return known }
    let listBlock: [UInt8]
    if seq != location.seq { try checkAllowance(FeedSequence(feed: location.feed, seq: seq)) }
    if seq == location.seq {
      listBlock = block
    } else if let stored = try writer.log.block(at: seq) {
      listBlock = stored
    } else {
      throw MissingBlock(feed: location.feed, seq: seq)
    }
    guard let message = coder.codec.decode(listBlock, inflated: true), let keys = message.feeds,
      !keys.isEmpty
    else {
      throw HyperDBError(
        .malformedFeedList,
        "The entry in \(name(location)) takes its list of feeds from block \(seq), which has none",
        feed: location.feed, seq: location.seq)
    }
    budget.charge(listBlock.count)
    guard
      Set(keys.prefix(HyperDBLimits.listedKeys)).count
        == min(keys.count, HyperDBLimits.listedKeys)
    else {
      throw HyperDBError(
        .malformedFeedList,
        "The list of feeds in block \(seq) of feed \(feeds.keys[location.feed]) has a key twice",
        feed: location.feed, seq: location.seq)
    }
    let named = keys.map { PublicKey(bytes: $0) }
    // Only one's own list is written again.
    let list = FeedList(
      seq: seq, keyCount: keys.count, keys: location.feed == local ? keys : [],
      decodeMap: try numbers(of: named),
      contentKey: message.contentFeed.flatMap { $0.count == PublicKey.byteCount ? $0 : nil })
    learn(
      list, named, isAuthorization: message.key.isEmpty && message.value == nil, from: location.feed
    )
    return list
  }
}
