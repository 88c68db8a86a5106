internal import HypercoreCrypto

/// One change of a batch.
package struct Change: Sendable {
  package var key: [UInt8]
  /// Nil for a delete, and for a value that a codec has no bytes for.
  package var value: [UInt8]?
  package var isDelete: Bool

  package init(key: [UInt8], value: [UInt8]?, isDelete: Bool) {
    self.key = key
    self.value = value
    self.isDelete = isDelete
  }

  package static func put(_ key: [UInt8], _ value: [UInt8]?) -> Change {
    Change(key: key, value: value, isDelete: false)
  }

  package static func delete(_ key: [UInt8]) -> Change {
    Change(key: key, value: nil, isDelete: true)
  }
}

extension DatabaseCore {
  /// Writes a value. It never waits, and builds only on what is stored here.
  ///
  /// Source: hyperdb `index.js`, `put`.
  @discardableResult
  package func put(_ key: [UInt8], _ value: [UInt8]?) throws -> EntryNode {
    try write([.put(key, value)])[0]
  }

  /// Deletes a key, even if it has no value.
  @discardableResult
  package func delete(_ key: [UInt8]) throws -> EntryNode {
    try write([.delete(key)])[0]
  }

  /// Writes a value unless the key has entries; a delete counts as one.
  ///
  /// - Returns: the new entry and no others, or nil and the entries that exist.
  package func putIfAbsent(
    _ key: [UInt8], _ value: [UInt8]?
  ) throws -> (written: EntryNode?, existing: [EntryNode]) {
    let existing = try get(key, GetOptions(deletes: true), in: snapshot(.local))
    if !existing.isEmpty { return (nil, existing) }
    return (try put(key, value), [])
  }

  /// Writes several changes in one append: all of them or none.
  ///
  /// Source: hyperdb `index.js`, `batch`.
  @discardableResult
  package func write(_ changes: [Change]) throws -> [EntryNode] {
    try write(changes, lettingIn: nil)
  }

  /// - Parameter newcomer: the key of a feed to list as well.
  private func write(_ changes: [Change], lettingIn newcomer: PublicKey?) throws -> [EntryNode] {
    if changes.isEmpty { return [] }
    guard let local, feeds[local].log.isWritable else {
      throw HyperDBError(
        .notWritable, "This replica has no feed of its own to write to")
    }
    for change in changes where newcomer == nil { try Self.check(change) }
    let snapshot = try snapshot(.local)
    let writer = feeds[local]
    let start = writer.log.length
    pending.begin(at: FeedSequence(feed: local, seq: start))
    defer { pending.end() }
    var isWritten = false
    defer { if !isWritten { memory.index?.reset(to: nil) } }

    let list = try writableList(of: writer, seq: start, newcomer)
    let encodeMap = list.encodeMap(feedCount: feeds.writers.count)
    var clock = snapshot.lengths.map { UInt64($0) }
    var blocks: [[UInt8]] = []
    blocks.reserveCapacity(changes.count)
    var written: [EntryNode] = []
    written.reserveCapacity(changes.count)
    var heads = snapshot.roots(raw: false)
    var mergesAll = true
    for change in changes {
      let seq = start + blocks.count
      let key = EntryKey.normalize(change.key)
      let path = hash.path(of: key, terminated: true)
      let location = FeedSequence(feed: local, seq: seq)
      let merge = try Merging(self, key, path, location, snapshot, encodeMap).run(heads)
      if let less = merge.clock {
        clock = less
        mergesAll = false
      }
      clock[local] = UInt64(seq) + 1
      let node = EntryNode.make(
        location: location, key: key, value: change.value,
        isDeleted: change.isDelete, clock: clock, trie: merge.trie, inflate: list.seq, path: path)
      blocks.append(try encode(node, list, encodeMap))
      written.append(node)
      pending.append(node.kept)
      heads = [pending.nodes[pending.nodes.count - 1]]
    }
    try writer.log.append(blocks)
    isWritten = true
    commit(pending.nodes, list, snapshot, mergesAll: mergesAll)
    return written
  }

  /// - Parameter mergesAll: true if the new entries knew the whole cut, so that the last is the only head.
  private func commit(
    _ nodes: [EntryNode], _ list: FeedList, _ snapshot: Snapshot, mergesAll: Bool
  ) {
    guard let local, let last = nodes.last else { return }
    let writer = feeds[local]
    if writer.newestList !== list {
      let isAuthorization = nodes[0].keyCount == 0 && nodes[0].valueCount == 0 && !nodes[0].hasValue
      let keys = list.keys.map { PublicKey(bytes: $0) }
      learn(list, keys, isAuthorization: isAuthorization, from: local)
    }
    for node in nodes { memory.entries.insert(.node(node), at: node.location) }
    _ = writer.extendPrefix()
    snapshots.extend(snapshot, by: last, isOnlyHead: mergesAll)
    memory.share()
  }

  private static func check(_ change: Change) throws {
    let key = EntryKey.normalize(change.key)
    if EntryKey.isEmpty(key) {
      throw HyperDBError(
        .emptyKey, "The key is empty: give it a name, such as \"a\" or \"a/b\"")
    }
    if key.count > HyperDBLimits.keyBytes {
      throw HyperDBError(
        .keyTooLong,
        "The key has \(change.key.count) bytes; at most \(HyperDBLimits.keyBytes) are written")
    }
    let segments = EntryKey.segments(key)
    if segments > HyperDBLimits.keySegments {
      throw HyperDBError(
        .keyTooLong,
        "The key has \(segments) segments; at most \(HyperDBLimits.keySegments) are written")
    }
    if let value = change.value, value.count > HyperDBLimits.entryBytes {
      throw HyperDBError(
        .entryTooLarge,
        "The value has \(value.count) bytes; with its key it has to fit \(HyperDBLimits.entryBytes)"
      )
    }
  }

  /// The list for the next entry: the writer's own, or a longer one if feeds have come since.
  ///
  /// It names the feeds that have a place and those that this writer let in. So keys that others named and
  /// that have no feed are not named again. Positions never change: missing feeds are appended in the
  /// database's order, a newcomer last. Once ``HyperDBLimits/unprovenNewcomers`` have no block yet, a
  /// newcomer takes the position of the first of them, which no entry counts or points to.
  private func writableList(
    of writer: Writer, seq: Int, _ newcomer: PublicKey?
  ) throws -> FeedList {
    var known = writer.newestList
    if known == nil, seq > 1 {
      _ = try node(at: FeedSequence(feed: writer.id, seq: seq - 1))
      known = writer.newestList
    }
    let listed = known?.decodeMap ?? []
    let missing = feeds.occupied.filter { !listed.contains($0) }
    var keys = known?.keys ?? []
    let repeated =
      options.repeatsKeys ? candidates.map(\.bytes).filter { !keys.contains($0) } : []
    if let known, missing.isEmpty, newcomer == nil, repeated.isEmpty { return known }
    keys += missing.map { feeds.keys[$0].bytes } + repeated
    if let newcomer, feeds.number(of: newcomer) == nil {
      if let index = admission.replaceable(in: keys, feeds) {
        keys[index] = newcomer.bytes
      } else {
        keys.append(newcomer.bytes)
      }
    }
    return FeedList(
      seq: seq, keyCount: keys.count, keys: keys, decodeMap: feeds.decodeMap(of: keys),
      contentKey: options.contentKey)
  }

  private func encode(_ node: EntryNode, _ list: FeedList, _ encodeMap: [Int]) throws -> [UInt8] {
    let value = node.isValueApart ? try value(of: node) : nil
    return try coder.encode(node, value: value, list, encodeMap: encodeMap)
  }

  /// The bytes of an entry as they are in its feed, encoded anew from what was decoded.
  ///
  /// Source of the comparison: every `raw` of `hyperdbs/manifest.json`.
  package func reencode(_ node: EntryNode) throws -> [UInt8]? {
    guard var list = feeds[node.feed].list(at: node.inflate) else { return nil }
    if list.keys.isEmpty, let block = try feeds[node.feed].log.block(at: list.seq),
      let keys = coder.codec.decode(block, inflated: true)?.feeds
    {
      list = FeedList(
        seq: list.seq, keyCount: keys.count, keys: keys, decodeMap: list.decodeMap,
        contentKey: list.contentKey)
    }
    return try encode(node, list, list.encodeMap(feedCount: feeds.writers.count))
  }

  /// The trie that an entry of `key` gets when it is written on top of `heads`.
  package func trie(for key: [UInt8], on heads: [EntryNode]) throws -> Trie {
    let snapshot = Snapshot(heads: heads, lengths: [], isBounded: false)
    return try walks.insertion.run(
      self, key: key, path: hash.path(of: key, terminated: true), heads: heads, in: snapshot,
      location: nil, bounds: Insertion.Bounds(steps: HyperDBLimits.lookupSteps))
  }

  // MARK: Authorizing

  /// Lists a feed as one of the database's writers, for good.
  ///
  /// - Returns: the entry that lists it; nil if it was listed before, and nothing was written.
  /// - Throws: `HyperDBError` with code `invalidKey` for anything but 32 bytes, `tooManyFeeds`.
  ///
  /// Source: hyperdb `index.js`, `authorize`, which writes a useless entry the second time.
  @discardableResult
  package func authorize(_ key: [UInt8]) throws -> EntryNode? {
    guard let key = PublicKey(bytes: key) else {
      throw HyperDBError(.invalidKey, "A feed's key has 32 bytes, this one has \(key.count)")
    }
    guard let local, feeds[local].log.isWritable else {
      throw HyperDBError(
        .notWritable, "This replica has no feed of its own to write to")
    }
    if let known = feeds.number(of: key), feeds[known].isAuthorized { return nil }
    if feeds[local].newestList?.keys.contains(key.bytes) == true { return nil }
    guard feeds.number(of: key) != nil || feeds.hasPlace else {
      throw HyperDBError(
        .tooManyFeeds,
        "The database has \(feeds.writers.count) feeds; more than that no other implementation can follow"
      )
    }
    if feeds.number(of: key) == nil, let log = try openFeed(key), try isProven(log) {
      if admission.namings.isNoted(key) { try admit(log) } else { feeds.add(log) }
    }
    return try write([.put([], nil)], lettingIn: key)[0]
  }
}
