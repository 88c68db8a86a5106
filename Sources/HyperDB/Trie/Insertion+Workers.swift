/// The walk from several heads, or where ways part. Workers take turns in the order in which their loads were
/// requested.
extension Insertion {
  struct Worker {
    var node: EntryNode
    var index: Int
    /// The loads that it awaits before it goes on.
    var waiting = 0
    var hasEnded = false
  }

  enum Turn {
    /// Keeps a pointer unless it leads to the new key itself.
    case check(worker: Int, digit: UInt8, pointer: FeedSequence)
    /// Continues from the node of a pointer.
    case step(worker: Int, pointer: FeedSequence)
    /// Starts workers for more pointers of a node's trie.
    case fork(worker: Int, trie: Trie, pointers: Range<Int>)
    /// The same for pointers that are known to lead where they should.
    case forkChosen(worker: Int, pointers: [FeedSequence])
  }

  struct Start: Hashable {
    let location: FeedSequence
    let index: Int
  }

  /// Builds the trie with as many workers as the ways part into.
  func runSeveral(_ heads: [EntryNode], _ context: Context) throws -> Trie {
    workers.removeAll(keepingCapacity: true)
    turns.removeAll(keepingCapacity: true)
    started.removeAll(keepingCapacity: true)
    builder.removeAll()
    defer {
      workers.removeAll(keepingCapacity: true)
      turns.removeAll(keepingCapacity: true)
    }
    do {
      for head in heads { try start(head, 0, context) }
      try workAll(context)
    } catch let error as OutOfSteps {
      try cost.endEarly(error)
    }
    return builder.finish()
  }

  private func workAll(_ context: Context) throws {
    var next = 0
    var replaced: [Int: Int] = [:]
    while true {
      while next < turns.count {
        let turn = turns[next]
        next += 1
        try work(turn, context)
      }
      let left = cost.passed.filter { replaced[$0.key] ?? 0 < $0.value }.min { $0.key < $1.key }
      guard let (feed, seq) = left else { return }
      replaced[feed] = seq
      try startBehind(FeedSequence(feed: feed, seq: seq), context)
    }
  }

  /// Starts from the newest local entry that the writer of a passed-over entry knew: what that entry
  /// stands for of the local feed is behind it.
  private func startBehind(_ location: FeedSequence, _ context: Context) throws {
    let core = context.core
    guard let local = core.local, core.isInside(location, context.snapshot) else { return }
    // One that is too large for its share of the steps stands for nothing: otherwise it would take what
    // is behind others with it.
    let share = cost.bounds.steps / HyperDBLimits.feeds << HyperDBLimits.mergeStepShift
    let node: EntryNode?
    do {
      node = try core.withAllowance(share) { try load(location, payer: location.feed, context) }
    } catch is OversizedBlock {
      return try cost.charge(1, location.feed)
    }
    guard let node else { return }
    let seq = Int(clamping: node.clock(of: local)) - 1
    let own = FeedSequence(feed: local, seq: seq)
    guard seq > 0, core.isInside(own, context.snapshot),
      let newest = try load(own, payer: local, context)
    else { return }
    try start(newest, 0, context)
  }

  private func start(_ node: EntryNode, _ index: Int, _ context: Context) throws {
    // A second worker at the same index of an entry would add nothing.
    if workers.count >= 16 {
      if started.isEmpty {
        for worker in workers {
          started.insert(Start(location: worker.node.location, index: worker.index))
        }
      }
      if !started.insert(Start(location: node.location, index: index)).inserted { return }
    }
    workers.append(Worker(node: node, index: index))
    try advance(workers.count - 1, context)
  }

  /// Copies the node's pointers, index by index, until it has to be left for a nearer one.
  private func advance(_ worker: Int, _ context: Context) throws {
    let node = workers[worker].node
    let path = context.path
    let nodePath = node.path(context.core.hash)
    var split = nodePath.firstDifference(from: path)
    // A node of the same path and another key is left at the terminator.
    if split == path.count, !node.hasKey(context.key) { split -= 1 }
    var index = workers[worker].index
    var slot = node.trie.firstSlot(from: index)
    try cost.charge(1, node.feed)
    while true {
      // Only indexes with pointers, and the one at which the paths part, have anything to do.
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
    try cost.charge(pointers.count, workers[worker].node.feed)
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
    try cost.charge(4 * pointers.count, workers[worker].node.feed)
    let newestFirst = pointers.map { trie.pointer($0) }
      .filter { core.isInside($0, context.snapshot) }
      .sorted { ($0.feed, $1.seq) < ($1.feed, $0.seq) }
    var chosen: [FeedSequence] = []
    for pointer in newestFirst where chosen.last?.feed != pointer.feed {
      if cost.passesOver(pointer) { continue }
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
    add(node.location, worker, nodeDigit, context)
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

  private func work(_ turn: Turn, _ context: Context) throws {
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

  /// Returns how many digits a node behind the worker's index has to share with the path.
  private func depthBelow(_ worker: Int, _ context: Context) -> Int {
    min(workers[worker].index + 1, context.path.count)
  }
}
