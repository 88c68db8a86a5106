/// An entry's index into the database: for each index of its path and each digit, pointers to the entries
/// that agree with it before that index and have that digit there.
///
/// Flat: pointers sorted by index and digit, each in one word if it fits. The pointers of one index and digit
/// are a slot, and stand in the order in which they were added. The words of an entry's trie are in the memory
/// of the entry, which this keeps alive.
package struct Trie: Equatable {
  /// The object whose memory has the words: an entry, or what a builder made. Nil for an empty trie.
  private let owner: AnyObject?
  /// Place, digit and pointer together; in a wide trie two words each. Valid as long as ``owner`` is kept.
  private let words: UnsafePointer<UInt64>?
  /// The number of words.
  let wordCount: Int
  /// True if there is an index from 2^21 or a block from 2^32 on.
  let isWide: Bool

  /// The highest index of a pointer: beyond the path of any key that fits a block.
  static let maximumIndex = 1 << 28

  static var empty: Trie { Trie(owner: nil, words: nil, count: 0, isWide: false) }

  /// One pointer and the key of its slot: `index * 8 + digit`.
  typealias Entry = (slotKey: UInt64, pointer: FeedSequence)

  /// A trie in the memory of an object.
  init(owner: AnyObject?, words: UnsafePointer<UInt64>?, count: Int, isWide: Bool) {
    self.owner = owner
    self.words = words
    wordCount = count
    self.isWide = isWide
  }

  /// - Parameter entries: sorted by the keys of their slots.
  init(_ entries: [Entry]) {
    if entries.isEmpty {
      self = .empty
      return
    }
    let isWide = Self.isWide(entries)
    let holder = TrieWords.make(entries, isWide: isWide)
    self.init(
      owner: holder, words: holder.words, count: Self.wordCount(entries, isWide: isWide),
      isWide: isWide)
  }

  /// Returns whether entries need two words each.
  static func isWide(_ entries: [Entry]) -> Bool {
    var slotKeys: UInt64 = 0
    var seqs: UInt64 = 0
    for entry in entries {
      slotKeys |= entry.slotKey
      seqs |= entry.pointer.raw & FeedSequence.seqMask
    }
    return slotKeys >= 1 << 24 || seqs >= 1 << 32
  }

  /// Returns the number of words that entries take.
  static func wordCount(_ entries: [Entry], isWide: Bool) -> Int {
    isWide ? entries.count << 1 : entries.count
  }

  /// Writes the words of entries to memory that has room for them.
  static func write(_ entries: [Entry], isWide: Bool, to words: UnsafeMutablePointer<UInt64>) {
    for (position, entry) in entries.enumerated() {
      if isWide {
        words[position << 1] = entry.slotKey
        words[position << 1 + 1] = entry.pointer.raw
      } else {
        words[position] =
          entry.slotKey << 40 | UInt64(truncatingIfNeeded: entry.pointer.feed) << 32
          | UInt64(truncatingIfNeeded: entry.pointer.seq)
      }
    }
  }

  /// Copies the words to memory that has room for them.
  func copy(to memory: UnsafeMutablePointer<UInt64>) {
    guard let words else { return }
    withExtendedLifetime(owner) { memory.update(from: words, count: wordCount) }
  }

  @inline(__always)
  private func word(_ position: Int) -> UInt64 {
    assert(position >= 0 && position < wordCount)
    return withExtendedLifetime(owner) { words.unsafelyUnwrapped[position] }
  }

  package static func == (one: Trie, other: Trie) -> Bool {
    guard one.wordCount == other.wordCount, one.isWide == other.isWide else { return false }
    for position in 0..<one.wordCount where one.word(position) != other.word(position) {
      return false
    }
    return true
  }

  static func slotKey(_ index: Int, _ digit: UInt8) -> UInt64 { UInt64(index) << 3 | UInt64(digit) }

  /// The pointers of one index and digit.
  struct Slot: Hashable {
    let slotKey: UInt64
    var index: Int { Int(slotKey >> 3) }
    var digit: UInt8 { UInt8(slotKey & 7) }
  }

  /// The number of pointers.
  var count: Int { isWide ? wordCount >> 1 : wordCount }
  /// The memory of the trie, in bytes.
  var byteCount: Int { wordCount * 8 }
  var isEmpty: Bool { wordCount == 0 }

  @inline(__always)
  private func slotKey(at position: Int) -> UInt64 {
    isWide ? word(position << 1) : word(position) >> 40
  }

  /// Returns the slot of the pointer at a position from 0 to ``count`` - 1.
  func slot(_ position: Int) -> Slot { Slot(slotKey: slotKey(at: position)) }

  /// Returns the pointers of the slot that starts at `position`, for ``pointer(_:)``. The next slot starts at
  /// their end.
  func pointers(_ position: Int) -> Range<Int> {
    let slotKey = slotKey(at: position)
    let count = count
    // Usual slots are short. A hostile one may have a hundred thousand pointers: its end is found by doubling steps.
    var step = 1
    while position + step < count, self.slotKey(at: position + step) == slotKey { step *= 2 }
    var low = position + step / 2
    var high = min(position + step, count)
    while high - low > 1 {
      let middle = (low + high) >> 1
      if self.slotKey(at: middle) == slotKey { low = middle } else { high = middle }
    }
    return position..<high
  }

  /// Returns one pointer of a range.
  func pointer(_ position: Int) -> FeedSequence {
    if isWide { return FeedSequence(raw: word(position << 1 + 1)) }
    let word = word(position)
    return FeedSequence(
      feed: Int(truncatingIfNeeded: word >> 32 & 0xff),
      seq: Int(truncatingIfNeeded: word & 0xffff_ffff))
  }

  /// Returns the start of the first slot at `index` or after it.
  func firstSlot(from index: Int) -> Int { lowerBound(UInt64(index) << 3) }

  /// Returns the pointers at an index for a digit; empty if there are none.
  func pointers(at index: Int, _ digit: UInt8) -> Range<Int> {
    let slotKey = Self.slotKey(index, digit)
    let position = lowerBound(slotKey)
    guard position < count, self.slotKey(at: position) == slotKey else { return 0..<0 }
    return pointers(position)
  }

  /// Returns the same if no slot at that index is before `slot`.
  func pointers(at index: Int, _ digit: UInt8, from slot: Int) -> Range<Int> {
    let slotKey = Self.slotKey(index, digit)
    var position = slot
    while position < count, self.slotKey(at: position) < slotKey {
      position = pointers(position).upperBound
    }
    guard position < count, self.slotKey(at: position) == slotKey else { return 0..<0 }
    return pointers(position)
  }

  /// Returns whether there is a pointer at an index for a digit.
  func hasPointers(at index: Int, _ digit: UInt8) -> Bool {
    !pointers(at: index, digit).isEmpty
  }

  private func lowerBound(_ slotKey: UInt64) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) >> 1
      if self.slotKey(at: middle) < slotKey { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The words of a trie that no entry has yet.
private final class TrieWords: ManagedBuffer<Void, UInt64> {
  static func make(_ entries: [Trie.Entry], isWide: Bool) -> TrieWords {
    let words = create(minimumCapacity: Trie.wordCount(entries, isWide: isWide)) { _ in }
    words.withUnsafeMutablePointerToElements { Trie.write(entries, isWide: isWide, to: $0) }
    // `create` makes an instance of the class that it is called on.
    return unsafeDowncast(words, to: TrieWords.self)
  }

  /// The start of the words, which stay where they are.
  var words: UnsafePointer<UInt64> { withUnsafeMutablePointerToElements { UnsafePointer($0) } }
}

/// A trie in the making: pointers by slot, each once, in the order in which they were added.
///
/// The few of a usual trie are kept sorted. Larger numbers, which others' entries may bring, are collected
/// and sorted once.
struct TrieBuilder {
  private struct Addition: Hashable {
    let slotKey: UInt64
    let pointer: FeedSequence
  }

  private var entries: [Trie.Entry] = []
  /// The pointers that were added, once there are too many to search one by one.
  private var known: Set<Addition> = []
  /// The most pointers that are searched one by one.
  private static let searched = 512

  /// The number of pointers that were added.
  var count: Int { entries.count }

  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    if !known.isEmpty { known = [] }
  }

  /// Adds a pointer behind those of the same slot, unless it is there already.
  mutating func add(_ pointer: FeedSequence, at index: Int, _ digit: UInt8) {
    let slotKey = Trie.slotKey(index, digit)
    if entries.count >= Self.searched {
      addUnsearched(Addition(slotKey: slotKey, pointer: pointer))
      return
    }
    var position = entries.count
    // Additions come at rising indexes, unless one worker lags behind another: search from the end.
    while position > 0, entries[position - 1].slotKey > slotKey { position -= 1 }
    var same = position
    while same > 0, entries[same - 1].slotKey == slotKey {
      if entries[same - 1].pointer == pointer { return }
      same -= 1
    }
    if position == entries.count {
      entries.append((slotKey, pointer))
    } else {
      entries.insert((slotKey, pointer), at: position)
    }
  }

  private mutating func addUnsearched(_ addition: Addition) {
    if known.isEmpty {
      for entry in entries {
        known.insert(Addition(slotKey: entry.slotKey, pointer: entry.pointer))
      }
    }
    if known.insert(addition).inserted { entries.append((addition.slotKey, addition.pointer)) }
  }

  /// Adds a pointer that comes after all others.
  mutating func append(_ pointer: FeedSequence, at index: Int, _ digit: UInt8) {
    if entries.count >= Self.searched {
      add(pointer, at: index, digit)
    } else {
      entries.append((Trie.slotKey(index, digit), pointer))
    }
  }

  /// Adds those pointers of a whole trie for which `isKept` returns true.
  mutating func add(_ trie: Trie, where isKept: (FeedSequence) -> Bool = { _ in true }) {
    for position in 0..<trie.count where isKept(trie.pointer(position)) {
      let slot = trie.slot(position)
      add(trie.pointer(position), at: slot.index, slot.digit)
    }
  }

  /// Returns the trie of what was added.
  func finish() -> Trie {
    if known.isEmpty { return Trie(entries) }
    // The pointers of one slot keep the order in which they were added.
    let sorted = entries.enumerated().sorted {
      ($0.element.slotKey, $0.offset) < ($1.element.slotKey, $1.offset)
    }
    return Trie(sorted.map(\.element))
  }
}

extension Trie {
  /// Calls `body` with all indexes, digits and pointers, in order.
  package func forEachSlot(_ body: (Int, UInt8, [FeedSequence]) -> Void) {
    var position = 0
    while position < count {
      let slot = slot(position)
      let pointers = pointers(position)
      body(slot.index, slot.digit, pointers.map { pointer($0) })
      position = pointers.upperBound
    }
  }
}
