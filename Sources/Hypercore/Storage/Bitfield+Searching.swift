internal import DatCoding

// Searches for runs of blocks, a word at a time.

extension Bitfield {
  /// The first block from `start` on, below `end`, that is not stored.
  func nextMissing(from start: UInt64, below end: UInt64) -> UInt64? {
    var block = start
    while block < end {
      guard block < dataLimit, let page = page(Int(block >> 13)) else { return block }
      let pageEnd = (block >> 13 + 1) << 13
      if page.dataCount == Int(BitfieldPage.dataBits) {
        block = pageEnd
        continue
      }
      let word = ~page.data[Int((block & 8191) >> 6)] & (UInt64.max >> (block & 63))
      if word != 0 {
        let found = block & ~63 + UInt64(word.leadingZeroBitCount)
        return found < end ? found : nil
      }
      block = (block >> 6 + 1) << 6
    }
    return nil
  }

  /// The first block from `start` on, below `end`, that is stored.
  func nextStored(from start: UInt64, below end: UInt64) -> UInt64? {
    let end = min(end, dataLimit)
    var block = start
    while block < end {
      guard let page = page(Int(block >> 13)), page.dataCount > 0 else {
        block = (block >> 13 + 1) << 13
        continue
      }
      let word = page.data[Int((block & 8191) >> 6)] & (UInt64.max >> (block & 63))
      if word != 0 {
        let found = block & ~63 + UInt64(word.leadingZeroBitCount)
        return found < end ? found : nil
      }
      block = (block >> 6 + 1) << 6
    }
    return nil
  }

  /// The last block below `end` that is stored.
  func lastStored(below end: UInt64) -> UInt64? {
    var end = min(end, dataLimit)
    while end > 0 {
      let block = end - 1
      guard let page = page(Int(block >> 13)), page.dataCount > 0 else {
        end = block & ~8191
        continue
      }
      let word =
        page.data[Int((block & 8191) >> 6)] & BitfieldPage.mask(from: 0, to: block & 63 + 1)
      if word != 0 { return block & ~63 + 63 - UInt64(word.trailingZeroBitCount) }
      end = block & ~63
    }
    return nil
  }

  /// The number of stored blocks in a range.
  func countStored(in range: Range<UInt64>) -> UInt64 {
    let end = min(range.upperBound, dataLimit)
    var block = range.lowerBound
    var count = 0
    while block < end {
      let pageEnd = min(end, (block >> 13 + 1) << 13)
      guard let page = page(Int(block >> 13)), page.dataCount > 0 else {
        block = pageEnd
        continue
      }
      if pageEnd - block == BitfieldPage.dataBits {
        count += page.dataCount
        block = pageEnd
        continue
      }
      while block < pageEnd {
        let wordEnd = min(pageEnd, (block >> 6 + 1) << 6)
        let mask = BitfieldPage.mask(from: block & 63, to: (wordEnd - 1) & 63 + 1)
        count += (page.data[Int((block & 8191) >> 6)] & mask).nonzeroBitCount
        block = wordEnd
      }
    }
    return UInt64(count)
  }

  /// The data bits of `length` blocks from `start` on as bytes, without zeros at the end.
  ///
  /// - Parameter start: a multiple of 8192, as `length` is. A `length` of 0 stands for the whole
  ///   feed.
  func dataBytes(from start: UInt64, length: UInt64) -> [UInt8] {
    let (sum, overflow) = start.addingReportingOverflow(length)
    let end = length == 0 || overflow ? dataLimit : min(sum, dataLimit)
    guard start < end, let last = lastStored(below: end), last >= start else { return [] }
    var bytes = [UInt8](repeating: 0, count: Int((last - start) >> 3) + 1)
    bytes.withUnsafeMutableBytes { bytes in
      for number in Int(start >> 13)...Int(last >> 13) {
        guard let page = page(number), page.dataCount > 0 else { continue }
        for word in 0..<BitfieldPage.dataWords where page.data[word] != 0 {
          let place = (number - Int(start >> 13)) * 1024 + word * 8
          var value = page.data[word].bigEndian
          let count = min(8, bytes.count - place)
          guard count > 0 else { break }
          withUnsafeBytes(of: &value) {
            UnsafeMutableRawBufferPointer(rebasing: bytes[place..<(place + count)])
              .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count]))
          }
        }
      }
    }
    return bytes
  }
}
