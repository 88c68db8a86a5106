package import HypercoreCrypto

extension HyperDB {
  /// Passes the stored entries of one feed to `body`, in its order; unreadable ones are left out.
  ///
  /// - Parameters:
  ///   - feed: one of the database's feeds.
  ///   - start: entries before this block come without their values.
  ///   - body: called with each entry.
  package func forEachEntry(
    of feed: PublicKey, valuesFrom start: UInt64, _ body: @Sendable (DatabaseNode) -> Void
  ) {
    guard let number = core.number(of: feed), let log = feedSet.logs[feed] else { return }
    var seq = 1
    while seq < log.length {
      defer { seq += 1 }
      guard log.has(seq),
        let node = try? core.node(at: FeedSequence(feed: number, seq: seq)),
        let entry = try? publicNode(node, valueUpTo: UInt64(seq) < start ? -1 : .max)
      else { continue }
      body(entry)
    }
  }
}
