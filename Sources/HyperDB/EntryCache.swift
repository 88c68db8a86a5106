/// Decoded entries, kept up to a number of bytes: pages of neighbours, the least recently used of
/// which are given up first (second chance). Once it is full, walks bring in pages only that they have
/// missed before.
final class EntryCache {
  /// What is known of a place.
  enum Slot {
    case empty
    case node(EntryNode)
    /// The block can't be read as an entry.
    case bad
  }

  /// What is known of a page.
  private struct Header {
    let feed: Int
    let index: Int
    var bytes = EntryCache.pageBytes
    var isTouched = true
  }

  /// Neighbours, held in the page itself.
  private final class Page: ManagedBuffer<Header, EntryNode?> {
    static func make(feed: Int, index: Int) -> Page {
      let page = create(minimumCapacity: EntryCache.pageEntries) { _ in
        Header(feed: feed, index: index)
      }
      page.withUnsafeMutablePointerToElements {
        $0.initialize(repeating: nil, count: EntryCache.pageEntries)
      }
      // `create` makes an object of the class it is called on.
      return unsafeDowncast(page, to: Page.self)
    }

    deinit {
      withUnsafeMutablePointerToElements {
        _ = $0.deinitialize(count: EntryCache.pageEntries)
      }
    }
  }

  /// Few, so that those that are read here and there don't keep much room for others.
  private static let pageEntries = 8
  private static let pageShift = 3
  /// A page, and its places in two arrays.
  private static let pageBytes = 144
  /// What is no larger is kept however little room there is; what takes a quarter of a larger room is
  /// not.
  private static let smallEntry = 65_536
  /// How many bytes to keep.
  @exclusivity(unchecked) var limit: Int
  @exclusivity(unchecked) private var bytes = 0
  @exclusivity(unchecked) private var pages: [[Page?]] = []
  /// How many places for pages there are in all.
  @exclusivity(unchecked) private var placeCount = 0
  /// A writer can sign a feed to be as long as it likes, and write to its end: places for 33 million
  /// entries, 33 MB, are as many as there may be.
  private static let places = 1 << 22
  /// By feed, how many of the bytes are its entries'. Each feed has an equal share; what it takes beyond
  /// that is evicted first, so that nobody's entries push out those of others.
  @exclusivity(unchecked) private var bytesOfFeed: [Int] = []
  /// How many feeds have pages.
  @exclusivity(unchecked) private var feedsWithPages = 0
  /// All pages, in the order in which they are looked at for giving up.
  @exclusivity(unchecked) private var ring: [Page] = []
  @exclusivity(unchecked) private var hand = 0
  /// A bit for each page that was missed lately, in the place that its number hashes to; empty until
  /// something was given up.
  @exclusivity(unchecked) private var missed: [UInt64] = []
  @exclusivity(unchecked) private var missedCount = 0
  private static let missedBits: UInt64 = 1 << 16
  /// Stands for entries that can't be read.
  private let bad = EntryNode(
    place: FeedSequence(feed: 0, seq: 0), key: [], value: nil, isDeleted: true, clock: [],
    trie: .empty, inflate: 0)

  init(limit: Int) { self.limit = limit }

  subscript(_ place: FeedSequence) -> Slot {
    guard let node = node(at: place) else { return .empty }
    return node === bad ? .bad : .node(node)
  }

  @inline(__always)
  private func node(at place: FeedSequence) -> EntryNode? {
    let feed = place.feed
    let seq = place.seq
    guard feed < pages.count, seq >> Self.pageShift < pages[feed].count,
      let page = pages[feed][seq >> Self.pageShift]
    else {
      return nil
    }
    return page.withUnsafeMutablePointers { header, nodes in
      if !header.pointee.isTouched { header.pointee.isTouched = true }
      return nodes[seq & (Self.pageEntries - 1)]
    }
  }

  /// Keeps an entry of a block that exists.
  func insert(_ slot: Slot, at place: FeedSequence) {
    if case .node(let node) = slot, node.byteCount > max(limit / 4, Self.smallEntry) { return }
    let feed = place.feed
    let index = place.seq >> Self.pageShift
    while pages.count <= feed { pages.append([]) }
    if pages[feed].count <= index {
      let missing = index + 1 - pages[feed].count
      guard placeCount + missing <= Self.places else { return }
      placeCount += missing
      pages[feed].append(contentsOf: repeatElement(nil, count: missing))
    }
    let page: Page
    if let known = pages[feed][index] {
      page = known
    } else {
      page = Page.make(feed: feed, index: index)
      pages[feed][index] = page
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
      if nodes[place.seq & (Self.pageEntries - 1)] == nil {
        header.pointee.bytes += node.byteCount
        count(node.byteCount, of: feed)
      }
      nodes[place.seq & (Self.pageEntries - 1)] = node
    }
    if bytes > limit { shrink() }
  }

  /// Whether an entry that a walk came through is worth keeping.
  func admits(_ place: FeedSequence) -> Bool {
    let index = place.seq >> Self.pageShift
    if missed.isEmpty
      || place.feed < pages.count && index < pages[place.feed].count
        && pages[place.feed][index] != nil
    {
      return true
    }
    let page = UInt64(truncatingIfNeeded: index) << 8 | UInt64(truncatingIfNeeded: place.feed)
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
    placeCount = 0
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
