/// Builds the trie of a new entry, reusing its memory for the next.
///
/// It takes the shortest way that there is: the index, one walk from one head, or workers that fork where ways part.
///
/// Source: hyperdb `lib/put.js`.
final class Insertion {
  @exclusivity(unchecked) var workers: [Worker] = []
  @exclusivity(unchecked) var turns: [Turn] = []
  @exclusivity(unchecked) var started: Set<Start> = []
  @exclusivity(unchecked) var builder = TrieBuilder()
  /// The cost of the run.
  @exclusivity(unchecked) var cost = Cost()
  /// The steps of all runs so far.
  @exclusivity(unchecked) private(set) var allSteps = 0
  /// If a slot has more pointers than this, only those are taken that a correct trie would have.
  @exclusivity(unchecked) private(set) var slotLimit = 0
  /// Each feed has one pointer in a correct slot, except for keys of the same path.
  private static let soundSlot = 2 * HyperDBLimits.feeds

  /// A run's new key, its path, and the snapshot that it is written on.
  struct Context {
    let core: DatabaseCore
    let key: [UInt8]
    let path: HashPath
    let snapshot: Snapshot
  }

  /// Builds the trie of an entry of `key` that is written on top of `heads`.
  ///
  /// - Parameter location: the location of the entry, for the index of what is written; nil to do without the index.
  /// - Throws: ``OutOfSteps`` if it would cost more than `bounds` allow.
  func run(
    _ core: DatabaseCore, key: [UInt8], path: HashPath, heads: [EntryNode], in snapshot: Snapshot,
    location: FeedSequence?, bounds: Bounds
  ) throws -> Trie {
    slotLimit = bounds.isCareful ? 0 : Self.soundSlot
    cost.begin(bounds, feedCount: core.feeds.writers.count)
    defer { allSteps &+= cost.steps }
    if let location, let index = core.memory.index {
      if heads.count == 1 {
        let trie = try runByIndex(index, core, location, key, path, heads[0], snapshot)
        if let trie { return trie }
      }
      index.reset(to: location)
    }
    builder.removeAll()
    if heads.count == 1, !bounds.isCareful,
      let trie = try runAlone(core, key, path, heads[0], 0, snapshot)
    {
      return trie
    }
    return try runSeveral(
      heads, Context(core: core, key: key, path: path, snapshot: snapshot))
  }

  /// Does the same without loading most entries; nil if a walk from the head has to do it.
  private func runByIndex(
    _ index: PathIndex, _ core: DatabaseCore, _ location: FeedSequence, _ key: [UInt8],
    _ path: HashPath, _ head: EntryNode, _ snapshot: Snapshot
  ) throws -> Trie? {
    if index.head != head.location { index.reset(to: head.location) }
    builder.removeAll()
    let before = core.loadedBytes
    defer { cost.add(bytes: core.loadedBytes &- before) }
    do {
      switch try index.insert(location, key: key, path: path, core, in: snapshot, to: &builder) {
      case .done: return builder.finish()
      case .entry(let node, let start):
        return try runAlone(core, key, path, node, start, snapshot)
      case .unsound: return nil
      }
    } catch is MissingBlock {
      // A walk may not need that block.
      return nil
    }
  }

  /// Does the same for one worker that never forks, as in a database of one writer; nil if it forks. It
  /// adds to what was built before index `start`.
  private func runAlone(
    _ core: DatabaseCore, _ key: [UInt8], _ path: HashPath, _ first: EntryNode, _ start: Int,
    _ snapshot: Snapshot
  ) throws -> Trie? {
    var builder = TrieBuilder()
    swap(&builder, &self.builder)
    defer { swap(&builder, &self.builder) }
    let end = path.count
    var node = first
    var index = start
    while index < end {
      let nodePath = node.path(core.hash)
      let trie = node.trie
      var split = nodePath.firstDifference(from: path)
      if split == end, !node.hasKey(key) { split -= 1 }
      var slot = trie.firstSlot(from: index)
      while slot < trie.count {
        let (slotIndex, slotDigit) = (trie.slot(slot).index, trie.slot(slot).digit)
        if slotIndex > split || slotIndex >= end { break }
        let digit = path.digit(slotIndex)
        let pointers = trie.pointers(slot)
        if pointers.count > slotLimit { return nil }
        try cost.charge(pointers.count, node.feed)
        if digit == HashPath.terminator {
          for position in pointers {
            let pointer = trie.pointer(position)
            let other = try follow(pointer, to: path, depth: slotIndex, core, snapshot)
            if let other, !other.hasKey(key), core.isInside(pointer, snapshot) {
              builder.add(pointer, at: slotIndex, slotDigit)
            }
          }
        } else if slotDigit != digit {
          for position in pointers {
            let pointer = trie.pointer(position)
            if core.isInside(pointer, snapshot) { builder.add(pointer, at: slotIndex, slotDigit) }
          }
        }
        slot = pointers.upperBound
      }
      if split >= end { break }
      builder.add(node.location, at: split, nodePath.digit(split))
      let pointers = trie.pointers(at: split, path.digit(split))
      if pointers.isEmpty { break }
      if pointers.count > 1 { return nil }
      let next = try follow(
        trie.pointer(pointers.lowerBound), to: path, depth: min(split + 1, end), core, snapshot)
      guard let next else { break }
      node = next
      index = split + 1
    }
    return builder.finish()
  }

  // MARK: Loading

  /// Reads what the steps that are left allow.
  private func within<Result>(
    _ core: DatabaseCore, _ body: () throws -> Result
  ) throws -> Result {
    guard cost.bounds.looksFirst else { return try body() }
    do { return try core.withAllowance(cost.bytesLeft, body) } catch is OversizedBlock {
      throw OutOfSteps()
    }
  }

  /// Loads an entry and charges its writer: for a step, and for the bytes that have to be read.
  func load(
    _ location: FeedSequence, payer: Int, _ context: Context
  ) throws -> EntryNode? {
    let before = context.core.loadedBytes
    let node = try within(context.core) { try context.core.load(location, isPassing: true) }
    let read = context.core.loadedBytes &- before
    try cost.charge(1 + read >> HyperDBLimits.mergeStepShift, payer)
    return node
  }

  private func follow(
    _ pointer: FeedSequence, to path: HashPath, depth: Int, _ core: DatabaseCore,
    _ snapshot: Snapshot
  ) throws -> EntryNode? {
    let before = core.loadedBytes
    let node = try within(core) {
      try core.follow(pointer, to: path, depth: depth, in: snapshot)
    }
    try cost.charge(1 + (core.loadedBytes &- before) >> HyperDBLimits.mergeStepShift, pointer.feed)
    return node
  }

  func follow(
    _ pointer: FeedSequence, _ depth: Int, _ context: Context
  ) throws -> EntryNode? {
    if cost.passesOver(pointer) {
      try cost.charge(1, pointer.feed)
      return nil
    }
    return try follow(pointer, to: context.path, depth: depth, context.core, context.snapshot)
  }
}
