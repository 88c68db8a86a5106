internal import DatCoding

/// The blocks that a peer says it has, and the questions about them.
///
/// All of it is a hint about which peer to request a block from, never a proof. A bitmap of a peer is taken from the
/// memory of its connection; claims beyond that are dropped.
struct RemoteBlocks {
  /// The most questions that are open at a time.
  private static let openLimit = 16

  /// The blocks that it said it has.
  private(set) var blocks: BlockSet
  /// The highest block that it ever said it has, plus one.
  private(set) var length: UInt64 = 0
  /// The number of blocks from the first one on that it has said to have, without a gap, as far as they were counted.
  private var prefix: UInt64 = 0
  private var askedRegions: Set<UInt64> = []
  private var openQuestions = 0

  init(memory: PeerMemory) { blocks = BlockSet(memory: memory) }

  // MARK: Questions

  /// True if the peer has yet to say what it has of a region.
  var isAsked: Bool { openQuestions > 0 }

  /// True if one more question may be open.
  var canAsk: Bool { openQuestions < Self.openLimit }

  /// The number of regions that it was asked about.
  var askedCount: Int { askedRegions.count }

  /// Records that the peer is asked about a region.
  ///
  /// - Returns: false if it was asked before, too many questions are open, or the region is beyond what can be asked.
  mutating func ask(region: UInt64) -> Bool {
    guard canAsk, region * ReplicationLimits.wantLength < ReplicationLimits.wantEnd,
      askedRegions.insert(region).inserted
    else { return false }
    openQuestions += 1
    checkInvariants()
    return true
  }

  // MARK: Claims

  /// Adds what a Have says.
  ///
  /// - Returns: false if it names no block that a feed can have.
  /// - Throws: ``FeedError`` if no working peer sends this.
  mutating func add(from start: UInt64, length: UInt64, bitfield: [UInt8]?) throws(FeedError)
    -> Bool
  {
    defer { checkInvariants() }
    guard let bitfield else { return add(from: start, length: length) }
    guard start.isMultiple(of: ReplicationLimits.wantUnit) else {
      throw FeedError.peer("sent a bitfield that starts at block \(start), no multiple of 8192")
    }
    let runs: BitfieldRLE.Runs
    do {
      runs = try BitfieldRLE.Runs(bitfield, limit: Int(ReplicationLimits.wantLength / 8))
    } catch {
      throw FeedError.peer("sent a bitfield that is not a run-length encoding of 2^20 blocks")
    }
    blocks.replace(from: start, with: runs)
    prefix = min(prefix, start)
    if length >= ReplicationLimits.wantLength || length == 0 {
      openQuestions = max(0, openQuestions - 1)
    }
    if let last = blocks.last(in: start..<start + UInt64(runs.decodedCount) * 8) {
      self.length = max(self.length, last + 1)
    }
    return true
  }

  private mutating func add(from start: UInt64, length: UInt64) -> Bool {
    let end = min(start + max(min(length, Varint.maximum), 1), FeedLimits.maximumLength)
    guard start < end else { return false }
    blocks.insert(start..<end)
    self.length = max(self.length, end)
    return true
  }

  /// Removes what an Unhave names.
  mutating func remove(from start: UInt64, length: UInt64) {
    blocks.remove(start..<start + min(length, Varint.maximum))
    prefix = min(prefix, start)
  }

  /// Removes a block that it did not send: its claim is ignored until it is repeated.
  mutating func remove(_ index: UInt64) {
    blocks.remove(index)
    prefix = min(prefix, index)
  }

  /// Releases the memory, at the end.
  mutating func removeAll() {
    blocks.removeAll()
    prefix = 0
  }

  /// The number of blocks that it has from the first one on, without a gap.
  mutating func completeLength() -> UInt64 {
    if prefix < length {
      prefix = min(blocks.firstMissing(from: prefix), length)
    }
    return prefix
  }

  /// The regions that cover its known length.
  var regionCount: UInt64 {
    (length + ReplicationLimits.wantLength - 1) / ReplicationLimits.wantLength
  }

  @inline(__always)
  private func checkInvariants() {
    assert(prefix <= length)
    assert(0...askedRegions.count ~= openQuestions && openQuestions <= Self.openLimit)
  }
}
