internal import DatCoding

// The data bits in the encoding of Have messages.

extension Bitfield {
  /// The data bits of the blocks from `start` on, below `end`, run-length encoded; empty for none.
  ///
  /// The bytes are the same as those of ``BitfieldRLE/encode(_:)`` for all bits at once, which may be 512 MB
  /// of zeros before a single block. A page without blocks always lies in a run of its own, so the pages
  /// between two of them can be encoded separately.
  ///
  /// - Parameters:
  ///   - start: a multiple of 8192.
  ///   - limit: the most pages with a block that are encoded.
  /// - Returns: the encoded bits, and the block at which they end: `end`, or the first block of a page that
  ///   holds one and is left out.
  func encodedData(
    from start: UInt64, below end: UInt64, pages limit: Int
  ) -> (bytes: [UInt8], end: UInt64) {
    let dataEnd = min(end, dataLimit)
    let endPage = Int((dataEnd + BitfieldPage.dataBits - 1) >> 13)
    var encoded: [UInt8] = []
    // The end of what `encoded` covers, in bytes of the whole bitfield.
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
