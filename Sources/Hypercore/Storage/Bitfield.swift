internal import RandomAccessStorage

/// The record of what is stored of a feed: a data bit for each block, a tree bit for each verified node.
///
/// Pages are read when they are first used, and one without any bit is not kept, so a feed of any length
/// opens at once. A page that can't be read counts as empty and leaves its error in ``failure``; nothing is
/// written after that.
///
/// Source: hypercore v6.26.0 `lib/bitfield.js`. Fixture: `feeds/two-pages/bitfield`.
package final class Bitfield {
  static let standardPageSize = 3584
  /// The size of the file's header, which precedes the pages.
  private static let headerSize: UInt64 = 32

  /// Bytes of a page in the file: 3584, or 3328 in feeds of older versions.
  @exclusivity(unchecked) private(set) var pageSize: Int
  @exclusivity(unchecked) private(set) var indexSize: Int
  /// The first error in reading a page.
  @exclusivity(unchecked) private(set) var failure: FeedError?

  /// The page that stands for all that are still in their files, so that each feed doesn't hold one of its own.
  /// Shared without a lock, since nothing changes it: no block or node has a bit in a page of number -1.
  private nonisolated(unsafe) static let unreadPage = BitfieldPage(number: -1, indexSize: 0)

  private let file: FeedFile?
  /// nil: empty; `unread`: still in the file.
  @exclusivity(unchecked) private var pages: [BitfieldPage?]
  private let unread = Bitfield.unreadPage
  /// The page that was used last.
  @exclusivity(unchecked) private var current: BitfieldPage
  @exclusivity(unchecked) private var dirty: [Int] = []
  /// The number of nodes that were set aside one at a time, as they turned out to be lost.
  @exclusivity(unchecked) var lostNodes = 0
  /// The numbers of the pages with bits that are set aside.
  @exclusivity(unchecked) var asidePages: Set<Int> = []

  /// - Parameter pageCount: the number of pages in the file; the last may be cut.
  init(file: FeedFile?, pageSize: Int = Bitfield.standardPageSize, pageCount: Int = 0) {
    self.file = file
    self.pageSize = pageSize
    indexSize = Self.indexSize(pageSize: pageSize)
    current = unread
    pages = Array(repeating: nil, count: pageCount)
    markUnread()
  }

  private static func indexSize(pageSize: Int) -> Int {
    max(pageSize - BitfieldPage.indexOffset, 1)
  }

  /// Forgets everything, also what waits to be written, and takes up what the file holds.
  func restart(pageSize: Int, pageCount: Int) {
    self.pageSize = pageSize
    indexSize = Self.indexSize(pageSize: pageSize)
    failure = nil
    dirty = []
    asidePages = []
    current = unread
    pages = Array(repeating: nil, count: pageCount)
    markUnread()
  }

  /// Marks the pages that have to be read: those of which the file may hold something. A feed may have half a
  /// million pages and hold a block in only one of them.
  private func markUnread() {
    guard let file else { return }
    var number = 0
    while number < pages.count {
      do throws(FeedError) {
        let offset = Self.headerSize + UInt64(number) * UInt64(pageSize)
        guard let stored = try file.nextStored(from: offset) else { return }
        number = max(number, Int((stored - Self.headerSize) / UInt64(pageSize)))
      } catch {
        // Reading them will report it.
        for number in number..<pages.count { pages[number] = unread }
        return
      }
      if number < pages.count { pages[number] = unread }
      number += 1
    }
  }

  /// The number of the highest page in the file or in memory, plus one.
  var pageCount: Int { pages.count }

  /// The index of the highest block that a page has a bit for, plus one.
  var dataLimit: UInt64 { UInt64(pages.count) * BitfieldPage.dataBits }

  /// The index of the highest node that a page has a bit for, plus one.
  var treeLimit: UInt64 { UInt64(pages.count) * BitfieldPage.treeBits }

  // MARK: Pages

  /// The page, or nil if it holds nothing.
  @inline(__always)
  func page(_ number: Int) -> BitfieldPage? {
    if current.number == number { return current }
    return find(number)
  }

  private func find(_ number: Int) -> BitfieldPage? {
    guard number < pages.count, number >= 0, var page = pages[number] else { return nil }
    if page === unread {
      guard let read = read(number) else {
        pages[number] = nil
        return nil
      }
      pages[number] = read
      page = read
    }
    current = page
    return page
  }

  private func read(_ number: Int) -> BitfieldPage? {
    guard let file, failure == nil else { return nil }
    return withUnsafeTemporaryAllocation(byteCount: pageSize, alignment: 8) { bytes in
      do throws(FeedError) {
        try file.fill(bytes, at: Self.headerSize + UInt64(number) * UInt64(pageSize))
      } catch {
        failure = error
        return nil
      }
      if bytes.allSatisfy({ $0 == 0 }) { return nil }
      let page = BitfieldPage(number: number, indexSize: indexSize)
      page.load(UnsafeRawBufferPointer(bytes))
      return page
    }
  }

  /// The numbers of the pages that hold something, or may: some have to be read to find out.
  var occupiedPages: [Int] { pages.indices.filter { pages[$0] != nil } }

  /// The first page from `number` on, below `end`, that holds a block.
  func nextStoredPage(from number: Int, below end: Int) -> Int? {
    let end = min(end, pages.count)
    var number = number
    while number < end {
      // A feed may have half a million pages that are known to hold nothing.
      if pages[number] != nil, let page = page(number), page.dataCount > 0 { return number }
      number += 1
    }
    return nil
  }

  /// The page, created if it holds nothing yet. The number is checked against ``FeedLimits``.
  @inline(__always)
  func writablePage(_ number: Int) -> BitfieldPage {
    if current.number == number { return current }
    return find(number) ?? make(number)
  }

  private func make(_ number: Int) -> BitfieldPage {
    if number >= pages.count {
      pages.append(contentsOf: repeatElement(nil, count: number + 1 - pages.count))
    }
    let page = BitfieldPage(number: number, indexSize: indexSize)
    pages[number] = page
    current = page
    return page
  }

  @inline(__always)
  func touch(_ page: BitfieldPage) {
    guard !page.isDirty else { return }
    page.isDirty = true
    dirty.append(page.number)
  }

  /// True if pages wait for ``flush()``.
  var isDirty: Bool { !dirty.isEmpty }

  /// Writes the pages that changed, in one call.
  func flush() throws(FeedError) {
    if let failure { throw failure }
    guard !dirty.isEmpty, let file else { return }
    try file.write(dirtyPieces())
    for number in dirty { pages[number]?.isDirty = false }
    dirty.removeAll(keepingCapacity: true)
  }

  private func dirtyPieces() -> [StorageWrite] {
    dirty.sort()
    var pieces: [StorageWrite] = []
    var start = 0
    while start < dirty.count {
      var end = start + 1
      while end < dirty.count, dirty[end] == dirty[end - 1] + 1 { end += 1 }
      let bytes = [UInt8](unsafeUninitializedCapacity: (end - start) * pageSize) { buffer, count in
        let bytes = UnsafeMutableRawBufferPointer(buffer)
        for place in start..<end {
          let range = (place - start) * pageSize..<(place - start + 1) * pageSize
          pages[dirty[place]]?.store(to: UnsafeMutableRawBufferPointer(rebasing: bytes[range]))
        }
        count = (end - start) * pageSize
      }
      pieces.append(
        StorageWrite(
          offset: Self.headerSize + UInt64(dirty[start]) * UInt64(pageSize), bytes: bytes))
      start = end
    }
    return pieces
  }

  /// Releases the memory of pages that are the same in the file.
  func releasePages() {
    guard file != nil, failure == nil else { return }
    current = unread
    for number in pages.indices where pages[number]?.isDirty == false {
      // Bits that are set aside are recorded nowhere else.
      if pages[number]?.aside == nil { pages[number] = unread }
    }
  }

  // MARK: Data bits

  /// Returns whether the block is stored.
  @inline(__always)
  func hasBlock(_ block: UInt64) -> Bool {
    guard block < dataLimit, let page = page(Int(block >> 13)) else { return false }
    return page.data[Int((block & 8191) >> 6)] & BitfieldPage.mask(block) != 0
  }

  /// Sets the bit of one block, which is below ``FeedLimits/maximumLength``.
  func setBlock(_ block: UInt64) {
    let page = writablePage(Int(block >> 13))
    let word = Int((block & 8191) >> 6)
    let mask = BitfieldPage.mask(block)
    if page.data[word] & mask != 0 { return }
    page.data[word] |= mask
    page.dataCount += 1
    if page.aside != nil { page.clearAside(mask, word) }
    touch(page)
    updateIndex(
      dataByte: block >> 3,
      to: UInt8(truncatingIfNeeded: page.storedWord(word) >> (56 - (block & 56))))
  }

  /// Sets or clears the bits of the blocks in a range, which is below ``FeedLimits/maximumLength``.
  ///
  /// - Returns: the number of bits that changed.
  @discardableResult
  func setBlocks(_ range: Range<UInt64>, to value: Bool) -> UInt64 {
    var changed: UInt64 = 0
    var block = range.lowerBound
    while block < range.upperBound {
      let number = Int(block >> 13)
      let end = min(range.upperBound, (UInt64(number) + 1) << 13)
      if value {
        changed += setBlocks(block..<end, in: writablePage(number), to: true)
      } else if let page = page(number) {
        changed += setBlocks(block..<end, in: page, to: false)
      }
      block = end
    }
    return changed
  }

  /// Sets or clears the bits of a range within one page.
  private func setBlocks(_ range: Range<UInt64>, in page: BitfieldPage, to value: Bool) -> UInt64 {
    var changed = 0
    var isWritten = false
    var block = range.lowerBound
    while block < range.upperBound {
      let word = Int((block & 8191) >> 6)
      let start = block & 63
      let count = min(64 - start, range.upperBound - block)
      let mask = BitfieldPage.mask(from: start, to: start + count)
      let (old, oldStored) = (page.data[word], page.storedWord(word))
      let new = value ? old | mask : old & ~mask
      if page.aside != nil { page.clearAside(mask, word) }
      if new != old {
        page.data[word] = new
        changed += (new ^ old).nonzeroBitCount
        isWritten = true
      }
      let newStored = page.storedWord(word)
      if newStored != oldStored {
        isWritten = true
        updateIndex(word: block >> 6, from: oldStored, to: newStored)
      }
      block += count
    }
    if isWritten { touch(page) }
    page.dataCount += value ? changed : -changed
    return UInt64(changed)
  }

  // MARK: Tree bits

  /// Returns whether the node is stored and verified.
  @inline(__always)
  package func hasNode(_ index: UInt64) -> Bool {
    guard index < treeLimit, let page = page(Int(index >> 14)) else { return false }
    return page.tree[Int((index & 16383) >> 6)] & BitfieldPage.mask(index) != 0
  }

  /// Sets or clears a node's bit. The node belongs to a length below ``FeedLimits/maximumLength``.
  @inline(__always)
  func setNode(_ index: UInt64, to value: Bool = true) {
    let page = writablePage(Int(index >> 14))
    let word = Int((index & 16383) >> 6)
    let mask = BitfieldPage.mask(index)
    if page.aside != nil { page.clearAside(mask, BitfieldPage.dataWords + word) }
    if value {
      if page.tree[word] & mask != 0 { return }
      page.tree[word] |= mask
    } else {
      if page.tree[word] & mask == 0 { return }
      page.tree[word] &= ~mask
    }
    touch(page)
  }
}
