/// What was asked of one peer and not answered yet.
struct RequestTable {
  typealias Instant = ContinuousClock.Instant

  /// A request on its way.
  struct Entry {
    var sent: Instant
    /// Counts the requests of this peer; what was sent later may count on what was sent before.
    var number: UInt64 = 0
    /// Only the hash was asked for.
    var isHash: Bool
    /// Given up and asked of another peer; an answer is still welcome.
    var isStalled = false
  }

  private(set) var entries: [UInt64: Entry] = [:]
  /// How many of them are not stalled.
  private(set) var activeCount = 0
  /// How many requests were ever sent.
  private(set) var sentCount: UInt64 = 0
  /// The requests in the order they were sent, from `first` on; some are answered already.
  private var order: [(index: UInt64, number: UInt64)] = []
  private var first = 0

  subscript(index: UInt64) -> Entry? { entries[index] }

  mutating func add(_ index: UInt64, _ entry: Entry) {
    var entry = entry
    entry.number = sentCount
    order.append((index, sentCount))
    sentCount += 1
    if let old = entries.updateValue(entry, forKey: index), !old.isStalled { return }
    activeCount += 1
  }

  @discardableResult
  mutating func remove(_ index: UInt64) -> Entry? {
    guard let entry = entries.removeValue(forKey: index) else { return nil }
    if !entry.isStalled { activeCount -= 1 }
    return entry
  }

  /// The request that was sent first of those unanswered, if it was sent before request `number`.
  mutating func oldest(before number: UInt64) -> Entry? {
    while first < order.count, entries[order[first].index]?.number != order[first].number {
      first += 1
    }
    if first > 1024, first > order.count / 2 {
      order.removeSubrange(0..<first)
      first = 0
    }
    guard first < order.count, order[first].number < number else { return nil }
    return entries[order[first].index]
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
    order = []
    first = 0
    activeCount = 0
    return active
  }
}
