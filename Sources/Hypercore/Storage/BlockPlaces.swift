/// The places of blocks in `data`, for runs of 64 blocks. A run takes a twentieth of the memory of the tree
/// nodes that say the same, so twenty times as many blocks can be kept.
///
/// The places come from verified nodes and never change, except when a size is corrected.
struct BlockPlaces {
  /// The number of blocks in a run, as a power of two: those of one page of the tree.
  static let runBits: UInt64 = 6
  static let runLength = 1 << Int(runBits)

  /// One run. Runs that share a slot evict each other.
  private struct Run {
    var number = UInt64.max
    /// The offset of its first block.
    var offset: UInt64 = 0
    /// The end of each of its blocks, counted from `offset`.
    var ends: [UInt32] = []
  }

  private var runs: [Run] = []

  /// The offset and the size of a block, if its run is kept.
  func place(of block: UInt64) -> (offset: UInt64, size: UInt64)? {
    let number = block >> Self.runBits
    let slot = Self.slot(of: number)
    guard slot < runs.count, runs[slot].number == number else { return nil }
    let place = Int(block) & (Self.runLength - 1)
    let start = place == 0 ? 0 : runs[slot].ends[place - 1]
    return (runs[slot].offset + UInt64(start), UInt64(runs[slot].ends[place] - start))
  }

  /// Keeps a run: the offset of its first block, and the sizes of all its blocks.
  ///
  /// A run of more than 4 GiB is not kept.
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

  /// Evicts every run.
  mutating func removeAll() { runs = [] }

  private static func slot(of number: UInt64) -> Int {
    Int(number % UInt64(FeedLimits.placedRuns))
  }
}
