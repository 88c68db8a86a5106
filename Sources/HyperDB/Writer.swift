internal import HypercoreCrypto

/// One author: a feed, and what was learned from its entries so far.
final class Writer {
  /// Its number in the open database's list.
  let id: Int
  let log: any EntryLog
  /// Whether the source lists it, or any authorised writer does. Never taken back.
  var isAuthorized = false
  /// Its list with the highest block so far.
  @exclusivity(unchecked) private(set) var newestList: FeedList?

  /// The same of lists that are not kept any more.
  private var leftOut = false
  /// Whether the numbers of the newest list are not those that feeds have.
  @exclusivity(unchecked) private var isStale = false
  /// Lists by block, the oldest use first; a sound writer has few.
  @exclusivity(unchecked) private var lists: [FeedList] = []
  private static let keptLists = 16

  private let fetchesBlocks: Bool
  /// Blocks stored without a gap from the header on; all that are verified where missing ones can be
  /// fetched.
  @exclusivity(unchecked) private(set) var prefix = 0

  /// The newest good entry below a length, for the lengths last asked for.
  @exclusivity(unchecked) private var heads: [(length: Int, node: EntryNode?)] = []

  init(id: Int, log: any EntryLog, fetchesBlocks: Bool) {
    self.id = id
    self.log = log
    self.fetchesBlocks = fetchesBlocks
  }

  /// Looks for blocks stored since the last time. True where there are more.
  func extendPrefix() -> Bool {
    if prefix == log.length { return false }
    let before = prefix
    prefix = fetchesBlocks ? log.length : log.firstMissing(from: prefix)
    return prefix != before
  }

  func list(at seq: Int) -> FeedList? {
    if let newestList, newestList.seq == seq { return isStale ? nil : newestList }
    return lists.first { $0.seq == seq }
  }

  /// Keeps a list.
  func learn(_ list: FeedList) {
    guard let newest = newestList else {
      newestList = list
      return
    }
    if newest.seq < list.seq {
      if !isStale { keep(newest) }
      newestList = list
      isStale = false
    } else if newest.seq == list.seq {
      newestList = list
      isStale = false
    } else {
      keep(list)
    }
  }

  func forgetHeads() { heads = [] }

  /// Forgets lists that were read before feeds had the numbers that they have now.
  ///
  /// - Returns: whether a clock was read by one of them that counts entries of a feed without a number.
  func invalidate(_ numbers: [PublicKey: Int]) -> Bool {
    let hasLeftOut =
      leftOut || lists.contains { $0.hasLeftOut } || !isStale && newestList?.hasLeftOut ?? false
    leftOut = false
    lists = []
    // One's own list is known by its keys; those of others are read again.
    if let newestList, !newestList.keys.isEmpty {
      self.newestList = newestList.renumbered(numbers)
    } else {
      isStale = true
    }
    return hasLeftOut
  }

  private func keep(_ list: FeedList) {
    while lists.count == Self.keptLists
      || !lists.isEmpty
        && lists.reduce(list.decodeMap.count, { $0 + $1.decodeMap.count })
          > HyperDBLimits.listedKeys
    {
      let oldest = lists.removeFirst()
      if oldest.hasLeftOut { leftOut = true }
    }
    lists.append(list)
  }

  /// A head whose trie takes more memory is not kept for lengths that were asked for earlier.
  private static let largeTrie = 1 << 16
  /// Unreadable entries in a row that are passed over. No sound writer leaves one; beyond them the writer
  /// has no head until it writes one again.
  private static let passedOver = 64

  /// The newest entry below `length` that can be read.
  ///
  /// What can't be read is stepped over once: an answer holds for all lengths down to the entry it names.
  func head(below length: Int, _ load: (FeedSequence) throws -> EntryNode?) rethrows -> EntryNode? {
    if let known = known(below: length) { return known.node }
    let least = max(length - Self.passedOver, 1)
    var node: EntryNode?
    var seq = length - 1
    while seq >= least {
      node = try load(FeedSequence(feed: id, seq: seq))
      if node != nil { break }
      // An earlier search tells the rest of this one.
      if let known = known(below: seq) {
        if let found = known.node, found.seq >= least { node = found }
        break
      }
      seq -= 1
    }
    if heads.count == 4 { heads.removeFirst() }
    // Of large ones no more than the cut and the newest take.
    let large = heads.indices.filter { heads[$0].node?.trie.byteCount ?? 0 > Self.largeTrie }
    if large.count > 1 { heads.remove(at: large[0]) }
    heads.append((length, node))
    return node
  }

  private func known(below length: Int) -> (length: Int, node: EntryNode?)? {
    heads.first { known in
      guard let node = known.node else { return known.length == length }
      return node.seq < length && length <= known.length
    }
  }
}
