// The index: a flat tree of bytes over the data bytes that lets the reference skip stored blocks.
// It is written by the reference's rule, so that the files are the same, and never read for an answer:
// older page sizes and pages that appeared out of order leave it stale.

extension Bitfield {
  /// What a data byte becomes in the index: 2 bits.
  private static func summary(_ byte: UInt8) -> UInt8 {
    byte == 0xff ? 0b11 : byte == 0 ? 0 : 0b01
  }

  /// What an index byte becomes in its parent: 4 bits.
  private static let halves: [UInt8] = (0...255).map { byte in
    func cell(_ nibble: Int) -> UInt8 { nibble == 15 ? 0b11 : nibble == 0 ? 0 : 0b01 }
    return (cell(byte >> 4) << 2) | cell(byte & 15)
  }

  /// Records that a data byte has changed.
  ///
  /// Source: hypercore v6.26.0 `lib/bitfield.js`, `_setIndex`.
  func updateIndex(dataByte: UInt64, to value: UInt8) {
    let limit = UInt64(pageCount) * UInt64(indexSize)
    let shift = UInt8(6 - 2 * (dataByte & 3))
    var place = (dataByte >> 2) << 1
    guard place < limit else { return }
    var byte = indexByte(place) & ~(0b11 << shift) | (Self.summary(value) << shift)
    while place < limit, setIndexByte(place, to: byte) {
      let sibling = Self.halves[Int(indexByte(FlatTree.sibling(place)))]
      let own = Self.halves[Int(byte)]
      byte = FlatTree.isRight(place) ? (sibling << 4) | own : (own << 4) | sibling
      place = FlatTree.parent(place)
    }
  }

  /// Records that a word of 64 data bits, as it is in the file, has changed.
  func updateIndex(word: UInt64, from old: UInt64, to new: UInt64) {
    for byte in 0..<8 as Range<UInt64> {
      let shift = 56 - 8 * byte
      guard (new ^ old) >> shift & 0xff != 0 else { continue }
      updateIndex(dataByte: word << 3 + byte, to: UInt8(truncatingIfNeeded: new >> shift))
    }
  }

  /// Makes the whole index anew from the data bits, after a repair. The reference believes it.
  func rebuildIndex() {
    let limit = UInt64(pageCount) * UInt64(indexSize)
    var count: UInt64 = (limit + 1) / 2
    for leaf in 0..<count {
      let bytes = dataBytes(group: leaf)
      var byte: UInt8 = 0
      for place in 0..<4 { byte = (byte << 2) | Self.summary(bytes[place]) }
      if byte != 0 || indexByte(2 * leaf) != 0 { _ = setIndexByte(2 * leaf, to: byte) }
    }
    var depth: UInt64 = 1
    while count > 0 {
      let first = FlatTree.index(depth: depth, offset: 0)
      guard first < limit else { return }
      count = (limit - 1 - first) >> (depth + 1) + 1
      for offset in 0..<count {
        let place = FlatTree.index(depth: depth, offset: offset)
        let left = Self.halves[Int(indexByte(FlatTree.leftChild(place)))]
        let right = FlatTree.rightChild(place)
        let byte = (left << 4) | (right < limit ? Self.halves[Int(indexByte(right))] : 0)
        if byte != 0 || indexByte(place) != 0 { _ = setIndexByte(place, to: byte) }
      }
      depth += 1
    }
  }

  /// The four data bytes that a leaf of the index stands for.
  private func dataBytes(group: UInt64) -> [UInt8] {
    guard group * 32 < dataLimit, let page = page(Int(group >> 8)) else { return [0, 0, 0, 0] }
    let word = page.storedWord(Int((group & 255) >> 1))
    let half = UInt32(truncatingIfNeeded: group & 1 == 0 ? word >> 32 : word)
    return (0..<4).map { UInt8(truncatingIfNeeded: half >> (24 - 8 * UInt32($0))) }
  }

  private func indexByte(_ place: UInt64) -> UInt8 {
    let (number, byte) = place.quotientAndRemainder(dividingBy: UInt64(indexSize))
    return page(Int(number))?.index[Int(byte)] ?? 0
  }

  private func setIndexByte(_ place: UInt64, to value: UInt8) -> Bool {
    let (number, byte) = place.quotientAndRemainder(dividingBy: UInt64(indexSize))
    let page = writablePage(Int(number))
    if page.index[Int(byte)] == value { return false }
    page.index[Int(byte)] = value
    touch(page)
    return true
  }
}
