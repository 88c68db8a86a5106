internal import DatCoding

/// A set of block or node indexes that a peer can grow. Its memory depends only on its irregular parts.
///
/// Full pages of 8,192 are kept as ranges, so a claim to have 2^50 blocks costs as much as a claim to one
/// page. Partial pages are bitmaps. There are at most `mixedPageLimit` of each. Claims beyond that are
/// dropped: the set is a hint about which peer to ask, never a proof.
///
/// Bits are numbered as in the files and on the wire: the top bit of a word comes first.
struct BlockSet {
  static let pageBits: UInt64 = 8192
  private static let pageWords = 128

  /// The most bitmaps, and the most ranges. The default is 4 MiB of bitmaps: 33 million blocks, on partial
  /// pages only.
  private let mixedPageLimit: Int
  /// The account from which bitmaps and ranges are taken, if a peer decides how many there are.
  private let memory: PeerMemory?
  private static let pageBytes = pageWords * 8 + 64
  /// The memory of a range of full pages, in an array that may have grown to twice its content.
  private static let rangeBytes = 32

  init(mixedPageLimit: Int = 4096, memory: PeerMemory? = nil) {
    self.mixedPageLimit = mixedPageLimit
    self.memory = memory
  }

  /// The bits of a page, followed by the number that are set, in memory of its own. Accesses stay in bounds
  /// because every caller masks the word's number.
  private final class Page {
    let words: UnsafeMutablePointer<UInt64>

    init(full: Bool) {
      words = .allocate(capacity: BlockSet.pageWords + 1)
      words.initialize(repeating: full ? .max : 0, count: BlockSet.pageWords)
      (words + BlockSet.pageWords).initialize(to: full ? BlockSet.pageBits : 0)
    }

    deinit { words.deallocate() }

    var count: Int {
      get { Int(words[BlockSet.pageWords]) }
      set { words[BlockSet.pageWords] = UInt64(newValue) }
    }
  }

  /// The numbers of the partial pages, ascending, and their bits.
  private(set) var numbers: [UInt64] = []
  private var pages: [Page] = []
  /// The numbers of full pages, as ascending ranges that don't touch.
  private(set) var full: [Range<UInt64>] = []

  var isEmpty: Bool { numbers.isEmpty && full.isEmpty }

  mutating func removeAll() {
    memory?.give(pages.count * Self.pageBytes + full.count * Self.rangeBytes)
    numbers = []
    pages = []
    full = []
  }

  // MARK: Looking

  func contains(_ index: UInt64) -> Bool {
    word(index >> 6) & Self.mask(index) != 0
  }

  /// The 64 bits from `64 * number` on, the first as the highest bit.
  func word(_ number: UInt64) -> UInt64 {
    let page = number >> 7
    let place = Self.place(of: page, in: numbers)
    if place < numbers.count, numbers[place] == page {
      return pages[place].words[Int(number & 127)]
    }
    return isFull(page) ? .max : 0
  }

  // MARK: Changing

  /// - Returns: true if the bit was clear.
  @discardableResult
  mutating func insert(_ index: UInt64) -> Bool {
    let number = index >> 13
    guard let page = page(number, makingFull: false, adding: true) else { return false }
    let word = Int((index >> 6) & 127)
    let mask = Self.mask(index)
    if page.words[word] & mask != 0 { return false }
    page.words[word] |= mask
    page.count += 1
    if page.count == Int(Self.pageBits) { settle(number) }
    return true
  }

  mutating func remove(_ index: UInt64) {
    let number = index >> 13
    guard let page = page(number, makingFull: true, adding: false) else { return }
    let word = Int((index >> 6) & 127)
    let mask = Self.mask(index)
    if page.words[word] & mask == 0 { return }
    page.words[word] &= ~mask
    page.count -= 1
    if page.count == 0 { settle(number) }
  }

  /// Adds the members in one word, the 64 from `64 * number` on.
  mutating func insert(_ bits: UInt64, inWord number: UInt64) {
    let pageNumber = number >> 7
    guard bits != 0, let page = page(pageNumber, makingFull: false, adding: true) else { return }
    let word = Int(number & 127)
    page.count += (bits & ~page.words[word]).nonzeroBitCount
    page.words[word] |= bits
    if page.count == Int(Self.pageBits) { settle(pageNumber) }
  }

  mutating func insert(_ range: Range<UInt64>) { set(range, true) }

  mutating func remove(_ range: Range<UInt64>) { set(range, false) }

  /// Replaces the members from `start` on, a multiple of 8,192, by those of a Have message's bitfield.
  mutating func replace(from start: UInt64, with runs: BitfieldRLE.Runs) {
    for run in runs {
      let (first, overflow) = start.addingReportingOverflow(UInt64(run.offset) * 8)
      guard !overflow else { return }
      let end = first + UInt64(run.count) * 8
      switch run.content {
      case .zeros: remove(first..<end)
      case .ones: insert(first..<end)
      case .literal(let at):
        for place in 0..<run.count {
          setByte(first + UInt64(place) * 8, runs.encoded[at + place])
        }
      }
    }
  }

  // MARK: Parts

  private static func mask(_ index: UInt64) -> UInt64 { 1 << (63 - (index & 63)) }

  static func place(of number: UInt64, in numbers: [UInt64]) -> Int {
    // Most calls are about the last page, or a new one after it.
    if let last = numbers.last, last <= number {
      return last == number ? numbers.count - 1 : numbers.count
    }
    var low = 0
    var high = numbers.count
    while low < high {
      let middle = (low + high) / 2
      if numbers[middle] < number { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func isFull(_ page: UInt64) -> Bool {
    let place = fullPlace(endingAfter: page)
    return place < full.count && full[place].lowerBound <= page
  }

  /// The position of the first range of full pages that ends after `page`.
  func fullPlace(endingAfter page: UInt64) -> Int {
    var low = 0
    var high = full.count
    while low < high {
      let middle = (low + high) / 2
      if full[middle].upperBound <= page { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The bitmap of a page.
  ///
  /// - Parameters:
  ///   - makingFull: true if a full page is turned into a bitmap.
  ///   - adding: true if a missing page is created.
  private mutating func page(_ number: UInt64, makingFull: Bool, adding: Bool) -> Page? {
    let place = Self.place(of: number, in: numbers)
    if place < numbers.count, numbers[place] == number { return pages[place] }
    let whole = isFull(number)
    guard whole ? makingFull : adding, numbers.count < mixedPageLimit,
      memory?.take(Self.pageBytes) ?? true
    else { return nil }
    if whole { removeFull(number..<number + 1) }
    let page = Page(full: whole)
    numbers.insert(number, at: place)
    pages.insert(page, at: place)
    return page
  }

  /// Turns a bitmap that has become uniform back into a full page or none.
  private mutating func settle(_ number: UInt64) {
    let place = Self.place(of: number, in: numbers)
    guard place < numbers.count, numbers[place] == number else { return }
    let isWhole = pages[place].count > 0
    memory?.give(Self.pageBytes)
    numbers.remove(at: place)
    pages.remove(at: place)
    if isWhole { insertFull(number..<number + 1) }
  }

  private mutating func set(_ range: Range<UInt64>, _ value: Bool) {
    if range.isEmpty { return }
    let firstWhole = (range.lowerBound + Self.pageBits - 1) >> 13
    let endWhole = range.upperBound >> 13
    guard firstWhole < endWhole else {
      // There is no full page: one partial page, or two neighbours.
      let border = min(range.upperBound, firstWhole << 13)
      if range.lowerBound < border { setPart(range.lowerBound..<border, value) }
      if border < range.upperBound {
        setPart(max(border, range.lowerBound)..<range.upperBound, value)
      }
      return
    }
    if range.lowerBound < firstWhole << 13 { setPart(range.lowerBound..<firstWhole << 13, value) }
    let low = Self.place(of: firstWhole, in: numbers)
    let high = Self.place(of: endWhole, in: numbers)
    if low < high {
      memory?.give((high - low) * Self.pageBytes)
      numbers.removeSubrange(low..<high)
      pages.removeSubrange(low..<high)
    }
    if value { insertFull(firstWhole..<endWhole) } else { removeFull(firstWhole..<endWhole) }
    if endWhole << 13 < range.upperBound { setPart(endWhole << 13..<range.upperBound, value) }
  }

  /// Sets bits inside one page.
  private mutating func setPart(_ range: Range<UInt64>, _ value: Bool) {
    let number = range.lowerBound >> 13
    guard let page = page(number, makingFull: !value, adding: value) else { return }
    var index = range.lowerBound
    while index < range.upperBound {
      let word = Int((index >> 6) & 127)
      let end = min(range.upperBound, (index | 63) + 1)
      let length = end - index
      let bits: UInt64 = length == 64 ? .max : ((1 << length) - 1) << (64 - (index & 63) - length)
      let before = page.words[word].nonzeroBitCount
      if value { page.words[word] |= bits } else { page.words[word] &= ~bits }
      page.count += page.words[word].nonzeroBitCount - before
      index = end
    }
    if page.count == 0 || page.count == Int(Self.pageBits) { settle(number) }
  }

  /// Sets eight bits at once. `index` is a multiple of 8.
  private mutating func setByte(_ index: UInt64, _ byte: UInt8) {
    let number = index >> 13
    guard let page = page(number, makingFull: true, adding: byte != 0) else { return }
    let word = Int((index >> 6) & 127)
    let shift = 56 - (index & 63)
    let before = page.words[word].nonzeroBitCount
    page.words[word] = page.words[word] & ~(0xff << shift) | UInt64(byte) << shift
    page.count += page.words[word].nonzeroBitCount - before
    if page.count == 0 || page.count == Int(Self.pageBits) { settle(number) }
  }

  private mutating func insertFull(_ range: Range<UInt64>) {
    // Ranges that overlap or touch it are merged with it.
    let low = range.lowerBound == 0 ? 0 : fullPlace(endingAfter: range.lowerBound - 1)
    var high = fullPlace(endingAfter: range.upperBound)
    if high < full.count, full[high].lowerBound <= range.upperBound { high += 1 }
    let start = low < high ? min(range.lowerBound, full[low].lowerBound) : range.lowerBound
    let end = low < high ? max(range.upperBound, full[high - 1].upperBound) : range.upperBound
    replaceFull(low..<high, with: [start..<end])
  }

  private mutating func removeFull(_ range: Range<UInt64>) {
    let low = fullPlace(endingAfter: range.lowerBound)
    var high = fullPlace(endingAfter: range.upperBound)
    if high < full.count, full[high].lowerBound < range.upperBound { high += 1 }
    guard low < high else { return }
    let (start, end) = (full[low].lowerBound, full[high - 1].upperBound)
    var kept: [Range<UInt64>] = []
    if start < range.lowerBound { kept.append(start..<range.lowerBound) }
    if range.upperBound < end { kept.append(range.upperBound..<end) }
    // If there is no room for both parts of a range, the second is dropped with what is removed.
    if !replaceFull(low..<high, with: kept) { replaceFull(low..<high, with: Array(kept.prefix(1))) }
  }

  /// Replaces ranges of full pages by others.
  ///
  /// - Returns: true if there is room for them; if not, nothing changes.
  @discardableResult
  private mutating func replaceFull(_ places: Range<Int>, with ranges: [Range<UInt64>]) -> Bool {
    let growth = ranges.count - places.count
    if growth > 0 {
      guard full.count + growth <= mixedPageLimit, memory?.take(growth * Self.rangeBytes) ?? true
      else { return false }
    } else {
      memory?.give(-growth * Self.rangeBytes)
    }
    full.replaceSubrange(places, with: ranges)
    return true
  }
}
