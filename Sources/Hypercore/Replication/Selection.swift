/// A range of blocks to download, for as long as it is among a feed's selections.
///
/// Source: hypercore `download(range)`.
public struct DownloadRange: Hashable, Sendable {
  /// The first block.
  public var start: UInt64
  /// The block after the last; nil for all present and future blocks.
  public var end: UInt64?
  /// True if lower blocks come first. Otherwise the order is random, which helps a swarm in which
  /// many fetch the same feed at once.
  public var linear: Bool
  /// True if only the hashes are fetched, not the blocks.
  public var hash: Bool

  /// Creates a range; by default all of the feed, now and later.
  public init(start: UInt64 = 0, end: UInt64? = nil, linear: Bool = true, hash: Bool = false) {
    self.start = start
    self.end = end
    self.linear = linear
    self.hash = hash
  }

  /// Creates the range of the blocks in `range`.
  public init(_ range: Range<UInt64>) {
    self.init(start: range.lowerBound, end: range.upperBound)
  }
}

/// One entry among a feed's selections.
final class Selection {
  let id: UInt64
  let range: DownloadRange
  /// For each peer, by its number, the index below which every block of the range is stored,
  /// reserved, or not the peer's.
  private var cursors: [UInt64: UInt64] = [:]
  /// Called once: when all blocks are here, or with the reason why they never will be.
  var completion: ((Result<Void, FeedError>) -> Void)?

  init(
    id: UInt64, range: DownloadRange, completion: ((Result<Void, FeedError>) -> Void)? = nil
  ) {
    self.id = id
    self.range = range
    self.completion = completion
  }

  /// The index from which to look for further blocks that a peer has.
  func cursor(of peer: FeedPeer) -> UInt64 { cursors[peer.number] ?? range.start }

  func setCursor(of peer: FeedPeer, to index: UInt64) { cursors[peer.number] = index }

  /// Makes the search for one peer start at `index` again, or lower; at the start of the range if `index` is
  /// before that.
  func lowerCursor(of peer: FeedPeer, to index: UInt64) {
    let index = max(index, range.start)
    if let cursor = cursors[peer.number], cursor > index { cursors[peer.number] = index }
  }

  /// Makes the search for every peer start at `index` again, or lower; at the start of the range if `index`
  /// is before that.
  func lowerCursors(to index: UInt64) {
    let index = max(index, range.start)
    for (peer, cursor) in cursors where cursor > index { cursors[peer] = index }
  }

  func forget(_ peer: FeedPeer) { cursors[peer.number] = nil }

  func finish(_ result: Result<Void, FeedError>) {
    let completion = completion
    self.completion = nil
    completion?(result)
  }
}
