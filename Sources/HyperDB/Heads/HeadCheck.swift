/// A check that entries lead to what they claim to know.
///
/// An entry hides everything that it covers: a lookup starts at the newest entries and skips what another
/// entry on the way knew. A malicious writer can claim to know everything and lead to nothing. So before an
/// entry replaces another, the two are compared: wherever the older one points, the newer one has to point
/// as well, to the same entry or to one that knew it, which is compared in turn. The entries of every sound
/// writer pass, since a trie is built from those of all heads and nothing is ever removed from it.
///
/// A pointer to a block that the read doesn't take into account, or that doesn't exist, leads to nothing.
///
/// The comparison stops after ``HyperDBLimits/headComparisons``: to hide more takes a writer more entries
/// than to overwrite it openly. If two entries have so many pointers that the comparison takes more than
/// ``HyperDBLimits/headSteps``, both are followed, which is never wrong.
final class HeadCheck {
  private struct Pair: Hashable {
    let newer: FeedSequence
    let older: FeedSequence
  }

  /// The results of the pairs compared so far.
  @exclusivity(unchecked) private var known: [Pair: Bool] = [:]
  @exclusivity(unchecked) private var queue: [(newer: EntryNode, older: EntryNode)] = []
  /// Steps since ``begin()``.
  @exclusivity(unchecked) private(set) var steps = 0
  /// By feed, the steps since then that the claims of its entries took.
  @exclusivity(unchecked) private var charges: [Int: Int] = [:]
  /// By feed, the number of blocks that reads take into account.
  @exclusivity(unchecked) private var bounds: [Int] = []
  /// The steps taken before the current pair.
  @exclusivity(unchecked) private var stepsBefore = 0
  /// The most steps for all pairs of one read or write; beyond them no entry replaces another. The claims
  /// of one feed may take a third of them.
  private static let stepsAtOnce = 3 * HyperDBLimits.headSteps
  /// The most results to keep: more than the pairs of all feeds that a database can have.
  private static let keptPairs = 1 << 16

  private struct TooManySteps: Error {}

  /// Restarts the count of steps, for one read or write.
  func begin() {
    steps = 0
    charges.removeAll(keepingCapacity: true)
  }

  /// Invalidates all results, since feeds have new numbers.
  func invalidate() { known.removeAll() }

  private func step(_ count: Int = 1) throws {
    steps += count
    if steps - stepsBefore > HyperDBLimits.headSteps { throw TooManySteps() }
  }

  /// Notes the blocks that reads take into account from now on.
  private func bound(by lengths: [Int]) {
    // What leads to an entry by way of a block may not do so without that block.
    let isLess = bounds.indices.contains { feed in
      bounds[feed] > (feed < lengths.count ? lengths[feed] : 0)
    }
    if isLess { known.removeAll() }
    bounds = lengths
  }

  /// Returns the entries that a lookup starts from.
  ///
  /// - Parameters:
  ///   - newest: the newest entry of each feed.
  ///   - lengths: by feed, the number of blocks that reads take into account; nil for those of the last call.
  /// - Returns: `heads`, which no other entry covers; and `beside`, which heads cover without leading to them,
  ///   or which no head covers itself.
  func roots(
    of newest: [EntryNode], within lengths: [Int]?, _ core: DatabaseCore
  ) throws -> (heads: [EntryNode], beside: [EntryNode]) {
    begin()
    if let lengths { bound(by: lengths) }
    let heads = newest.withoutCovered()
    guard core.options.checksHeads, heads.count < newest.count else { return (heads, []) }
    var trusted = newest
    var distrusted: [EntryNode] = []
    var tops = newest.withoutReached(by: heads)
    while true {
      let suspects = try tops.filter { try !leads($0, toAllOf: trusted, core) }
      if suspects.isEmpty { break }
      distrusted += suspects
      trusted.removeAll { entry in suspects.contains { $0 === entry } }
      tops = trusted.withoutReached(by: trusted.withoutCovered())
    }
    let beside = (distrusted + tops).filter { top in !heads.contains { $0 === top } }
    return (heads, beside)
  }

  /// Returns whether an entry leads to all of `entries` that it claims to know. What one of these leads to
  /// is reached through it, and not compared again.
  private func leads(
    _ top: EntryNode, toAllOf entries: [EntryNode], _ core: DatabaseCore
  ) throws -> Bool {
    let claimed = entries.filter { $0 !== top && top.covers($0) }
    let highest = claimed.withoutCovered()
    return try claimed.allSatisfy { entry in
      let isBehind = try highest.contains {
        try $0 !== entry && $0.covers(entry) && leads($0, to: entry, core)
      }
      return try isBehind || leads(top, to: entry, core)
    }
  }

  /// Returns whether an entry leads to another one that it claims to know.
  func leads(
    _ newer: EntryNode, to older: EntryNode, _ core: DatabaseCore
  ) throws -> Bool {
    // Local entries are built on everything that was here, and a writer can hide only its own entries from
    // itself.
    if newer.feed == core.local || newer.feed == older.feed || !core.options.checksHeads {
      return true
    }
    let pair = Pair(newer: newer.location, older: older.location)
    if let known = known[pair] { return known }
    if known.count > Self.keptPairs { known.removeAll() }
    defer { queue.removeAll(keepingCapacity: true) }
    let charged = charges[newer.feed, default: 0]
    if steps > Self.stepsAtOnce || charged > HyperDBLimits.headSteps { return false }
    stepsBefore = steps
    defer { charges[newer.feed] = charged + steps - stepsBefore }
    queue.append((newer, older))
    var next = 0
    do {
      while next < min(queue.count, HyperDBLimits.headComparisons) {
        let (newer, older) = queue[next]
        next += 1
        if try !compare(newer, older, core) {
          known[pair] = false
          return false
        }
      }
    } catch let missing as MissingBlock {
      // Unknown for want of a block, which is not worth fetching if there is one.
      let length = core.feeds[missing.feed].log.length
      return core.options.fetchesBlocks && missing.seq < length
    } catch is TooManySteps {
      known[pair] = false
      return false
    }
    for (newer, older) in queue.prefix(next) {
      known[Pair(newer: newer.location, older: older.location)] = true
    }
    return true
  }

  /// An entry, read if the steps left allow it.
  private func load(_ location: FeedSequence, _ core: DatabaseCore) throws -> EntryNode? {
    if isOutside(location, core) { throw MissingBlock(feed: location.feed, seq: location.seq) }
    let left = max(HyperDBLimits.headSteps - (steps - stepsBefore), 0)
    let before = core.loadedBytes
    let node: EntryNode?
    do {
      node = try core.withAllowance(left << HyperDBLimits.mergeStepShift) {
        try core.node(at: location)
      }
    } catch is OversizedBlock {
      throw TooManySteps()
    }
    try step((core.loadedBytes &- before) >> HyperDBLimits.mergeStepShift)
    return node
  }

  /// Returns whether reads pass over an entry.
  private func isOutside(_ location: FeedSequence, _ core: DatabaseCore) -> Bool {
    guard location.feed != core.local, location.feed < bounds.count else { return false }
    return location.seq >= bounds[location.feed]
  }

  /// Returns whether `newer` points wherever `older` does. Entries that replace another are queued.
  private func compare(
    _ newer: EntryNode, _ older: EntryNode, _ core: DatabaseCore
  ) throws -> Bool {
    let path = newer.path(core.hash)
    let olderPath = older.path(core.hash)
    let split = path.firstDifference(from: olderPath)
    var position = 0
    while position < older.trie.count {
      try step()
      let slot = older.trie.slot(position)
      if slot.index > split { break }
      let pointed = older.trie.pointers(position)
      position = pointed.upperBound
      if slot.digit == path.digit(slot.index) {
        // The newer entry has this slot itself, and stands for what is there.
        guard slot.index == split else { continue }
        for index in pointed {
          try step()
          let pointer = older.trie.pointer(index)
          if isOutside(pointer, core) { continue }
          guard try stands(newer, for: pointer, core) else { return false }
        }
        continue
      }
      let pointers = newer.trie.pointers(at: slot.index, slot.digit)
      for index in pointed {
        try step()
        let pointer = older.trie.pointer(index)
        if isOutside(pointer, core) { continue }
        // A key that the newer one overwrote is no longer in the chain of its path.
        if slot.digit == HashPath.terminator, slot.index + 1 == path.count,
          try load(pointer, core)?.hasKey(of: newer) == true
        {
          continue
        }
        guard try stands(pointers, of: newer, for: pointer, at: slot.index, core) else {
          return false
        }
      }
    }
    if split >= path.count {
      if newer.hasKey(of: older) { return true }
      let last = path.count - 1
      let chain = newer.trie.pointers(at: last, HashPath.terminator)
      return try stands(chain, of: newer, for: older.location, at: last, core)
    }
    let pointers = newer.trie.pointers(at: split, olderPath.digit(split))
    return try stands(pointers, of: newer, for: older.location, at: split, core)
  }

  /// Returns whether one of the entries at `pointers`, those of one slot of `newer`, is the
  /// one at `location`, or knew it and is nearer to it. Entries that point to each other replace nothing.
  private func stands(
    _ pointers: Range<Int>, of newer: EntryNode, for location: FeedSequence, at index: Int,
    _ core: DatabaseCore
  ) throws -> Bool {
    for position in pointers {
      try step()
      if newer.trie.pointer(position) == location { return true }
    }
    // An unreadable entry hides nothing if it is left out.
    guard let older = try load(location, core) else { return true }
    let path = older.path(core.hash)
    for position in pointers {
      try step()
      guard let node = try load(newer.trie.pointer(position), core),
        node.path(core.hash).firstDifference(from: path) > index
      else { continue }
      if try stands(node, for: location, core) { return true }
    }
    return false
  }

  private func stands(
    _ node: EntryNode, for location: FeedSequence, _ core: DatabaseCore
  ) throws -> Bool {
    guard node.clock(of: location.feed) > UInt64(location.seq) else { return false }
    if node.feed == location.feed { return true }
    if let known = known[Pair(newer: node.location, older: location)] { return known }
    if let older = try load(location, core) { queue.append((node, older)) }
    return true
  }
}
