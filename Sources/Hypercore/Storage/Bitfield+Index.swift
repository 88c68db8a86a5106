// The index: a flat tree of bytes over the data bytes that lets the reference skip stored blocks. It is
// written by the reference's rule, so that the files are the same, and never read here: older page sizes and
// pages that appeared out of order leave it stale.

extension Bitfield {
  /// The 2 bits that summarise a data byte in the index.
  private static func summary(_ byte: UInt8) -> UInt8 {
    byte == 0xff ? 0b11 : byte == 0 ? 0 : 0b01
  }

  /// The 4 bits that summarise an index byte in its parent.
  private static let halves: [UInt8] = (0...255).map { byte in
    func cell(_ nibble: Int) -> UInt8 { nibble == 15 ? 0b11 : nibble == 0 ? 0 : 0b01 }
    return (cell(byte >> 4) << 2) | cell(byte & 15)
  }

  /// Updates the index after a data byte has changed.
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

  /// Updates the index after a word of 64 data bits, as it is in the file, has changed.
  func updateIndex(word: UInt64, from old: UInt64, to new: UInt64) {
    for byte in 0..<8 as Range<UInt64> {
      let shift = 56 - 8 * byte
      guard (new ^ old) >> shift & 0xff != 0 else { continue }
      updateIndex(dataByte: word << 3 + byte, to: UInt8(truncatingIfNeeded: new >> shift))
    }
  }

  /// Rebuilds the whole index from the data bits, after a repair: the reference relies on it.
  ///
  /// The cost depends on what the pages hold, not on the distance between them: only bytes inside a page, or
  /// above such bytes, are made.
  func rebuildIndex() {
    let limit = UInt64(pageCount) * UInt64(indexSize)
    let occupied = occupiedPages.filter { page($0) != nil }
    // The bytes of one depth to make: those above bytes that were made, and those that lie in a page.
    var offsets: [Range<UInt64>] = []
    var depth: UInt64 = 0
    while FlatTree.index(depth: depth, offset: 0) < limit {
      let count = (limit - 1 - FlatTree.index(depth: depth, offset: 0)) >> (depth + 1) + 1
      let parents = offsets.map { $0.lowerBound >> 1..<($0.upperBound - 1) >> 1 + 1 }
      let own = occupied.map { bytes(ofPage: UInt64($0), depth: depth) }
      offsets = Self.joined(parents + own, below: count)
      for offset in offsets.joined() {
        let place = FlatTree.index(depth: depth, offset: offset)
        let byte = depth == 0 ? summary(ofGroup: offset) : summary(below: place, limit)
        if byte != 0 || indexByte(place) != 0 { _ = setIndexByte(place, to: byte) }
      }
      depth += 1
    }
  }

  /// The bytes of a depth that lie in a page; of the lowest depth, those above its data as well.
  private func bytes(ofPage number: UInt64, depth: UInt64) -> Range<UInt64> {
    let size = UInt64(indexSize)
    let (first, end) = (number * size, (number + 1) * size)
    let start = FlatTree.index(depth: depth, offset: 0)
    let step = depth + 1
    func offset(from place: UInt64) -> UInt64 {
      place <= start ? 0 : (place - start + (1 << step) - 1) >> step
    }
    let own = offset(from: first)..<max(offset(from: first), offset(from: end))
    guard depth == 0 else { return own }
    let groups = number << 8..<(number + 1) << 8
    return min(own.lowerBound, groups.lowerBound)..<max(own.upperBound, groups.upperBound)
  }

  private static func joined(_ ranges: [Range<UInt64>], below end: UInt64) -> [Range<UInt64>] {
    var joined: [Range<UInt64>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      let range = range.clamped(to: 0..<end)
      if range.isEmpty { continue }
      if let last = joined.last, range.lowerBound <= last.upperBound {
        joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        joined.append(range)
      }
    }
    return joined
  }

  private func summary(ofGroup group: UInt64) -> UInt8 {
    dataBytes(group: group).reduce(0) { $0 << 2 | Self.summary($1) }
  }

  private func summary(below place: UInt64, _ limit: UInt64) -> UInt8 {
    let left = Self.halves[Int(indexByte(FlatTree.leftChild(place)))]
    let right = FlatTree.rightChild(place)
    return left << 4 | (right < limit ? Self.halves[Int(indexByte(right))] : 0)
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
