/// The known offsets of blocks in `data`, which follow from the sizes in the tree. All of it is a cache.
struct BlockLocations {
  /// The byte offset of every 64th block; `UInt64.max` if it was not needed yet.
  private var marks: [UInt64] = []
  /// The places of blocks that were read one at a time.
  private var places = BlockPlaces()
  /// The offset of the block after the one stored last: blocks nearly always come in order.
  private var next: (block: UInt64, offset: UInt64)?

  /// The offset of a block, if it follows the one that was stored last.
  func offset(of block: UInt64) -> UInt64? {
    guard let next, next.block == block else { return nil }
    return next.offset
  }

  /// Keeps the offset of the block that follows the one stored last.
  mutating func keepNext(_ block: UInt64, at offset: UInt64) { next = (block, offset) }

  /// The offset and the size of a block, if its run is kept.
  func place(of block: UInt64) -> (offset: UInt64, size: UInt64)? { places.place(of: block) }

  /// Keeps the places of 64 blocks, of which the first is block 64 * `run`.
  mutating func keepRun(_ run: UInt64, at offset: UInt64, sizes: [UInt64]) {
    places.keep(run, offset: offset, sizes: sizes)
  }

  /// The offset of block 64 * `mark`, if it is kept.
  func mark(_ mark: UInt64) -> UInt64? {
    let place = Int(mark)
    guard place < marks.count, marks[place] != .max else { return nil }
    return marks[place]
  }

  /// Keeps the offset of block 64 * `mark`.
  ///
  /// - Parameter length: the length of the feed.
  mutating func keepMark(_ mark: UInt64, at offset: UInt64, length: UInt64) {
    let place = Int(mark)
    guard place < FeedLimits.offsetMarks else { return }
    if place >= marks.count {
      let count = max(place + 1, min(Int(length >> 6) + 1, FeedLimits.offsetMarks))
      marks.append(contentsOf: repeatElement(.max, count: count - marks.count))
    }
    marks[place] = offset
  }

  /// Evicts the places of blocks, as a size was corrected.
  mutating func removePlaces() { places.removeAll() }

  /// Evicts what takes memory.
  mutating func releaseMemory() {
    marks = []
    places.removeAll()
  }

  /// Evicts everything, as the files may have changed.
  mutating func removeAll() {
    releaseMemory()
    next = nil
  }
}
