internal import HypercoreCrypto

/// One feed of a database, and what was learned from its entries so far.
final class Writer {
  /// Its number in the open database's list.
  let id: Int
  let log: any EntryLog
  /// True if the source lists it, or any authorized writer does. Never revoked.
  var isAuthorized = false
  /// The list at the highest block so far.
  @exclusivity(unchecked) private(set) var newestList: FeedList?

  /// True if such a clock was read by a list that is no longer kept; see `FeedList.hasLeftOut`.
  private var leftOut = false
  /// True if the newest list has other numbers than its feeds have now.
  @exclusivity(unchecked) private var isStale = false
  /// Lists by block, the least recently used first; a correct writer has few.
  @exclusivity(unchecked) private var lists: [FeedList] = []
  private static let keptLists = 16

  private let fetchesBlocks: Bool
  /// The number of blocks stored without a gap from the header on; that of all verified ones if missing blocks
  /// can be fetched.
  @exclusivity(unchecked) private(set) var prefix = 0
  /// True if no more blocks could come at the last count.
  @exclusivity(unchecked) private var wasStopped = false

  /// The newest readable entry below a length, for the latest lengths asked for.
  @exclusivity(unchecked) private var heads: [(length: Int, node: EntryNode?)] = []

  init(id: Int, log: any EntryLog, fetchesBlocks: Bool) {
    self.id = id
    self.log = log
    self.fetchesBlocks = fetchesBlocks
  }

  /// Counts the blocks stored since the last call. Returns true if there are any, or if the feed has stopped
  /// or goes on.
  func extendPrefix() -> Bool {
    let isStopped = log.isStopped
    let hasTurned = isStopped != wasStopped
    wasStopped = isStopped
    if prefix == log.length { return hasTurned }
    let before = prefix
    prefix = fetchesBlocks ? log.length : log.firstMissing(from: prefix)
    return hasTurned || prefix != before
  }

  func list(at seq: Int) -> FeedList? {
    if let newestList, newestList.seq == seq { return isStale ? nil : newestList }
    return lists.first { $0.seq == seq }
  }

  /// Keeps a list.
  func learn(_ list: FeedList) {
    guard let newest = newestList else {
      newestList = list
      isStale = false
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

  /// Invalidates the newest entries that were found.
  func invalidateHeads() { heads = [] }

  /// Invalidates the lists that were read before feeds got their present numbers.
  ///
  /// - Returns: true if one of them read a clock that counts entries of a feed without a number.
  func invalidate(_ numbers: [PublicKey: Int]) -> Bool {
    let hasLeftOut =
      leftOut || lists.contains { $0.hasLeftOut } || !isStale && newestList?.hasLeftOut ?? false
    leftOut = false
    lists = []
    // The local list is known by its keys; those of others are read again.
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
  /// Unreadable entries in a row that are passed over. No correct writer leaves one; beyond them the writer
  /// has no head until it writes one again.
  private static let passedOver = 64

  /// Returns the newest entry below `length` that can be read.
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
      // An earlier search has the rest of this one's answer.
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
