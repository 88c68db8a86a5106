/// The place of a key, or of a prefix, in the trie: digits 0 to 3, and for a whole key a 4 after
/// them.
package struct HashPath: Hashable, CustomStringConvertible {
  /// The digit that ends the path of a key.
  package static let terminator: UInt8 = 4
  /// What ``digit(_:)`` gives past the end: no digit at all.
  static let none: UInt8 = 255

  /// 32 digits each, the first in the lowest two bits. Bits past the last digit are zero.
  private(set) var words: [UInt64]
  /// How many digits there are, without the terminator.
  private(set) var digits: Int
  let isTerminated: Bool

  init(words: [UInt64], digits: Int, isTerminated: Bool) {
    self.words = words
    self.digits = digits
    self.isTerminated = isTerminated
  }

  /// The path with no digits, which is that of the prefix ``.
  package static let empty = HashPath(words: [], digits: 0, isTerminated: false)

  /// Digits and terminator together.
  package var count: Int { isTerminated ? digits + 1 : digits }

  /// The digit at `index`: 0 to 3, 4 for the terminator, ``none`` past the end.
  package func digit(_ index: Int) -> UInt8 {
    if index < digits {
      return UInt8(truncatingIfNeeded: words[index >> 5] >> UInt64((index & 31) << 1)) & 3
    }
    return isTerminated && index == digits ? Self.terminator : Self.none
  }

  /// The first index at which the two paths differ or one of them ends, which is the smaller count
  /// where one is the start of the other.
  func firstDifference(from other: HashPath) -> Int {
    let common = min(digits, other.digits)
    var word = 0
    let wordCount = (common + 31) >> 5
    while word < wordCount {
      let difference = words[word] ^ other.words[word]
      if difference != 0 {
        let index = word << 5 + difference.trailingZeroBitCount >> 1
        if index < common { return index }
        break
      }
      word += 1
    }
    let isSame = digits == other.digits && isTerminated && other.isTerminated
    return isSame ? common + 1 : common
  }

  /// The first `count` digits of this path, then `digit`.
  func prefix(_ count: Int, then digit: UInt8) -> HashPath {
    if digit == Self.terminator {
      return HashPath(words: start(count), digits: count, isTerminated: true)
    }
    var words = start(count)
    if count & 31 == 0 {
      words.append(UInt64(digit))
    } else {
      words[count >> 5] |= UInt64(digit) << UInt64((count & 31) << 1)
    }
    return HashPath(words: words, digits: count + 1, isTerminated: false)
  }

  private func start(_ count: Int) -> [UInt64] {
    var start = Array(words[..<((count + 31) >> 5)])
    if count & 31 != 0 { start[count >> 5] &= (1 << UInt64((count & 31) << 1)) - 1 }
    return start
  }

  /// Whether this path comes before `other` in the order of a list: by digits, the terminator
  /// before all others; nil where they are equal.
  func precedes(_ other: HashPath) -> Bool? {
    let index = firstDifference(from: other)
    // The terminator turns to 0 and no digit at all to 0 as well: nothing comes before either.
    let left = digit(index)
    let right = other.digit(index)
    if left == right { return nil }
    if left >= Self.terminator { return true }
    if right >= Self.terminator { return false }
    return left < right
  }

  /// The digits in a row.
  package var description: String { (0..<count).map { String(digit($0)) }.joined() }
}
