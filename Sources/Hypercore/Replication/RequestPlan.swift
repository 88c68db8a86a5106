/// The blocks that are to be downloaded of a feed, and those of them that are requested from some peer.
struct RequestPlan {
  /// True if only blocks that are asked for are downloaded.
  let isSparse: Bool
  /// True if a sparse feed lets a session that is not live end after a while without requests. The reference
  /// never ends such a session.
  var endsWhenIdle = false
  /// True if new peers are assumed to answer in the order of the requests.
  var countsOnOrder = true
  private(set) var selections: [Selection] = []
  /// The blocks that are requested from some peer.
  private(set) var reserved = BlockSet()
  /// The running mean of the size of received blocks.
  private(set) var averageBlockSize = 0
  private var random: any RandomNumberGenerator

  init(isSparse: Bool, random: any RandomNumberGenerator) {
    self.isSparse = isSparse
    self.random = random
  }

  // MARK: Selections

  mutating func add(_ selection: Selection) { selections.append(selection) }

  mutating func remove(_ id: UInt64) -> Selection? {
    guard let place = selections.firstIndex(where: { $0.id == id }) else { return nil }
    return selections.remove(at: place)
  }

  /// Removes all selections, or only those that somebody waits for.
  mutating func removeAll(keepingOpen: Bool) -> [Selection] {
    let removed = keepingOpen ? selections.filter { $0.completion != nil } : selections
    if keepingOpen { selections.removeAll { $0.completion != nil } } else { selections = [] }
    return removed
  }

  /// Returns whether a block is in a selection of blocks.
  func covers(_ index: UInt64) -> Bool {
    selections.contains {
      !$0.range.hash && $0.range.start <= index && index < $0.range.end ?? .max
    }
  }

  // MARK: Requests

  mutating func reserve(_ index: UInt64) { reserved.insert(index) }

  /// Reserves the blocks of a word, the 64 from `64 * number` on.
  mutating func reserve(_ bits: UInt64, inWord number: UInt64) {
    reserved.insert(bits, inWord: number)
  }

  mutating func release(_ index: UInt64) { reserved.remove(index) }

  /// Counts a block that was received.
  mutating func count(_ size: Int) {
    averageBlockSize = averageBlockSize == 0 ? size : (averageBlockSize * 15 + size) / 16
  }

  /// A random block of a range, from which to look for one to request.
  mutating func randomBlock(in range: Range<UInt64>) -> UInt64 {
    UInt64.random(in: range, using: &random)
  }
}
