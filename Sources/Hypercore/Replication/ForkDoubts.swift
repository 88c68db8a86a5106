/// The signs that a feed may have two histories, before its own files prove it.
struct ForkDoubts {
  /// Blocks for which a peer's answer contradicted what is here. They are requested with the whole proof, on
  /// a connection on which no node was claimed to be known. If the feed's key has signed both histories, that
  /// reveals it.
  private var blocks: Set<UInt64> = []
  /// The number of peers that were disconnected without blame because their answer contradicted what is here.
  private var excused = 0
  /// The proof of a fork of somebody else's feed, from a peer.
  var evidence: ForkEvidence?
  /// True if an answer contradicted what is here, and none has proven that block since. Read for every request.
  private(set) var isContradicted = false

  mutating func contradict(_ block: UInt64) {
    if blocks.count < ReplicationLimits.contradictedBlocks { blocks.insert(block) }
    isContradicted = true
  }

  /// An answer has proven a block.
  mutating func prove(_ block: UInt64) {
    guard isContradicted else { return }
    blocks.remove(block)
    isContradicted = !blocks.isEmpty
  }

  /// Excuses a peer that may have another history.
  ///
  /// - Returns: false if too many were excused.
  mutating func excuse() -> Bool {
    guard excused < ReplicationLimits.doubts else { return false }
    excused += 1
    return true
  }
}
