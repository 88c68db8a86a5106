/// A range of blocks to be downloaded, as long as it is among a feed's selections.
///
/// Source: hypercore `download(range)`.
public struct DownloadRange: Hashable, Sendable {
  /// The first block.
  public var start: UInt64
  /// The block after the last; nil for all there are, and will be.
  public var end: UInt64?
  /// Whether lower blocks come first. Otherwise the order is random, which serves a swarm in which
  /// many fetch the same feed at once.
  public var linear: Bool
  /// Whether only the hashes are fetched, not the blocks.
  public var hash: Bool

  /// A range; left out it is all of the feed, now and later.
  public init(start: UInt64 = 0, end: UInt64? = nil, linear: Bool = true, hash: Bool = false) {
    self.start = start
    self.end = end
    self.linear = linear
    self.hash = hash
  }

  /// The blocks of `range`.
  public init(_ range: Range<UInt64>) {
    self.init(start: range.lowerBound, end: range.upperBound)
  }
}

/// One entry among a feed's selections.
final class Selection {
  let id: UInt64
  let range: DownloadRange
  /// By the number of a peer: below this every block of the range is stored, reserved, or not the
  /// peer's.
  private var cursors: [UInt64: UInt64] = [:]
  /// Called once: when all is here, or with the reason why it never will be.
  var completion: ((Result<Void, FeedError>) -> Void)?

  init(
    id: UInt64, range: DownloadRange, completion: ((Result<Void, FeedError>) -> Void)? = nil
  ) {
    self.id = id
    self.range = range
    self.completion = completion
  }

  /// Where to go on looking for blocks that a peer has.
  func cursor(of peer: FeedPeer) -> UInt64 { cursors[peer.number] ?? range.start }

  func setCursor(of peer: FeedPeer, to index: UInt64) { cursors[peer.number] = index }

  /// Has everything from `index` on be looked at again, with one peer.
  func lowerCursor(of peer: FeedPeer, to index: UInt64) {
    if let cursor = cursors[peer.number], cursor > index { cursors[peer.number] = index }
  }

  /// The same with all peers.
  func lowerCursors(to index: UInt64) {
    for (peer, cursor) in cursors where cursor > index { cursors[peer] = index }
  }

  func forget(_ peer: FeedPeer) { cursors[peer.number] = nil }

  func finish(_ result: Result<Void, FeedError>) {
    let completion = completion
    self.completion = nil
    completion?(result)
  }
}
