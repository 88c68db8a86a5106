internal import HypercoreCrypto
internal import RandomAccessStorage

/// The `tree` file: a node in each slot of 40 bytes, behind a cache of pages.
///
/// Nodes that are put here can be read at once. ``flush()`` writes them in one call; until then
/// their pages stay in memory. The tree bits decide whether a node counts: slots may be stale.
final class TreeFile {
  static let slotSize = 40
  /// A page holds the nodes of 64 blocks: those of depths 0 to 6 are together, those above are
  /// alone.
  static let slotBits: UInt64 = 7
  static let slots = 128
  static let pageSize = slotSize * slots

  private final class Page {
    @exclusivity(unchecked) var number: UInt64
    let bytes: UnsafeMutableRawBufferPointer
    /// The first and the last slot to write; none if `dirtyFrom` is past `dirtyTo`.
    @exclusivity(unchecked) var dirtyFrom = TreeFile.slots
    @exclusivity(unchecked) var dirtyTo = -1
    @exclusivity(unchecked) var wasUsed = true

    init(_ number: UInt64) {
      self.number = number
      bytes = .allocate(byteCount: TreeFile.pageSize, alignment: 8)
    }

    deinit { bytes.deallocate() }

    var isDirty: Bool { dirtyTo >= 0 }
  }

  let file: FeedFile
  /// The offset from which on the file is known to hold nothing.
  @exclusivity(unchecked) private var fileEnd: UInt64
  @exclusivity(unchecked) private var pages: [UInt64: Page] = [:]
  /// The pages in the order of loading, for eviction by second chance.
  @exclusivity(unchecked) private var ring: [Page] = []
  @exclusivity(unchecked) private var hand = 0
  @exclusivity(unchecked) private var current: Page?
  @exclusivity(unchecked) private var dirty: [Page] = []
  @exclusivity(unchecked) private var upper: [UInt64: Node] = [:]

  init(_ file: FeedFile) throws(FeedError) {
    self.file = file
    fileEnd = try file.length()
  }

  /// The pages in memory.
  var cachedPages: Int { ring.count }

  static func offset(of index: UInt64) -> UInt64 { 32 + 40 * index }

  // MARK: Reading

  /// The node in a slot; nil if the slot is blank or beyond the end of the file.
  func node(at index: UInt64) throws(FeedError) -> Node? {
    let number = index >> Self.slotBits
    if let current, current.number == number { return Self.node(index, in: current) }
    if let page = pages[number] {
      use(page)
      return Self.node(index, in: page)
    }
    guard FlatTree.depth(index) >= Self.slotBits else {
      return Self.node(index, in: try load(number))
    }
    // Alone in its page, so not worth a page.
    if let node = upper[index] { return node }
    let node = try withUnsafeTemporaryAllocation(byteCount: Self.slotSize, alignment: 8) {
      (bytes) throws(FeedError) -> Node? in
      try file.fill(bytes, at: Self.offset(of: index))
      return Self.node(index, in: bytes, at: 0)
    }
    if let node {
      if upper.count >= FeedLimits.upperNodes { upper.removeAll(keepingCapacity: true) }
      upper[index] = node
    }
    return node
  }

  private static func node(_ index: UInt64, in page: Page) -> Node? {
    node(index, in: page.bytes, at: Int(index & UInt64(slots - 1)) * slotSize)
  }

  private static func node(
    _ index: UInt64, in bytes: UnsafeMutableRawBufferPointer, at place: Int
  ) -> Node? {
    let size = UInt64(
      bigEndian: bytes.loadUnaligned(fromByteOffset: place + 32, as: UInt64.self))
    var hash = Digest()
    hash.withUnsafeMutableBytes {
      $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[place..<(place + 32)]))
    }
    // The node of an empty block has size 0 but a hash.
    if size == 0, hash.isZero { return nil }
    return Node(index: index, hash: hash, size: size)
  }

  // MARK: Writing

  /// Stores a node, to be written by ``flush()``.
  func put(_ node: Node) throws(FeedError) {
    let page = try writablePage(node.index >> Self.slotBits)
    let slot = Int(node.index & UInt64(Self.slots - 1))
    let place = slot * Self.slotSize
    node.hash.withUnsafeBytes {
      UnsafeMutableRawBufferPointer(rebasing: page.bytes[place..<(place + 32)]).copyMemory(from: $0)
    }
    page.bytes.storeBytes(of: node.size.bigEndian, toByteOffset: place + 32, as: UInt64.self)
    mark(page, slot)
    if !upper.isEmpty, FlatTree.depth(node.index) >= Self.slotBits { upper[node.index] = nil }
  }

  /// Blanks a slot, to be written by ``flush()``.
  func blank(_ index: UInt64) throws(FeedError) {
    let page = try writablePage(index >> Self.slotBits)
    let slot = Int(index & UInt64(Self.slots - 1))
    let place = slot * Self.slotSize
    UnsafeMutableRawBufferPointer(rebasing: page.bytes[place..<(place + Self.slotSize)])
      .initializeMemory(as: UInt8.self, repeating: 0)
    mark(page, slot)
    if !upper.isEmpty { upper[index] = nil }
  }

  @inline(__always)
  private func mark(_ page: Page, _ slot: Int) {
    if !page.isDirty { dirty.append(page) }
    if slot < page.dirtyFrom { page.dirtyFrom = slot }
    if slot > page.dirtyTo { page.dirtyTo = slot }
  }

  /// Writes the nodes that were put since the last flush.
  func flush() throws(FeedError) {
    guard !dirty.isEmpty else { return }
    if dirty.count > 1 { dirty.sort { $0.number < $1.number } }
    var pieces: [StorageWrite] = []
    pieces.reserveCapacity(dirty.count)
    var first = 0
    while first < dirty.count {
      // Adjacent pages become one piece.
      var last = first
      while last + 1 < dirty.count, dirty[last].dirtyTo == Self.slots - 1,
        dirty[last + 1].dirtyFrom == 0, dirty[last + 1].number == dirty[last].number + 1
      {
        last += 1
      }
      pieces.append(piece(dirty[first...last]))
      first = last + 1
    }
    try file.write(pieces)
    if let last = pieces.last {
      fileEnd = max(fileEnd, last.offset + UInt64(last.bytes.count))
    }
    for page in dirty {
      page.dirtyFrom = Self.slots
      page.dirtyTo = -1
    }
    dirty.removeAll(keepingCapacity: true)
    shrink()
  }

  private func piece(_ pages: ArraySlice<Page>) -> StorageWrite {
    let count = pages.reduce(0) { $0 + ($1.dirtyTo - $1.dirtyFrom + 1) * Self.slotSize }
    let first = pages[pages.startIndex]
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      for page in pages {
        let range = page.dirtyFrom * Self.slotSize..<(page.dirtyTo + 1) * Self.slotSize
        UnsafeMutableRawBufferPointer(rebasing: bytes[filled..<(filled + range.count)])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: page.bytes[range]))
        filled += range.count
      }
    }
    let index = first.number << Self.slotBits + UInt64(first.dirtyFrom)
    return StorageWrite(offset: Self.offset(of: index), bytes: bytes)
  }

  /// Cuts the file after a node and drops the cache.
  func truncate(toSlots count: UInt64) throws(FeedError) {
    try file.truncate(to: Self.offset(of: count))
    fileEnd = Self.offset(of: count)
    pages = [:]
    ring = []
    hand = 0
    current = nil
    dirty = []
    upper = [:]
  }

  /// Drops everything, including nodes that are not written yet.
  func restart() throws(FeedError) {
    dirty = []
    releaseCaches()
    fileEnd = try file.length()
  }

  /// Releases the memory of everything that is written.
  func releaseCaches() {
    guard dirty.isEmpty else { return }
    pages = [:]
    ring = []
    hand = 0
    current = nil
    upper = [:]
  }

  // MARK: Pages

  @inline(__always)
  private func writablePage(_ number: UInt64) throws(FeedError) -> Page {
    if let current, current.number == number { return current }
    if let page = pages[number] {
      use(page)
      return page
    }
    return try load(number)
  }

  private func use(_ page: Page) {
    page.wasUsed = true
    current = page
  }

  private func load(_ number: UInt64) throws(FeedError) -> Page {
    // The memory of an evicted page is reused: every random read loads and evicts pages.
    let page: Page
    current = nil
    if ring.count >= FeedLimits.treePages, let place = evict() {
      page = ring[place]
      page.number = .max
    } else {
      page = Page(.max)
      ring.append(page)
    }
    let offset = Self.offset(of: number << Self.slotBits)
    if offset < fileEnd {
      try file.fill(page.bytes, at: offset)
    } else {
      page.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }
    page.number = number
    page.wasUsed = true
    pages[number] = page
    current = page
    return page
  }

  /// Evicts a page that is written and was not used lately, and returns its position in the ring;
  /// nil if all pages are still to be written.
  private func evict() -> Int? {
    for _ in 0..<min(2 * ring.count, 4 * FeedLimits.treePages) {
      hand = hand + 1 < ring.count ? hand + 1 : 0
      let page = ring[hand]
      if page.isDirty { continue }
      if page.wasUsed {
        page.wasUsed = false
        continue
      }
      pages[page.number] = nil
      return hand
    }
    return nil
  }

  /// Evicts the pages that a large batch took beyond the limit.
  private func shrink() {
    guard ring.count > FeedLimits.treePages else { return }
    pages = [:]
    ring = []
    if let current {
      pages[current.number] = current
      ring = [current]
    }
    hand = 0
  }
}
