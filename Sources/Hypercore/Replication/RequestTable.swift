/// What was asked of one peer and not answered yet.
struct RequestTable {
  typealias Instant = ContinuousClock.Instant

  /// A request on its way.
  struct Entry {
    var sent: Instant
    /// The digest counted on blocks that were still on their way.
    var isOptimistic: Bool
    /// Only the hash was asked for.
    var isHash: Bool
    /// Given up and asked of another peer; an answer is still welcome.
    var isStalled = false
  }

  private(set) var entries: [UInt64: Entry] = [:]
  /// How many of them are not stalled.
  private(set) var activeCount = 0

  subscript(index: UInt64) -> Entry? { entries[index] }

  mutating func add(_ index: UInt64, _ entry: Entry) {
    if let old = entries.updateValue(entry, forKey: index), !old.isStalled { return }
    activeCount += 1
  }

  @discardableResult
  mutating func remove(_ index: UInt64) -> Entry? {
    guard let entry = entries.removeValue(forKey: index) else { return nil }
    if !entry.isStalled { activeCount -= 1 }
    return entry
  }

  /// Marks what was sent at `limit` or before as stalled.
  ///
  /// - Returns: the blocks to be asked of others.
  mutating func stall(sentBy limit: Instant) -> [UInt64] {
    let late = entries.filter { !$0.value.isStalled && $0.value.sent <= limit }.map(\.key)
    for index in late { entries[index]?.isStalled = true }
    activeCount -= late.count
    return late
  }

  /// The oldest instant at which an unanswered request was sent.
  func oldest() -> Instant? {
    entries.values.lazy.filter { !$0.isStalled }.map(\.sent).min()
  }

  mutating func removeAll() -> [UInt64] {
    let active = entries.filter { !$0.value.isStalled }.map(\.key)
    entries = [:]
    activeCount = 0
    return active
  }
}
