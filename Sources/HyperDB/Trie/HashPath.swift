/// The position of a key or a prefix in the trie: digits 0 to 3, and for a whole key a final 4.
package struct HashPath: Hashable, CustomStringConvertible {
  /// The digit that ends the path of a key.
  package static let terminator: UInt8 = 4
  /// The result of ``digit(_:)`` past the end: no digit at all.
  static let none: UInt8 = 255

  /// The digits, 32 to a word, the first in the lowest two bits. Bits past the last digit are zero.
  private var words: PathWords
  /// The number of digits. Every entry has a path, so it is small; no key has 2^27 components.
  private let digitCount: UInt32
  let isTerminated: Bool
  /// The number of digits, without the terminator.
  var digits: Int { Int(digitCount) }

  init(words: PathWords, digits: Int, isTerminated: Bool) {
    self.words = words
    digitCount = UInt32(truncatingIfNeeded: digits)
    self.isTerminated = isTerminated
  }

  /// The path without digits, which is that of the empty prefix.
  package static let empty = HashPath(words: PathWords(), digits: 0, isTerminated: false)

  /// The memory that it takes beside itself, in words.
  var wordCount: Int { words.count }

  /// The number of digits, terminator included.
  package var count: Int { isTerminated ? digits + 1 : digits }

  /// The digit at `index`: 0 to 3, 4 for the terminator, ``none`` past the end.
  package func digit(_ index: Int) -> UInt8 {
    if index < digits {
      return UInt8(truncatingIfNeeded: words[index >> 5] >> UInt64((index & 31) << 1)) & 3
    }
    return isTerminated && index == digits ? Self.terminator : Self.none
  }

  /// Returns the first index at which the two paths differ or one of them ends. That is the smaller count
  /// if one is a prefix of the other.
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

  /// Returns the first `count` digits of this path, followed by `digit`.
  func prefix(_ count: Int, then digit: UInt8) -> HashPath {
    var words = words.start(digits: count)
    if digit == Self.terminator {
      return HashPath(words: words, digits: count, isTerminated: true)
    }
    words.set(digit, at: count)
    return HashPath(words: words, digits: count + 1, isTerminated: false)
  }

  /// Returns whether this path comes before `other` in the order of a list: by digits, the terminator
  /// before all others; nil if they are equal.
  func precedes(_ other: HashPath) -> Bool? {
    let index = firstDifference(from: other)
    // The terminator and the end of a path precede every digit.
    let left = digit(index)
    let right = other.digit(index)
    if left == right { return nil }
    if left >= Self.terminator { return true }
    if right >= Self.terminator { return false }
    return left < right
  }

  /// The digits as text.
  package var description: String { (0..<count).map { String(digit($0)) }.joined() }
}

/// The words of a path. The first three, enough for the components of most keys, are stored without an array.
struct PathWords: Hashable {
  private var first: UInt64 = 0
  private var second: UInt64 = 0
  private var third: UInt64 = 0
  private var rest: [UInt64] = []
  private var wordCount: UInt32 = 0

  init() {}

  var count: Int { Int(wordCount) }

  @inline(__always)
  subscript(_ index: Int) -> UInt64 {
    get {
      switch index {
      case 0: first
      case 1: second
      case 2: third
      default: rest[index - 3]
      }
    }
    set {
      switch index {
      case 0: first = newValue
      case 1: second = newValue
      case 2: third = newValue
      default: rest[index - 3] = newValue
      }
    }
  }

  mutating func append(_ word: UInt64) {
    wordCount += 1
    if count > 3 { rest.append(word) } else { self[count - 1] = word }
  }

  /// Returns the first `digits` digits.
  func start(digits: Int) -> PathWords {
    var start = PathWords()
    if digits > 96 { start.rest.reserveCapacity((digits + 32) >> 5 - 3) }
    for index in 0..<((digits + 31) >> 5) { start.append(self[index]) }
    if digits & 31 != 0 { start[digits >> 5] &= (1 << UInt64((digits & 31) << 1)) - 1 }
    return start
  }

  /// Sets a digit that is zero, or appends the next one.
  mutating func set(_ digit: UInt8, at index: Int) {
    if index >> 5 == count { append(0) }
    self[index >> 5] |= UInt64(digit) << UInt64((index & 31) << 1)
  }
}
