internal import DatCoding

// The data bits as Have messages carry them.

extension Bitfield {
  /// The data bits of the blocks from `start` on, below `end`, run-length encoded; empty for none.
  ///
  /// The same bytes as ``BitfieldRLE/encode(_:)`` gives for all bits at once, which may be 512 MB of zeros
  /// before a single block: a page without blocks always lies in a run of its own, so the pages between
  /// two of them are encoded on their own.
  ///
  /// - Parameters:
  ///   - start: a multiple of 8192.
  ///   - limit: how many pages that hold a block are encoded at most.
  /// - Returns: the encoded bits, and where they end: at `end`, or at the first page that holds a block and
  ///   is left out.
  func encodedData(
    from start: UInt64, below end: UInt64, pages limit: Int
  ) -> (bytes: [UInt8], end: UInt64) {
    let dataEnd = min(end, dataLimit)
    let endPage = Int((dataEnd + BitfieldPage.dataBits - 1) >> 13)
    var encoded: [UInt8] = []
    // Up to which byte of the whole bitfield `encoded` goes.
    var encodedEnd = start >> 3
    var number = Int(start >> 13)
    var left = limit
    while let first = nextStoredPage(from: number, below: endPage) {
      let from = UInt64(first) << 13
      guard left > 0 else { return (encoded, from) }
      number = first
      while left > 0, nextStoredPage(from: number, below: min(number + 1, endPage)) != nil {
        number += 1
        left -= 1
      }
      let bytes = dataBytes(from: from, length: min(UInt64(number) << 13, dataEnd) - from)
      guard let leading = bytes.firstIndex(where: { $0 != 0 }) else { continue }
      let zeros = from >> 3 + UInt64(leading) - encodedEnd
      if zeros > 0 { Varint.write(zeros * 4 + 1, to: &encoded) }
      bytes.withUnsafeBytes {
        encoded += BitfieldRLE.encode(UnsafeRawBufferPointer(rebasing: $0[leading...]))
      }
      encodedEnd = from >> 3 + UInt64(bytes.count)
    }
    return (encoded, end)
  }
}
