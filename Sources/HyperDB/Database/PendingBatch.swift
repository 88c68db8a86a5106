/// The entries of a batch that are not appended yet. Walks find them as if they were.
struct PendingBatch {
  private(set) var nodes: [EntryNode] = []
  /// The location of the first.
  private var start = FeedSequence(feed: 0, seq: 0)

  var isEmpty: Bool { nodes.isEmpty }

  /// Begins a batch that is to be appended at a location.
  mutating func begin(at location: FeedSequence) {
    assert(nodes.isEmpty, "one batch is written at a time")
    start = location
  }

  /// Adds the next entry.
  mutating func append(_ node: EntryNode) {
    assert(node.feed == start.feed && node.seq == start.seq + nodes.count)
    nodes.append(node)
  }

  /// Ends the batch, which is appended or given up.
  mutating func end() { nodes.removeAll() }

  /// Returns whether a location is in the batch or behind it in the same feed.
  @inline(__always)
  func reaches(_ location: FeedSequence) -> Bool {
    !nodes.isEmpty && location.seq >= start.seq && location.feed == start.feed
  }

  /// Returns the entry at a location that the batch reaches; nil if there is none yet.
  func node(at location: FeedSequence) -> EntryNode? {
    let index = location.seq - start.seq
    return index < nodes.count ? nodes[index] : nil
  }
}
