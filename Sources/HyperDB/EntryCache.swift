/// Decoded entries, kept up to a number of bytes: pages of neighbours, the least recently used of
/// which are given up first (second chance).
final class EntryCache {
  /// An entry, or the knowledge that there is none to be had.
  enum Slot {
    case empty
    case node(EntryNode)
    /// The block can't be read as an entry.
    case bad
  }

  private final class Page {
    var slots: [Slot]
    var bytes = 256
    var isTouched = true
    let feed: Int
    let index: Int

    init(feed: Int, index: Int) {
      slots = Array(repeating: .empty, count: EntryCache.pageEntries)
      self.feed = feed
      self.index = index
    }
  }

  private static let pageEntries = 32
  private let limit: Int
  private var bytes = 0
  private var pages: [[Page?]] = []
  /// All pages, in the order in which they are looked at for giving up.
  private var ring: [Page] = []
  private var hand = 0

  init(limit: Int) { self.limit = limit }

  subscript(_ place: FeedSequence) -> Slot {
    let feed = place.feed
    let page = place.seq >> 5
    guard feed < pages.count, page < pages[feed].count, let page = pages[feed][page] else {
      return .empty
    }
    page.isTouched = true
    return page.slots[place.seq & 31]
  }

  /// Keeps an entry of a block that exists.
  func insert(_ slot: Slot, at place: FeedSequence) {
    let feed = place.feed
    let index = place.seq >> 5
    while pages.count <= feed { pages.append([]) }
    if pages[feed].count <= index {
      let missing = index + 1 - pages[feed].count
      pages[feed].append(contentsOf: repeatElement(nil, count: missing))
    }
    let page: Page
    if let known = pages[feed][index] {
      page = known
    } else {
      page = Page(feed: feed, index: index)
      pages[feed][index] = page
      ring.append(page)
      bytes += page.bytes
    }
    if case .empty = page.slots[place.seq & 31] {
      let size = if case .node(let node) = slot { node.byteCount } else { 0 }
      page.bytes += size
      bytes += size
    }
    page.slots[place.seq & 31] = slot
    if bytes > limit { shrink() }
  }

  private func shrink() {
    while bytes > limit * 3 / 4, ring.count > 1 {
      if hand >= ring.count { hand = 0 }
      let page = ring[hand]
      if page.isTouched {
        page.isTouched = false
        hand += 1
        continue
      }
      bytes -= page.bytes
      pages[page.feed][page.index] = nil
      ring[hand] = ring[ring.count - 1]
      ring.removeLast()
    }
  }
}
