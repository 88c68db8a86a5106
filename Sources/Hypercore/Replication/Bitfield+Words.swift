extension Bitfield {
  /// The 64 data bits from block `64 * number` on, the first as the highest bit.
  func dataWord(_ number: UInt64) -> UInt64 {
    guard number << 6 < dataLimit, let page = page(Int(number >> 7)) else { return 0 }
    return page.data[Int(number & 127)]
  }
}
