/// A hash table of numbers, four bytes an entry. The things under those numbers are kept elsewhere.
///
/// Nothing is ever removed from it. The caller provides the hashes, and makes them unpredictable.
struct NumberTable {
  private static let free = UInt32.max

  private var slots: [UInt32] = []
  private(set) var count = 0

  /// Calls `body` with the numbers that a hash may stand for, until it returns a result or there are no more.
  func find<Result>(_ hash: Int, _ body: (UInt32) -> Result?) -> Result? {
    guard !slots.isEmpty else { return nil }
    var slot = hash & (slots.count - 1)
    while slots[slot] != Self.free {
      if let result = body(slots[slot]) { return result }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Adds a number that is not in it.
  ///
  /// - Parameter rehash: returns the hash of a number that was added before.
  mutating func insert(_ number: UInt32, hash: Int, rehash: (UInt32) -> Int) {
    // At most four fifths full, so that lookups stay short.
    if (count + 1) * 5 > slots.count * 4 { grow(to: max(16, slots.count * 2), rehash) }
    put(number, hash)
    count += 1
  }

  /// Makes room for this many numbers at once.
  mutating func reserve(_ capacity: Int, rehash: (UInt32) -> Int) {
    var size = max(16, slots.count)
    while capacity * 5 > size * 4 { size *= 2 }
    if size > slots.count { grow(to: size, rehash) }
  }

  private mutating func grow(to size: Int, _ rehash: (UInt32) -> Int) {
    let old = slots
    slots = [UInt32](repeating: Self.free, count: size)
    for number in old where number != Self.free { put(number, rehash(number)) }
  }

  private mutating func put(_ number: UInt32, _ hash: Int) {
    var slot = hash & (slots.count - 1)
    while slots[slot] != Self.free { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = number
  }
}
