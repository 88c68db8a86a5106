/// Where blocks are in `data`, for runs of 64 blocks: a twentieth of the size of the nodes that say so, and so
/// kept for twenty times as many blocks.
///
/// Holds what verified nodes say, which never changes, except where a size is corrected.
struct BlockPlaces {
  /// How many blocks a run has: those of one page of the tree.
  static let runBits: UInt64 = 6
  static let runLength = 1 << Int(runBits)

  /// Runs that share a slot take it from each other.
  private struct Run {
    var number = UInt64.max
    /// Where its first block starts.
    var offset: UInt64 = 0
    /// Where each of its blocks ends, from `offset` on.
    var ends: [UInt32] = []
  }

  private var runs: [Run] = []

  /// Where a block starts and how long it is, if its run is here.
  func place(of block: UInt64) -> (offset: UInt64, size: UInt64)? {
    let number = block >> Self.runBits
    let slot = Self.slot(of: number)
    guard slot < runs.count, runs[slot].number == number else { return nil }
    let place = Int(block) & (Self.runLength - 1)
    let start = place == 0 ? 0 : runs[slot].ends[place - 1]
    return (runs[slot].offset + UInt64(start), UInt64(runs[slot].ends[place] - start))
  }

  /// Keeps a run: where its first block starts, and how long all its blocks are.
  ///
  /// One of more than 4 GiB is not kept.
  mutating func keep(_ number: UInt64, offset: UInt64, sizes: some Sequence<UInt64>) {
    var ends: [UInt32] = []
    ends.reserveCapacity(Self.runLength)
    var end: UInt64 = 0
    for size in sizes {
      let (sum, overflow) = end.addingReportingOverflow(size)
      guard !overflow, let short = UInt32(exactly: sum) else { return }
      end = sum
      ends.append(short)
    }
    guard ends.count == Self.runLength else { return }
    let slot = Self.slot(of: number)
    if slot >= runs.count {
      runs.append(contentsOf: repeatElement(Run(), count: slot + 1 - runs.count))
    }
    runs[slot] = Run(number: number, offset: offset, ends: ends)
  }

  /// Forgets everything.
  mutating func removeAll() { runs = [] }

  private static func slot(of number: UInt64) -> Int {
    Int(number % UInt64(FeedLimits.placedRuns))
  }
}
