internal import DatCoding

/// The way from a block to an entry and back, with the buffers that one entry after the other uses.
struct EntryCoder {
  let codec = EntryMessageCodec()
  private var scratch = TrieCoding.Scratch()
  private let room = TrieCoding.Room()

  // MARK: Decoding

  /// Returns whether a trie was read that points to a feed without a number, since this was last asked.
  mutating func resetLeftOut() -> Bool {
    defer { scratch.hasLeftOut = false }
    return scratch.hasLeftOut
  }

  /// Makes an entry of the fields of a block.
  ///
  /// - Parameters:
  ///   - list: the list of feeds that the entry is read by.
  ///   - name: the entry's name in an error.
  mutating func node(
    of fields: EntryFields, by list: FeedList, at location: FeedSequence,
    name: @autoclosure () -> String
  ) throws -> EntryNode {
    func fault(_ code: HyperDBError.Code, _ reason: String) -> HyperDBError {
      HyperDBError(code, reason, feed: location.feed, seq: location.seq)
    }
    guard let clockCount = list.clockCount(of: fields.clock, at: location) else {
      throw fault(
        .missingFeedMappings,
        "Missing feed mappings: the entry in \(name()) counts \(fields.clock.count) feeds, its "
          + "list has \(list.keyCount)")
    }
    defer { scratch.trim() }
    do throws(TrieCoding.Fault) {
      try TrieCoding.decode(fields.trie, by: list, owner: location, scratch: &scratch)
    } catch {
      throw fault(.malformedEntry, "The entry in \(name()) is left out: \(error.reason)")
    }
    if fields.key.count > HyperDBLimits.readSegments {
      let segments = EntryKey.segments(fields.key)
      if segments > HyperDBLimits.readSegments {
        throw fault(
          .malformedEntry,
          "The key of the entry in \(name()) has \(segments) segments; at most "
            + "\(HyperDBLimits.readSegments) are read")
      }
    }
    let valueCount = fields.value?.count ?? 0
    let isApart = valueCount > EntryNode.keptValue
    let entries = scratch.entries
    let isWide = Trie.isWide(entries)
    return EntryNode.make(
      EntryNode.Parts(
        location: location, key: fields.key, value: isApart ? nil : fields.value,
        apartCount: isApart ? valueCount : 0, isDeleted: fields.isDeleted, inflate: list.seq),
      clockCount: clockCount, trieCount: Trie.wordCount(entries, isWide: isWide), isWide: isWide
    ) { words, clock in
      Trie.write(entries, isWide: isWide, to: words)
      list.decode(fields.clock, at: location, to: clock, count: clockCount)
    }
  }

  // MARK: Encoding

  /// The number of bytes that a trie takes in a block.
  func byteCount(_ trie: Trie, encodeMap: [Int]) -> Int {
    room.fill(trie, encodeMap: encodeMap).count
  }

  /// Returns the block of an entry.
  ///
  /// - Parameters:
  ///   - value: the entry's value, if that is kept apart.
  ///   - list: the list of feeds that the entry is read by. The block has it if the entry is the first to be.
  ///   - encodeMap: for each feed of the open database, its number in the list.
  func encode(
    _ node: EntryNode, value: [UInt8]?, _ list: FeedList, encodeMap: [Int]
  ) throws -> [UInt8] {
    let trie = room.fill(node.trie, encodeMap: encodeMap)
    if trie.count > HyperDBLimits.trieBytes {
      throw HyperDBError(
        .entryTooLarge,
        "The index of the entry would take \(trie.count) bytes; other implementations read "
          + "at most \(HyperDBLimits.trieBytes)")
    }
    let block: [UInt8]
    let clock = list.encode(clock: node.clock)
    if list.seq == node.seq {
      var message = EntryMessage(key: node.key, value: value ?? node.value)
      message.deleted = node.isDeleted
      message.trie = Array(trie)
      message.clock = clock
      message.inflate = UInt64(list.seq)
      message.feeds = list.keys
      message.contentFeed = list.contentKey
      block = codec.encode(message)
    } else if let value {
      block = value.withUnsafeBufferPointer {
        codec.encode(node, value: $0, trie: trie, clock: clock, inflate: list.seq)
      }
    } else {
      block = node.withValue {
        codec.encode(node, value: $0, trie: trie, clock: clock, inflate: list.seq)
      }
    }
    if block.count > HyperDBLimits.entryBytes {
      throw HyperDBError(
        .entryTooLarge,
        "The entry would take \(block.count) bytes; at most \(HyperDBLimits.entryBytes) fit")
    }
    return block
  }
}
