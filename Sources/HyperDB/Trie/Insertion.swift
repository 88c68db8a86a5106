/// Builds the trie of a new entry, reusing its memory for the next.
///
/// Workers take turns in the order in which their loads were requested. Source: hyperdb
/// `lib/put.js`.
final class Insertion {
  private struct Worker {
    var node: EntryNode
    var index: Int
    /// The loads that it awaits before it goes on.
    var waiting = 0
    var hasEnded = false
  }

  private enum Turn {
    /// Keeps a pointer unless it leads to the new key itself.
    case check(worker: Int, digit: UInt8, pointer: FeedSequence)
    /// Continues from the node of a pointer.
    case step(worker: Int, pointer: FeedSequence)
    /// Starts workers for more pointers of a node's trie.
    case fork(worker: Int, trie: Trie, pointers: Range<Int>)
    /// The same for pointers that are known to lead where they should.
    case forkChosen(worker: Int, pointers: [FeedSequence])
  }

  private struct Start: Hashable {
    let place: FeedSequence
    let index: Int
  }

  @exclusivity(unchecked) private var workers: [Worker] = []
  @exclusivity(unchecked) private var turns: [Turn] = []
  @exclusivity(unchecked) private var started: Set<Start> = []
  @exclusivity(unchecked) private var builder = TrieBuilder()
  /// The pointers looked at since the start of the run, plus the bytes read for them, counted as steps.
  @exclusivity(unchecked) private(set) var steps = 0
  /// The steps of all runs so far.
  @exclusivity(unchecked) private(set) var allSteps = 0
  /// By feed, the steps that its entries cost.
  @exclusivity(unchecked) private(set) var charges: [Int] = []
  @exclusivity(unchecked) private var bounds = Bounds(steps: 0)
  /// By feed the newest entry that was passed over, for what its writer knew of the local feed.
  @exclusivity(unchecked) private var passed: [Int: Int] = [:]
  /// True if the run left nothing out.
  @exclusivity(unchecked) private(set) var isWhole = true
  /// If a slot has more pointers than this, only those are taken that a correct trie would have.
  @exclusivity(unchecked) private var slotLimit = 0
  /// Each feed has one pointer in a correct slot, except for keys of the same path.
  private static let soundSlot = 2 * HyperDBLimits.feeds

  /// The limits of a run's cost.
  struct Bounds {
    /// The most steps it may take.
    var steps: Int
    /// True to look at each pointer before it is copied from others' entries, which is not needed while those
    /// are sound.
    var isCareful = false
    /// Feeds whose entries are not walked. In place of each entry stands the newest local one that its
    /// writer knew.
    var passesOver: Set<Int> = []
    /// True if blocks that are too large for the steps left are not even read: otherwise each of many walks
    /// could read one more block than it may.
    var looksFirst = false
    /// True if a run out of steps ends with what it has found; otherwise it throws ``OutOfSteps``.
    var endsEarly = false
  }

  /// Thrown when a run exceeds its bounds.
  struct OutOfSteps: Error {}

  /// Builds the trie of an entry of `key` that is written on top of `heads`.
  ///
  /// - Parameter place: the place of the entry, for the index of what is written; nil to do without the index.
  /// - Throws: ``OutOfSteps`` if it would cost more than `bounds` allow.
  func run(
    _ core: DatabaseCore, key: [UInt8], path: HashPath, heads: [EntryNode], in snapshot: Snapshot,
    place: FeedSequence?, bounds: Bounds
  ) throws -> Trie {
    slotLimit = bounds.isCareful ? 0 : Self.soundSlot
    self.bounds = bounds
    steps = 0
    defer { allSteps &+= steps }
    isWhole = true
    charges.removeAll(keepingCapacity: true)
    charges.append(contentsOf: repeatElement(0, count: core.writers.count))
    if let place, let index = core.index {
      if heads.count == 1 {
        let trie = try runByIndex(index, core, place, key, path, heads[0], snapshot)
        if let trie { return trie }
      }
      index.reset(to: place)
    }
    builder.removeAll()
    if heads.count == 1, !bounds.isCareful,
      let trie = try runAlone(core, key, path, heads[0], 0, snapshot)
    {
      return trie
    }
    workers.removeAll(keepingCapacity: true)
    turns.removeAll(keepingCapacity: true)
    started.removeAll(keepingCapacity: true)
    builder.removeAll()
    passed.removeAll(keepingCapacity: true)
    defer {
      workers.removeAll(keepingCapacity: true)
      turns.removeAll(keepingCapacity: true)
    }
    let context = Context(core: core, key: key, path: path, snapshot: snapshot)
    do {
      for head in heads { try start(head, 0, context) }
      try takeAll(context)
    } catch let error as OutOfSteps {
      guard bounds.endsEarly else { throw error }
      isWhole = false
    }
    return builder.finish()
  }

  private func takeAll(_ context: Context) throws {
    var next = 0
    var replaced: [Int: Int] = [:]
    while true {
      while next < turns.count {
        let turn = turns[next]
        next += 1
        try take(turn, context)
      }
      let left = passed.filter { replaced[$0.key] ?? 0 < $0.value }.min { $0.key < $1.key }
      guard let (feed, seq) = left else { return }
      replaced[feed] = seq
      try startBehind(FeedSequence(feed: feed, seq: seq), context)
    }
  }

  /// Starts from the newest local entry that the writer of a passed-over entry knew: what that entry
  /// stands for of the local feed is behind it.
  private func startBehind(_ place: FeedSequence, _ context: Context) throws {
    let core = context.core
    guard let local = core.local, core.isInside(place, context.snapshot) else { return }
    // One that is too large for its share of the steps stands for nothing: otherwise it would take what
    // is behind others with it.
    let share = bounds.steps / HyperDBLimits.feeds << HyperDBLimits.mergeStepShift
    let node: EntryNode?
    do {
      node = try core.withAllowance(share) { try load(place, payer: place.feed, context) }
    } catch is OversizedBlock {
      return try charge(1, place.feed)
    }
    guard let node else { return }
    let seq = Int(clamping: node.clock(of: local)) - 1
    let own = FeedSequence(feed: local, seq: seq)
    guard seq > 0, core.isInside(own, context.snapshot),
      let newest = try load(own, payer: local, context)
    else { return }
    try start(newest, 0, context)
  }

  /// Does the same without loading most entries; nil if a walk from the head has to do it.
  private func runByIndex(
    _ index: PathIndex, _ core: DatabaseCore, _ place: FeedSequence, _ key: [UInt8],
    _ path: HashPath, _ head: EntryNode, _ snapshot: Snapshot
  ) throws -> Trie? {
    if index.head != head.place { index.reset(to: head.place) }
    builder.removeAll()
    let before = core.loadedBytes
    defer { steps += (core.loadedBytes &- before) >> HyperDBLimits.mergeStepShift }
    do {
      switch try index.insert(place, key: key, path: path, core, in: snapshot, to: &builder) {
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
  /// adds to what was built of the places before `start`.
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
        let (place, slotDigit) = (trie.slot(slot).index, trie.slot(slot).digit)
        if place > split || place >= end { break }
        let digit = path.digit(place)
        let pointers = trie.pointers(slot)
        if pointers.count > slotLimit { return nil }
        try charge(pointers.count, node.feed)
        if digit == HashPath.terminator {
          for position in pointers {
            let pointer = trie.pointer(position)
            let other = try follow(pointer, to: path, depth: place, core, snapshot)
            if let other, !other.hasKey(key), core.isInside(pointer, snapshot) {
              builder.add(pointer, at: place, slotDigit)
            }
          }
        } else if slotDigit != digit {
          for position in pointers {
            let pointer = trie.pointer(position)
            if core.isInside(pointer, snapshot) { builder.add(pointer, at: place, slotDigit) }
          }
        }
        slot = pointers.upperBound
      }
      if split >= end { break }
      builder.add(node.place, at: split, nodePath.digit(split))
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

  private struct Context {
    let core: DatabaseCore
    let key: [UInt8]
    let path: HashPath
    let snapshot: Snapshot
  }

  private func start(_ node: EntryNode, _ index: Int, _ context: Context) throws {
    // A second worker at the same place would add nothing.
    if workers.count >= 16 {
      if started.isEmpty {
        for worker in workers {
          started.insert(Start(place: worker.node.place, index: worker.index))
        }
      }
      if !started.insert(Start(place: node.place, index: index)).inserted { return }
    }
    workers.append(Worker(node: node, index: index))
    try advance(workers.count - 1, context)
  }

  /// Copies the node's pointers, place by place, until it has to be left for a nearer one.
  private func advance(_ worker: Int, _ context: Context) throws {
    let node = workers[worker].node
    let path = context.path
    let nodePath = node.path(context.core.hash)
    var split = nodePath.firstDifference(from: path)
    // A node of the same path and another key is left at the terminator.
    if split == path.count, !node.hasKey(context.key) { split -= 1 }
    var index = workers[worker].index
    var slot = node.trie.firstSlot(from: index)
    try charge(1, node.feed)
    while true {
      // Only places with pointers, and the one at which the paths part, have anything to do.
      let nextSlot = slot < node.trie.count ? node.trie.slot(slot).index : Int.max
      index = max(index, min(nextSlot, split))
      guard index < path.count else { return }
      workers[worker].index = index
      let digit = path.digit(index)
      while slot < node.trie.count, node.trie.slot(slot).index == index {
        let pointers = node.trie.pointers(slot)
        try copy(node.trie, pointers, digit, worker, context)
        slot = pointers.upperBound
      }
      if index == split { try leave(node, nodePath.digit(index), digit, worker, context) }
      if workers[worker].waiting > 0 || workers[worker].hasEnded { return }
      index += 1
    }
  }

  private func copy(
    _ trie: Trie, _ pointers: Range<Int>, _ digit: UInt8, _ worker: Int, _ context: Context
  ) throws {
    let slotDigit = trie.slot(pointers.lowerBound).digit
    try charge(pointers.count, workers[worker].node.feed)
    if slotDigit == digit, digit != HashPath.terminator { return }
    if pointers.count > slotLimit, digit != HashPath.terminator {
      for pointer in try chosen(trie, pointers, worker, context) {
        add(pointer, worker, slotDigit, context)
      }
      return
    }
    for pointer in pointers {
      let target = trie.pointer(pointer)
      if digit == HashPath.terminator {
        workers[worker].waiting += 1
        turns.append(.check(worker: worker, digit: slotDigit, pointer: target))
      } else {
        add(target, worker, slotDigit, context)
      }
    }
  }

  /// Returns, of the pointers of a slot in the worker's node, those that lead to entries with the path and
  /// digit of that slot; of each feed the newest, since it leads to those before it.
  private func chosen(
    _ trie: Trie, _ pointers: Range<Int>, _ worker: Int, _ context: Context
  ) throws -> [FeedSequence] {
    let (core, index) = (context.core, workers[worker].index)
    let digit = trie.slot(pointers.lowerBound).digit
    // The cost of sorting.
    try charge(4 * pointers.count, workers[worker].node.feed)
    let newestFirst = pointers.map { trie.pointer($0) }
      .filter { core.isInside($0, context.snapshot) }
      .sorted { ($0.feed, $1.seq) < ($1.feed, $0.seq) }
    var chosen: [FeedSequence] = []
    for pointer in newestFirst where chosen.last?.feed != pointer.feed {
      if passesOver(pointer) { continue }
      guard let node = try load(pointer, payer: pointer.feed, context) else { continue }
      let path = node.path(core.hash)
      guard path.firstDifference(from: context.path) >= index, index < path.count,
        path.digit(index) == digit
      else { continue }
      chosen.append(pointer)
    }
    return chosen
  }

  private func leave(
    _ node: EntryNode, _ nodeDigit: UInt8, _ digit: UInt8, _ worker: Int, _ context: Context
  ) throws {
    add(node.place, worker, nodeDigit, context)
    let pointers = node.trie.pointers(at: workers[worker].index, digit)
    if pointers.count > slotLimit, digit != HashPath.terminator {
      workers[worker].hasEnded = true
      let chosen = try chosen(node.trie, pointers, worker, context)
      if !chosen.isEmpty {
        workers[worker].waiting += 1
        turns.append(.forkChosen(worker: worker, pointers: chosen))
      }
      return
    }
    if pointers.isEmpty {
      workers[worker].hasEnded = true
      return
    }
    workers[worker].waiting += 1
    turns.append(.step(worker: worker, pointer: node.trie.pointer(pointers.lowerBound)))
    if pointers.count > 1 {
      workers[worker].waiting += 1
      turns.append(.fork(worker: worker, trie: node.trie, pointers: pointers.dropFirst()))
    }
  }

  private func add(
    _ pointer: FeedSequence, _ worker: Int, _ digit: UInt8, _ context: Context
  ) {
    guard digit <= HashPath.terminator,
      context.core.isInside(pointer, context.snapshot)
    else { return }
    builder.add(pointer, at: workers[worker].index, digit)
  }

  private func take(_ turn: Turn, _ context: Context) throws {
    let worker: Int
    switch turn {
    case .check(let checked, let digit, let pointer):
      worker = checked
      let node = try follow(pointer, workers[worker].index, context)
      if let node, !node.hasKey(context.key) { add(pointer, worker, digit, context) }
    case .step(let stepping, let pointer):
      worker = stepping
      if let node = try follow(pointer, depthBelow(worker, context), context) {
        workers[worker].node = node
      } else {
        workers[worker].hasEnded = true
      }
    case .fork(let forking, let trie, let pointers):
      worker = forking
      let depth = depthBelow(worker, context)
      let index = workers[worker].index + 1
      for pointer in pointers {
        let node = try follow(trie.pointer(pointer), depth, context)
        if let node { try start(node, index, context) }
      }
    case .forkChosen(let forking, let pointers):
      worker = forking
      let depth = depthBelow(worker, context)
      let index = workers[worker].index + 1
      for pointer in pointers {
        if let node = try follow(pointer, depth, context) { try start(node, index, context) }
      }
    }
    workers[worker].waiting -= 1
    if workers[worker].waiting == 0, !workers[worker].hasEnded {
      workers[worker].index += 1
      if workers[worker].index < context.path.count { try advance(worker, context) }
    }
  }

  /// Returns how many digits a node behind the worker's place has to share with the path.
  private func depthBelow(_ worker: Int, _ context: Context) -> Int {
    min(workers[worker].index + 1, context.path.count)
  }

  // MARK: Cost

  private func charge(_ count: Int, _ feed: Int) throws {
    steps += count
    charges[feed] += count
    if steps > bounds.steps { throw OutOfSteps() }
  }

  /// Reads what the steps that are left allow.
  private func within<Result>(
    _ core: DatabaseCore, _ body: () throws -> Result
  ) throws -> Result {
    guard bounds.looksFirst else { return try body() }
    do {
      return try core.withAllowance(
        max(bounds.steps - steps, 0) << HyperDBLimits.mergeStepShift, body)
    } catch is OversizedBlock {
      throw OutOfSteps()
    }
  }

  /// Loads an entry and charges its writer: for a step, and for the bytes that have to be read.
  private func load(
    _ place: FeedSequence, payer: Int, _ context: Context
  ) throws -> EntryNode? {
    let before = context.core.loadedBytes
    let node = try within(context.core) { try context.core.load(place, isPassing: true) }
    let read = context.core.loadedBytes &- before
    try charge(1 + read >> HyperDBLimits.mergeStepShift, payer)
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
    try charge(1 + (core.loadedBytes &- before) >> HyperDBLimits.mergeStepShift, pointer.feed)
    return node
  }

  /// Returns whether an entry is neither walked nor pointed to. It is noted, and the result of the run is no
  /// longer whole.
  private func passesOver(_ pointer: FeedSequence) -> Bool {
    guard bounds.passesOver.contains(pointer.feed) else { return false }
    isWhole = false
    passed[pointer.feed] = max(passed[pointer.feed] ?? 0, pointer.seq)
    return true
  }

  private func follow(
    _ pointer: FeedSequence, _ depth: Int, _ context: Context
  ) throws -> EntryNode? {
    if passesOver(pointer) {
      try charge(1, pointer.feed)
      return nil
    }
    return try follow(pointer, to: context.path, depth: depth, context.core, context.snapshot)
  }
}
