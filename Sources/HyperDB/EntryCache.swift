/// Decoded entries, kept up to a number of bytes: pages of neighbours, the least recently used of
/// which are given up first (second chance).
final class EntryCache {
  /// What is known of a place.
  enum Slot {
    case empty
    case node(EntryNode)
    /// The block can't be read as an entry.
    case bad
  }

  /// Thirty-two neighbours, held in the page itself.
  private final class Page {
    struct Header {
      let feed: Int
      let index: Int
      var bytes: Int
      var isTouched: Bool
    }

    let nodes: ManagedBuffer<Header, EntryNode?>

    init(feed: Int, index: Int) {
      nodes = .create(minimumCapacity: EntryCache.pageEntries) { _ in
        Header(feed: feed, index: index, bytes: 512, isTouched: true)
      }
      nodes.withUnsafeMutablePointerToElements {
        $0.initialize(repeating: nil, count: EntryCache.pageEntries)
      }
    }

    deinit {
      nodes.withUnsafeMutablePointerToElements {
        _ = $0.deinitialize(count: EntryCache.pageEntries)
      }
    }
  }

  private static let pageEntries = 32
  private let limit: Int
  private var bytes = 0
  private var pages: [[Page?]] = []
  /// All pages, in the order in which they are looked at for giving up.
  private var ring: [Page] = []
  private var hand = 0
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
    guard feed < pages.count, seq >> 5 < pages[feed].count, let page = pages[feed][seq >> 5] else {
      return nil
    }
    return page.nodes.withUnsafeMutablePointers { header, nodes in
      if !header.pointee.isTouched { header.pointee.isTouched = true }
      return nodes[seq & 31]
    }
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
      bytes += page.nodes.header.bytes
    }
    let node: EntryNode
    switch slot {
    case .empty: return
    case .node(let found): node = found
    case .bad: node = bad
    }
    page.nodes.withUnsafeMutablePointers { header, nodes in
      if nodes[place.seq & 31] == nil {
        header.pointee.bytes += node.byteCount
        bytes += node.byteCount
      }
      nodes[place.seq & 31] = node
    }
    if bytes > limit { shrink() }
  }

  private func shrink() {
    while bytes > limit * 3 / 4, ring.count > 1 {
      if hand >= ring.count { hand = 0 }
      let page = ring[hand].nodes
      if page.header.isTouched {
        page.header.isTouched = false
        hand += 1
        continue
      }
      bytes -= page.header.bytes
      pages[page.header.feed][page.header.index] = nil
      ring[hand] = ring[ring.count - 1]
      ring.removeLast()
    }
  }
}
