/// The cost of the blocks that walks read, and the size of those that they may read.
///
/// A walk counts its steps itself. What it reads from storage it finds here, as the difference between two times.
struct LoadBudget {
  /// The bytes that were read so far to decode entries, and 32 for each of their blocks.
  private(set) var loadedBytes = 0
  /// The size of a block from which on it is not read for a walk with few steps left.
  private(set) var allowance = Int.max

  /// Counts the bytes that were read.
  @inline(__always)
  mutating func charge(_ bytes: Int) { loadedBytes &+= bytes }

  /// Limits the size of blocks from now on, and returns the limit until now.
  mutating func allow(_ bytes: Int) -> Int {
    defer { allowance = bytes }
    return allowance
  }

  /// True if blocks of any size may be read.
  @inline(__always)
  var allowsAll: Bool { allowance == .max }
}

/// A block is larger than a walk has steps left for.
struct OversizedBlock: Error {}
