/// Decoded entries, up to a number of bytes. The unit is a page of neighbouring entries; pages are evicted
/// by second chance, about the least recently used first. Once the cache is full, a walk inserts only pages
/// that were missed before.
final class EntryCache {
  /// The cached knowledge of one location.
  enum Slot {
    case empty
    case node(EntryNode)
    /// The block can't be read as an entry.
    case bad
  }

  /// The identity and state of a page.
  private struct Header {
    let feed: Int
    let index: Int
    var bytes = EntryCache.pageBytes
    var isTouched = true
  }

  /// A page of neighbouring entries, stored inline.
  private final class Page: ManagedBuffer<Header, EntryNode?> {
    static func make(feed: Int, index: Int) -> Page {
      let page = create(minimumCapacity: EntryCache.pageEntries) { _ in
        Header(feed: feed, index: index)
      }
      page.withUnsafeMutablePointerToElements {
        $0.initialize(repeating: nil, count: EntryCache.pageEntries)
      }
      // `create` makes an instance of the class that it is called on.
      return unsafeDowncast(page, to: Page.self)
    }

    deinit {
      withUnsafeMutablePointerToElements {
        _ = $0.deinitialize(count: EntryCache.pageEntries)
      }
    }
  }

  /// The entries of a page. Few, so that a page used for one entry doesn't hold much room for others.
  private static let pageEntries = 8
  private static let pageShift = 3
  /// The bytes of a page, and of its slots in two arrays.
  private static let pageBytes = 144
  /// The bytes of an entry that is always cached, however small the cache. A larger entry is cached only if
  /// it takes at most a quarter of the limit.
  private static let smallEntry = 65_536
  /// The most bytes to keep.
  @exclusivity(unchecked) var limit: Int
  @exclusivity(unchecked) private var bytes = 0
  /// The pages of each feed, which ``ring`` keeps alive: counting references to them would cost each lookup
  /// more than it does otherwise.
  @exclusivity(unchecked) private var pages: [[Unmanaged<Page>?]] = []
  /// The number of page slots of all feeds.
  @exclusivity(unchecked) private var slotCount = 0
  /// The most page slots. A writer can sign a feed to be as long as it likes, and write at its end. These
  /// are slots for 33 million entries, in 33 MB.
  private static let maximumSlots = 1 << 22
  /// The bytes of each feed's entries. Every feed has an equal share, and what exceeds it is evicted first,
  /// so that no writer's entries push out those of others.
  @exclusivity(unchecked) private var bytesOfFeed: [Int] = []
  /// The number of feeds with pages.
  @exclusivity(unchecked) private var feedsWithPages = 0
  @exclusivity(unchecked) private var touched: UInt = 0
  /// All pages, in the order in which they are considered for eviction.
  @exclusivity(unchecked) private var ring: [Page] = []
  @exclusivity(unchecked) private var hand = 0
  /// A bit for each page that was missed lately, at the hash of its number. Empty until the first
  /// eviction.
  @exclusivity(unchecked) private var missed: [UInt64] = []
  @exclusivity(unchecked) private var missedCount = 0
  private static let missedBits: UInt64 = 1 << 16
  /// The stand-in for entries that can't be read.
  private let bad = EntryNode.make(
    location: FeedSequence(feed: 0, seq: 0), key: [], value: nil, isDeleted: true, clock: [],
    trie: .empty, inflate: 0)

  init(limit: Int) { self.limit = limit }

  subscript(_ location: FeedSequence) -> Slot {
    guard let node = node(at: location) else { return .empty }
    return node === bad ? .bad : .node(node)
  }

  @inline(__always)
  private func node(at location: FeedSequence) -> EntryNode? {
    let feed = location.feed
    let seq = location.seq
    guard feed < pages.count, seq >> Self.pageShift < pages[feed].count,
      let page = pages[feed][seq >> Self.pageShift]
    else {
      return nil
    }
    return page._withUnsafeGuaranteedRef { page in
      page.withUnsafeMutablePointers { header, nodes in
        if !header.pointee.isTouched { header.pointee.isTouched = true }
        return nodes[seq & (Self.pageEntries - 1)]
      }
    }
  }

  /// Reads a word of each entry that a walk will look at next, so far as they are cached: memory brings
  /// several at a time, while the looks themselves wait for one after the other.
  ///
  /// - Parameter slot: the first of the slots of `trie` at one index, all of whose first pointers are meant.
  func touch(_ trie: Trie, from slot: Int) {
    let index = trie.slot(slot).index
    var position = slot
    while position < trie.count, trie.slot(position).index == index {
      touch(trie.pointer(position))
      position = trie.pointers(position).upperBound
    }
  }

  @inline(__always)
  private func touch(_ location: FeedSequence) {
    let (feed, seq) = (location.feed, location.seq)
    guard feed < pages.count, seq >> Self.pageShift < pages[feed].count,
      let page = pages[feed][seq >> Self.pageShift]
    else { return }
    let address = page._withUnsafeGuaranteedRef { page in
      page.withUnsafeMutablePointerToElements { nodes in
        UnsafeRawPointer(nodes + (seq & (Self.pageEntries - 1))).load(as: UInt.self)
      }
    }
    guard let node = UnsafeRawPointer(bitPattern: address) else { return }
    // Nothing is done with it, but the compiler can't know.
    touched &+= node.load(as: UInt.self) &+ node.load(fromByteOffset: 64, as: UInt.self)
  }

  /// Caches an entry of a block that exists.
  func insert(_ slot: Slot, at location: FeedSequence) {
    if case .node(let node) = slot, node.byteCount > max(limit / 4, Self.smallEntry) { return }
    let feed = location.feed
    let index = location.seq >> Self.pageShift
    while pages.count <= feed { pages.append([]) }
    if pages[feed].count <= index {
      let missing = index + 1 - pages[feed].count
      guard slotCount + missing <= Self.maximumSlots else { return }
      slotCount += missing
      pages[feed].append(contentsOf: repeatElement(nil, count: missing))
    }
    let page: Page
    if let known = pages[feed][index] {
      page = known.takeUnretainedValue()
    } else {
      page = Page.make(feed: feed, index: index)
      pages[feed][index] = Unmanaged.passUnretained(page)
      ring.append(page)
      count(page.header.bytes, of: feed)
    }
    let node: EntryNode
    switch slot {
    case .empty: return
    case .node(let found): node = found
    case .bad: node = bad
    }
    page.withUnsafeMutablePointers { header, nodes in
      if nodes[location.seq & (Self.pageEntries - 1)] == nil {
        header.pointee.bytes += node.byteCount
        count(node.byteCount, of: feed)
      }
      nodes[location.seq & (Self.pageEntries - 1)] = node
    }
    if bytes > limit { shrink() }
  }

  /// Returns whether an entry that a walk passed through is worth caching.
  func admits(_ location: FeedSequence) -> Bool {
    let index = location.seq >> Self.pageShift
    if missed.isEmpty
      || location.feed < pages.count && index < pages[location.feed].count
        && pages[location.feed][index] != nil
    {
      return true
    }
    let page = UInt64(truncatingIfNeeded: index) << 8 | UInt64(truncatingIfNeeded: location.feed)
    let bit = (page &* 0x9e37_79b9_7f4a_7c15) >> 32 & (Self.missedBits - 1)
    if missed[Int(bit >> 6)] & 1 << (bit & 63) != 0 { return true }
    missedCount += 1
    if missedCount > Int(Self.missedBits / 4) {
      missedCount = 0
      for word in missed.indices { missed[word] = 0 }
    }
    missed[Int(bit >> 6)] |= 1 << (bit & 63)
    return false
  }

  /// Evicts everything.
  func removeAll() {
    pages = []
    ring = []
    hand = 0
    bytes = 0
    slotCount = 0
    bytesOfFeed = []
    feedsWithPages = 0
  }

  private func count(_ change: Int, of feed: Int) {
    while bytesOfFeed.count <= feed { bytesOfFeed.append(0) }
    if bytesOfFeed[feed] == 0 { feedsWithPages += 1 }
    bytes += change
    bytesOfFeed[feed] += change
    if bytesOfFeed[feed] == 0 { feedsWithPages -= 1 }
  }

  private func shrink() {
    if missed.isEmpty { missed = Array(repeating: 0, count: Int(Self.missedBits / 64)) }
    while bytes > limit * 3 / 4, ring.count > 1 {
      if hand >= ring.count { hand = 0 }
      let page = ring[hand]
      let isOverShare = bytesOfFeed[page.header.feed] > limit / max(feedsWithPages, 1)
      if page.header.isTouched, !isOverShare || feedsWithPages == 1 {
        page.header.isTouched = false
        hand += 1
        continue
      }
      count(-page.header.bytes, of: page.header.feed)
      pages[page.header.feed][page.header.index] = nil
      ring[hand] = ring[ring.count - 1]
      ring.removeLast()
    }
  }
}
