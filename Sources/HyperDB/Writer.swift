internal import HypercoreCrypto

/// One author: a feed, and what was learned from its entries so far.
final class Writer {
  /// Its number in the open database's list.
  let id: Int
  let log: any EntryLog
  /// Whether the source lists it, or any authorised writer does. Never taken back.
  var isAuthorized = false
  /// Feeds that any of its lists named, in the order of learning.
  private(set) var listed: [Int] = []
  /// The blocks of the lists that named feeds which no earlier one did.
  private(set) var namingLists: [Int] = []
  /// Its list with the highest block so far.
  @exclusivity(unchecked) private(set) var newestList: FeedList?

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
    if let newestList, newestList.seq == seq { return newestList }
    return lists.first { $0.seq == seq }
  }

  /// Keeps a list; true where it names feeds that no earlier one did.
  func learn(_ list: FeedList) -> Bool {
    if newestList.map({ $0.seq < list.seq }) ?? true {
      if let newestList { keep(newestList) }
      newestList = list
    } else {
      keep(list)
    }
    let before = listed.count
    for feed in list.decodeMap where feed >= 0 && !listed.contains(feed) { listed.append(feed) }
    guard listed.count > before else { return false }
    namingLists.append(list.seq)
    return true
  }

  private func keep(_ list: FeedList) {
    if lists.count == Self.keptLists { lists.removeFirst() }
    lists.append(list)
  }

  /// The newest entry below `length` that can be read.
  ///
  /// What can't be read is stepped over, once: the answer is kept.
  func head(below length: Int, _ load: (FeedSequence) throws -> EntryNode?) rethrows -> EntryNode? {
    if let known = heads.first(where: { $0.length == length }) { return known.node }
    // The best answer for a shorter length ends the search.
    let shorter = heads.filter { $0.length < length }.max { $0.length < $1.length }
    var node = shorter?.node
    var seq = length - 1
    while seq >= max(shorter?.length ?? 1, 1) {
      if let found = try load(FeedSequence(feed: id, seq: seq)) {
        node = found
        break
      }
      seq -= 1
    }
    if heads.count == 4 { heads.removeFirst() }
    heads.append((length, node))
    return node
  }
}
