/// The application's say in which verified blocks are stored.
struct BlockCheck {
  /// May refuse a verified block before it is stored: the hook `onwrite`. The peer is nil for a block that the
  /// application put.
  var onWrite: ((UInt64, [UInt8], FeedPeer?) throws -> Void)?
  /// Checks the first block before anything else is fetched, and returns the reason if the feed is of another
  /// kind than expected; nil if it isn't.
  var firstBlock: ((FeedKind) -> FeedError?)?

  /// The check of a block from one peer, before it is stored; nil if all are stored.
  func from(_ peer: FeedPeer?) -> ((UInt64, [UInt8]) throws(FeedError) -> Void)? {
    guard onWrite != nil || firstBlock != nil else { return nil }
    return { [onWrite, firstBlock] index, value throws(FeedError) in
      if index == 0, let reason = firstBlock?(FeedKind(firstBlock: value)) { throw reason }
      guard let onWrite else { return }
      do { try onWrite(index, value, peer) } catch { throw FeedError.refused(index, error) }
    }
  }
}
