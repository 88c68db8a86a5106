internal import HypercoreProtocol

/// The requests to one peer that are not answered yet.
///
/// A ring in the order of sending, as answers nearly always arrive in that order, and a table beside it that
/// maps a block to its slot in the ring.
struct RequestTable {
  /// A request in flight.
  struct Entry {
    var index: UInt64
    var sent: Moment
    /// The number of the request, counted for each peer. Later requests may rely on the answers to earlier
    /// ones.
    var number: UInt64
    /// True if it was given up and sent to another peer; an answer is still welcome.
    var isStalled = false
    /// True if the application cancelled it: the block of an answer that is on its way is not stored, unless it is
    /// wanted again by then.
    var isCancelled = false
    fileprivate var isAnswered = false
  }

  /// The number of requests that are neither answered nor stalled.
  private(set) var activeCount = 0
  /// The number of requests that were ever sent.
  private(set) var sentCount: UInt64 = 0
  /// The requests from number `first` on, each at its number modulo the size of the ring.
  private var ring: [Entry] = []
  private var first: UInt64 = 0
  /// The lower half of the number of a block's request, at the block's index modulo the number of slots.
  /// There are twice as many slots as in the ring.
  private var slots: [UInt32] = []
  /// The numbers of requests whose slot was taken by another.
  private var crowded: [UInt64: UInt64] = [:]
  private var stalled: [UInt64: Entry] = [:]

  /// The number of requests from the oldest unanswered one to the last.
  var span: Int { Int(sentCount - first) }

  mutating func add(_ index: UInt64, sent: Moment) {
    if let old = number(of: index) { answer(old) }
    stalled[index] = nil
    let entry = Entry(index: index, sent: sent, number: sentCount)
    if span == ring.count { grow(filling: entry) }
    ring[place(sentCount)] = entry
    enter(index, sentCount)
    sentCount += 1
    activeCount += 1
  }

  /// Removes the request of a block, since it was answered.
  @discardableResult
  mutating func remove(_ index: UInt64) -> Entry? {
    guard let number = number(of: index) else {
      return stalled.isEmpty ? nil : stalled.removeValue(forKey: index)
    }
    let entry = ring[place(number)]
    answer(number)
    return entry
  }

  /// Marks the requests for blocks of a range as cancelled. Their answers are still to come.
  ///
  /// - Complexity: a look at each request in flight.
  mutating func cancel(in range: Range<UInt64>) {
    for number in first..<sentCount where range.contains(ring[place(number)].index) {
      ring[place(number)].isCancelled = true
    }
    for (index, _) in stalled where range.contains(index) { stalled[index]?.isCancelled = true }
  }

  /// The oldest unanswered request, if it was sent before request `number`.
  func oldest(before number: UInt64) -> Entry? {
    var oldest = span > 0 ? ring[place(first)] : nil
    for entry in stalled.values where entry.number < oldest?.number ?? .max { oldest = entry }
    return oldest.flatMap { $0.number < number ? $0 : nil }
  }

  /// Marks the requests that were sent at `limit` or before as stalled.
  ///
  /// - Returns: the blocks to request from other peers.
  mutating func stall(sentBy limit: Moment) -> [UInt64] {
    var late: [UInt64] = []
    var next = first
    while next < sentCount {
      var entry = ring[place(next)]
      if entry.sent > limit { break }
      if !entry.isAnswered {
        late.append(entry.index)
        answer(next)
        entry.isStalled = true
        stalled[entry.index] = entry
      }
      next += 1
    }
    return late
  }

  /// The time at which the oldest unanswered request was sent.
  func oldest() -> Moment? { span > 0 ? ring[place(first)].sent : nil }

  /// - Returns: the blocks to request from other peers.
  mutating func removeAll() -> [UInt64] {
    let active = (first..<sentCount).map { ring[place($0)] }.filter { !$0.isAnswered }
    let count = sentCount
    self = RequestTable()
    sentCount = count
    first = count
    return active.map(\.index)
  }

  // MARK: Parts

  private func place(_ number: UInt64) -> Int { Int(number) & (ring.count - 1) }

  private func slot(_ index: UInt64) -> Int {
    Int(truncatingIfNeeded: index) & (slots.count - 1)
  }

  /// Marks a request as answered, and moves on to the oldest that is not.
  private mutating func answer(_ number: UInt64) {
    let index = ring[place(number)].index
    ring[place(number)].isAnswered = true
    activeCount -= 1
    if !crowded.isEmpty { crowded[index] = nil }
    while first < sentCount, ring[place(first)].isAnswered { first += 1 }
  }

  /// The number of a block's request that is neither answered nor stalled.
  private func number(of index: UInt64) -> UInt64? {
    if span > 0 {
      if ring[place(first)].index == index { return first }
      // The number is in the ring, so its lower half identifies it.
      let offset = slots[slot(index)] &- UInt32(truncatingIfNeeded: first)
      if offset < span {
        let entry = ring[place(first + UInt64(offset))]
        if entry.index == index, !entry.isAnswered { return entry.number }
      }
    }
    return crowded.isEmpty ? nil : crowded[index]
  }

  private mutating func enter(_ index: UInt64, _ number: UInt64) {
    let offset = slots[slot(index)] &- UInt32(truncatingIfNeeded: first)
    if offset < span {
      let other = ring[place(first + UInt64(offset))]
      if !other.isAnswered, slot(other.index) == slot(index), other.index != index {
        crowded[index] = number
        return
      }
    }
    slots[slot(index)] = UInt32(truncatingIfNeeded: number)
  }

  /// Doubles the ring, which is full. The slots beyond its entries are never read.
  private mutating func grow(filling blank: Entry) {
    let entries = (first..<sentCount).map { ring[place($0)] }
    let count = max(2 * ring.count, 16)
    ring = Array(repeating: blank, count: count)
    slots = Array(repeating: UInt32(truncatingIfNeeded: first) &- 1, count: 2 * count)
    crowded = [:]
    for entry in entries {
      ring[place(entry.number)] = entry
      if !entry.isAnswered { enter(entry.index, entry.number) }
    }
  }
}
