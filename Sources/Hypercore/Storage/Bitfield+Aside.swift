// Bits that are set in the file and don't count.
//
// If a bit claims something that is not there, the file stays as it is: it may be the only record of what was
// stored, and what is missing may come back, such as a folder that was moved, or a file that the user of an
// archive restores. Only the bits in memory change. The file changes once something else takes the place, or
// when a repair is asked for.

extension Bitfield {
  /// True if any bit is set aside.
  var hasAside: Bool { !asidePages.isEmpty }

  /// Treats the blocks of a range as not stored, and leaves their bits in the file as they are.
  ///
  /// - Returns: the blocks that counted as stored before, in runs.
  @discardableResult
  func setAside(_ range: Range<UInt64>) -> [Range<UInt64>] {
    var runs: [Range<UInt64>] = []
    let end = min(range.upperBound, dataLimit)
    var next = range.lowerBound
    while let first = nextStored(from: next, below: end) {
      next = nextMissing(from: first, below: end) ?? end
      runs.append(first..<next)
      eachWord(of: first..<next) { page, word, mask in
        let bits = page.data[word] & mask
        page.data[word] &= ~bits
        page.dataCount -= bits.nonzeroBitCount
        keepAside(bits, word, of: page)
      }
    }
    return runs
  }

  /// Treats one node as unknown, and leaves its bit in the file as it is.
  func setAside(node index: UInt64) {
    lostNodes += 1
    guard index < treeLimit, let page = page(Int(index >> 14)) else { return }
    let word = Int((index & 16383) >> 6)
    setAsideNodes(BitfieldPage.mask(index), word, of: page)
  }

  /// Treats every node from an index on as unknown, and leaves their bits in the file as they are.
  ///
  /// - Returns: true if there were any.
  @discardableResult
  func setAsideNodes(from index: UInt64) -> Bool {
    var changed = false
    var node = index
    while node < treeLimit {
      guard let page = page(Int(node >> 14)) else {
        node = (node >> 14 + 1) << 14
        continue
      }
      if setAsideNodes(.max >> (node & 63), Int((node & 16383) >> 6), of: page) { changed = true }
      node = (node >> 6 + 1) << 6
    }
    return changed
  }

  /// Treats every block from `length` on, and every node above such a block, as unknown.
  func setAside(from length: UInt64) {
    setAside(min(length, dataLimit)..<dataLimit)
    setAsideNodes(from: 2 * length)
    // Of the nodes before that index, only parents of the last leaf before it can reach past it.
    guard length > 0 else { return }
    var node = 2 * (length - 1)
    while node < treeLimit, FlatTree.depth(node) < 62 {
      if FlatTree.rightSpan(node) >= 2 * length, hasNode(node) { setAside(node: node) }
      node = FlatTree.parent(node)
    }
  }

  /// The blocks of a range that are set aside, in runs.
  func asideBlocks(in range: Range<UInt64>) -> [Range<UInt64>] {
    var runs: [Range<UInt64>] = []
    for number in asidePages.sorted() {
      guard let aside = page(number)?.aside else { continue }
      for word in 0..<BitfieldPage.dataWords where aside[word] != 0 {
        let first = UInt64(number) << 13 + UInt64(word) << 6
        for bit in 0..<64 as Range<UInt64> where aside[word] & BitfieldPage.mask(bit) != 0 {
          if range.contains(first + bit) { runs.appendBlock(first + bit) }
        }
      }
    }
    return runs
  }

  /// Treats blocks that were set aside as stored again.
  func countAgain(_ range: Range<UInt64>) {
    for number in asidePages {
      guard let range = blocks(of: number, in: range) else { continue }
      eachWord(of: range) { page, word, mask in
        guard let bits = page.aside.map({ $0[word] & mask }), bits != 0 else { return }
        page.aside?[word] &= ~bits
        page.data[word] |= bits
        page.dataCount += bits.nonzeroBitCount
      }
      forgetIfEmpty(number)
    }
  }

  /// Clears the bits of the blocks in a range that are set aside in the file too, with the next ``flush()``.
  ///
  /// - Returns: true if there were any.
  @discardableResult
  func forgetAside(_ range: Range<UInt64>) -> Bool {
    var changed = false
    for number in asidePages {
      guard let range = blocks(of: number, in: range) else { continue }
      eachWord(of: range) { page, word, mask in
        let old = page.storedWord(word)
        page.aside?[word] &= ~mask
        let new = page.storedWord(word)
        guard new != old else { return }
        changed = true
        touch(page)
        updateIndex(word: UInt64(number) << 7 + UInt64(word), from: old, to: new)
      }
      forgetIfEmpty(number)
    }
    return changed
  }

  /// Clears the bits of the nodes that are set aside in the file too, with the next ``flush()``.
  ///
  /// - Returns: true if there were any.
  @discardableResult
  func forgetAsideNodes() -> Bool {
    var changed = false
    for number in asidePages {
      guard let page = page(number) else { continue }
      for word in BitfieldPage.dataWords..<BitfieldPage.dataWords + BitfieldPage.treeWords
      where page.aside.map({ $0[word] != 0 }) == true {
        page.aside?[word] = 0
        touch(page)
        changed = true
      }
      forgetIfEmpty(number)
    }
    return changed
  }

  /// Forgets every block from `length` on, and every node above such a block.
  func cut(to length: UInt64) {
    setAside(from: length)
    forgetAside(length..<max(length, dataLimit))
    forgetAsideNodes()
  }

  // MARK: Words

  /// Calls `body` with each data word that overlaps a range below ``dataLimit``, and the mask of the overlap.
  /// Skips pages that hold nothing.
  private func eachWord(of range: Range<UInt64>, _ body: (BitfieldPage, Int, UInt64) -> Void) {
    var block = range.lowerBound
    while block < range.upperBound {
      guard let page = page(Int(block >> 13)) else {
        block = (block >> 13 + 1) << 13
        continue
      }
      let start = block & 63
      let count = min(64 - start, range.upperBound - block)
      body(page, Int((block & 8191) >> 6), BitfieldPage.mask(from: start, to: start + count))
      block += count
    }
  }

  @discardableResult
  private func setAsideNodes(_ mask: UInt64, _ word: Int, of page: BitfieldPage) -> Bool {
    let bits = page.tree[word] & mask
    guard bits != 0 else { return false }
    page.tree[word] &= ~bits
    keepAside(bits, BitfieldPage.dataWords + word, of: page)
    return true
  }

  private func keepAside(_ bits: UInt64, _ word: Int, of page: BitfieldPage) {
    if page.aside == nil {
      page.aside = Array(repeating: 0, count: BitfieldPage.dataWords + BitfieldPage.treeWords)
      asidePages.insert(page.number)
    }
    page.aside?[word] |= bits
  }

  private func blocks(of page: Int, in range: Range<UInt64>) -> Range<UInt64>? {
    let first = UInt64(page) << 13
    let blocks = range.clamped(to: first..<first + BitfieldPage.dataBits)
    return blocks.isEmpty ? nil : blocks
  }

  private func forgetIfEmpty(_ number: Int) {
    guard let page = page(number), page.aside?.allSatisfy({ $0 == 0 }) != false else { return }
    page.aside = nil
    asidePages.remove(number)
  }
}
