/// Consecutive blocks, read together.
struct BlockRun {
  let first: UInt64
  let bytes: [UInt8]
  /// The end of each block, counted in bytes from the start of the first.
  let ends: [Int]

  func contains(_ index: UInt64) -> Bool {
    index >= first && index - first < UInt64(ends.count)
  }

  /// Calls `body` with the bytes of a block of this run.
  func withBlock<Result>(_ index: UInt64, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let place = Int(index - first)
    let start = place == 0 ? 0 : ends[place - 1]
    return bytes.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[start..<ends[place]]))
    }
  }
}
