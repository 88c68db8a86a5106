/// An entry's index into the database: for a place in its path and a digit, where the entries are
/// that agree with it before that place and have that digit there.
///
/// Flat: one array holds the slots, sorted, and after them all pointers.
package struct Trie: Hashable {
  /// `index * 8 + digit` in the top half, the end of the slot's pointers in the lower.
  private var words: [UInt64]
  private var slotCount: Int

  /// The highest place that a pointer may be kept at: beyond the path of any key that fits a block.
  static let maximumIndex = 1 << 28

  static let empty = Trie(slots: [], pointers: [])

  fileprivate init(words: [UInt64], slotCount: Int) {
    self.words = words
    self.slotCount = slotCount
  }

  /// - Parameters:
  ///   - slots: places in ascending order, each with the end of its pointers.
  init(slots: [Slot], pointers: [FeedSequence]) {
    slotCount = slots.count
    if slots.isEmpty {
      words = []
      return
    }
    words = [UInt64](unsafeUninitializedCapacity: slots.count + pointers.count) { words, count in
      for (position, slot) in slots.enumerated() { words[position] = slot.word }
      for (position, pointer) in pointers.enumerated() {
        words[slots.count + position] = pointer.raw
      }
      count = slots.count + pointers.count
    }
  }

  /// One place and digit that has pointers.
  struct Slot: Hashable {
    let word: UInt64

    init(place: UInt64, end: Int) { word = place << 32 | UInt64(end) }
    init(word: UInt64) { self.word = word }

    static func place(_ index: Int, _ digit: UInt8) -> UInt64 {
      UInt64(index) << 3 | UInt64(digit)
    }

    var place: UInt64 { word >> 32 }
    var index: Int { Int(word >> 35) }
    var digit: UInt8 { UInt8(word >> 32 & 7) }
    var end: Int { Int(word & 0xffff_ffff) }
  }

  /// How many slots have pointers.
  var count: Int { slotCount }
  /// How much memory the trie takes.
  var byteCount: Int { words.count * 8 }
  var isEmpty: Bool { slotCount == 0 }

  /// The slot at a position from 0 to ``count`` - 1.
  func slot(_ position: Int) -> Slot { Slot(word: words[position]) }

  /// The pointers of the slot at `position`, for ``pointer(_:)``.
  func pointers(_ position: Int) -> Range<Int> {
    let start = position == 0 ? 0 : slot(position - 1).end
    return start..<slot(position).end
  }

  /// One pointer of a range.
  func pointer(_ position: Int) -> FeedSequence { FeedSequence(raw: words[slotCount + position]) }

  /// The first slot at `index` or after it.
  func firstSlot(from index: Int) -> Int { lowerBound(UInt64(index) << 3) }

  /// The pointers at a place for a digit, empty where there are none.
  func pointers(at index: Int, _ digit: UInt8) -> Range<Int> {
    let place = Slot.place(index, digit)
    let position = lowerBound(place)
    guard position < slotCount, slot(position).place == place else { return 0..<0 }
    return pointers(position)
  }

  /// Whether there is a pointer at a place for a digit.
  func hasPointers(at index: Int, _ digit: UInt8) -> Bool {
    !pointers(at: index, digit).isEmpty
  }

  private func lowerBound(_ place: UInt64) -> Int {
    var low = 0
    var high = slotCount
    while low < high {
      let middle = (low + high) >> 1
      if words[middle] >> 32 < place { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// A trie in the making: pointers by place, each once, in the order they were added.
struct TrieBuilder {
  private var entries: [(place: UInt64, pointer: FeedSequence)] = []

  var isEmpty: Bool { entries.isEmpty }

  mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

  /// Adds a pointer behind those at the same place, unless it is there.
  mutating func add(_ pointer: FeedSequence, at index: Int, _ digit: UInt8) {
    let place = Trie.Slot.place(index, digit)
    var position = entries.count
    // Additions come at rising places, but for one worker behind another: search from the end.
    while position > 0, entries[position - 1].place > place { position -= 1 }
    var same = position
    while same > 0, entries[same - 1].place == place {
      if entries[same - 1].pointer == pointer { return }
      same -= 1
    }
    if position == entries.count {
      entries.append((place, pointer))
    } else {
      entries.insert((place, pointer), at: position)
    }
  }

  /// The trie of what was added.
  func finish() -> Trie {
    if entries.isEmpty { return .empty }
    var slotCount = 0
    for position in entries.indices where isLast(position) { slotCount += 1 }
    let words = [UInt64](unsafeUninitializedCapacity: slotCount + entries.count) { words, count in
      var slot = 0
      for (position, entry) in entries.enumerated() {
        words[slotCount + position] = entry.pointer.raw
        if isLast(position) {
          words[slot] = Trie.Slot(place: entry.place, end: position + 1).word
          slot += 1
        }
      }
      count = slotCount + entries.count
    }
    return Trie(words: words, slotCount: slotCount)
  }

  private func isLast(_ position: Int) -> Bool {
    position + 1 == entries.count || entries[position + 1].place != entries[position].place
  }
}

extension Trie {
  /// Tells all places, digits and pointers, in order.
  package func forEachSlot(_ body: (Int, UInt8, [FeedSequence]) -> Void) {
    for position in 0..<count {
      let slot = slot(position)
      body(slot.index, slot.digit, pointers(position).map { pointer($0) })
    }
  }
}
