extension BlockSet {
  /// The first page from `page` on with any bit set.
  func nextPage(from page: UInt64) -> UInt64? {
    let place = Self.place(of: page, in: numbers)
    let mixed = place < numbers.count ? numbers[place] : nil
    let range = fullPlace(endingAfter: page)
    let whole = range < full.count ? max(full[range].lowerBound, page) : nil
    switch (mixed, whole) {
    case (nil, nil): return nil
    case (let number?, nil), (nil, let number?): return number
    case (let one?, let other?): return min(one, other)
    }
  }

  /// The first index from `index` on that is not in the set. Full pages are skipped a range at a time,
  /// however many a peer claims to have.
  func firstMissing(from index: UInt64) -> UInt64 {
    var position = index
    while true {
      let page = position >> 13
      let place = fullPlace(endingAfter: page)
      if place < full.count, full[place].lowerBound <= page {
        position = full[place].upperBound << 13
        continue
      }
      let end = (page + 1) << 13
      while position < end {
        let left = 64 - position & 63
        let bits = word(position >> 6) << (64 - left)
        let run = min(UInt64((~bits).leadingZeroBitCount), left)
        position += run
        if run < left { return position }
      }
    }
  }

  /// The highest bit that is set in `range`. Empty pages are skipped at once, however many there are.
  func last(in range: Range<UInt64>) -> UInt64? {
    guard !range.isEmpty else { return nil }
    var end = range.upperBound
    while end > range.lowerBound, let page = lastPage(through: (end - 1) / Self.pageBits) {
      end = min(end, (page + 1) * Self.pageBits)
      let start = page * Self.pageBits
      while end > start {
        let number = (end - 1) >> 6
        let bits = word(number) & ~((.max >> 1) >> ((end - 1) & 63))
        if bits != 0 {
          let index = number << 6 + UInt64(63 - bits.trailingZeroBitCount)
          return index >= range.lowerBound ? index : nil
        }
        end = number << 6
      }
    }
    return nil
  }

  /// The last page up to and including `page` with any bit set.
  private func lastPage(through page: UInt64) -> UInt64? {
    let place = Self.place(of: page + 1, in: numbers)
    let mixed = place > 0 ? numbers[place - 1] : nil
    let next = fullPlace(endingAfter: page)
    let whole: UInt64?
    if next < full.count, full[next].lowerBound <= page {
      whole = page
    } else {
      whole = next > 0 ? full[next - 1].upperBound - 1 : nil
    }
    guard let mixed, let whole else { return mixed ?? whole }
    return max(mixed, whole)
  }

  /// Removes the lowest run of set bits, and returns it.
  mutating func removeFirstRange() -> Range<UInt64>? {
    guard let page = nextPage(from: 0) else { return nil }
    var start = page * Self.pageBits
    while !contains(start) { start = nextSet(from: start) }
    var end = start
    while end < start + 64 * Self.pageBits {
      let bits = word(end >> 6) << (end & 63)
      let run = UInt64((~bits).leadingZeroBitCount)
      let left = 64 - (end & 63)
      end += min(run, left)
      if run < left { break }
    }
    remove(start..<end)
    return start..<end
  }

  /// The first set bit at or after `index` on the same page, or the page's end.
  private func nextSet(from index: UInt64) -> UInt64 {
    let pageEnd = (index / Self.pageBits + 1) * Self.pageBits
    var position = index
    while position < pageEnd {
      let bits = word(position >> 6) & (.max >> (position & 63))
      if bits != 0 { return position & ~63 + UInt64(bits.leadingZeroBitCount) }
      position = (position | 63) + 1
    }
    return pageEnd
  }

  /// Returns whether every index of a range is in the set.
  func containsAll(_ range: Range<UInt64>) -> Bool {
    var index = range.lowerBound
    while index < range.upperBound {
      if index & 63 == 0, range.upperBound - index >= 64, word(index >> 6) == .max {
        index += 64
      } else if contains(index) {
        index += 1
      } else {
        return false
      }
    }
    return true
  }
}
