/// Merges the heads of a database into one new entry, within a budget.
///
/// Within ``HyperDBLimits/mergeSteps`` the new entry's trie is what the reference makes of all heads at
/// once, and its clock the whole cut. Beyond them each head is walked alone, with its share of the steps
/// and of the trie's bytes. A head that needs more is left out of the trie, together with what only it leads
/// to. The clock then says so, and that head remains a head beside the new entry. So nothing is hidden,
/// and no writer's entries take another's share.
///
/// The newest local entry can't be left out: a writer knows its own feed. If its walk is too costly, the
/// entries of the writers that make it so are passed over. In their place stand the local entries that
/// their writers knew, and of the other feeds the clock claims only what their own heads bring.
package struct Merging {
  /// The parts of a new entry.
  struct Result {
    let trie: Trie
    /// The entry's knowledge of each feed; nil for all that is in the cut.
    let clock: [UInt64]?
  }

  /// The steps that the walks of one merge may take; see ``HyperDBLimits/mergeSteps``.
  package struct Steps {
    /// For the walk from all heads together.
    package var together = HyperDBLimits.mergeSteps
    /// For all walks from one head alone, in equal shares of at least ``least``.
    package var apart = HyperDBLimits.mergeSteps
    /// For the walk from any one head: enough for that of a correct writer in a room of 200.
    package var least = 1_000
    /// For each walk from the newest local entry.
    package var local = HyperDBLimits.mergeSteps / 4
    /// For the last of them, through local entries alone, which leaves out what it does not reach.
    package var last = HyperDBLimits.mergeSteps

    package init() {}
  }

  /// A head, and the result of a walk from it.
  private struct Share {
    let head: EntryNode
    let trie: Trie
    let byteCount: Int
  }

  private let core: DatabaseCore
  private var steps: Steps { core.options.mergeSteps }
  private let key: [UInt8]
  private let path: HashPath
  private let location: FeedSequence
  private let snapshot: Snapshot
  private let encodeMap: [Int]

  /// - Parameter location: the location of the new entry.
  init(
    _ core: DatabaseCore, _ key: [UInt8], _ path: HashPath, _ location: FeedSequence,
    _ snapshot: Snapshot, _ encodeMap: [Int]
  ) {
    self.core = core
    self.key = key
    self.path = path
    self.location = location
    self.snapshot = snapshot
    self.encodeMap = encodeMap
  }

  /// Merges `heads`, which are those of the cut, or in a batch the entry before.
  func run(_ heads: [EntryNode]) throws -> Result {
    do {
      let trie = try core.walks.insertion.run(
        core, key: key, path: path, heads: heads, in: snapshot, location: location,
        bounds: Insertion.Bounds(steps: steps.together))
      if TrieCoding.maximumBytes(trie) <= HyperDBLimits.mergedTrieBytes
        || byteCount(trie) <= HyperDBLimits.mergedTrieBytes
      {
        return Result(trie: trie, clock: nil)
      }
    } catch is Insertion.OutOfSteps {}
    core.memory.index?.reset(to: nil)
    return try runApart(heads)
  }

  private func byteCount(_ trie: Trie) -> Int {
    core.coder.byteCount(trie, encodeMap: encodeMap)
  }

  // MARK: Each head alone

  private func runApart(_ heads: [EntryNode]) throws -> Result {
    let newest = try core.pending.isEmpty ? core.newest(below: snapshot.lengths) : []
    let own = core.pending.nodes.last ?? newest.first { $0.feed == location.feed }
    let (ownTrie, isWhole) = try own.map(walkOwn) ?? (.empty, true)
    var others = heads.filter { $0.feed != location.feed }
    if !isWhole, core.pending.isEmpty {
      let roots = try core.roots(of: newest.filter { $0.feed != location.feed })
      others = roots.heads + roots.beside
    }
    var builder = TrieBuilder()
    builder.add(ownTrie)
    var room = HyperDBLimits.mergedTrieBytes - byteCount(ownTrie)
    var merged: [EntryNode] = []
    for share in try shares(of: others) where share.byteCount <= room {
      room -= share.byteCount
      builder.add(share.trie)
      merged.append(share.head)
    }
    let isAll = isWhole && merged.count == others.count
    return Result(
      trie: builder.finish(),
      clock: isAll
        ? nil : try clock(of: merged, own: isWhole ? own : nil, newest: newest))
  }

  /// Returns the results of the heads that keep to their share, the smallest first.
  private func shares(of heads: [EntryNode]) throws -> [Share] {
    var shares: [Share] = []
    let share = max(steps.apart / max(heads.count, 1), steps.least)
    for head in heads {
      do {
        let trie = try core.walks.insertion.run(
          core, key: key, path: path, heads: [head], in: snapshot, location: nil,
          bounds: Insertion.Bounds(steps: share, looksFirst: true))
        shares.append(Share(head: head, trie: trie, byteCount: byteCount(trie)))
      } catch is Insertion.OutOfSteps { continue }
    }
    return shares.sorted {
      ($0.byteCount, $0.head.feed) < ($1.byteCount, $1.head.feed)
    }
  }

  /// The part of the walk from the local head, as a divisor, beyond which a writer is passed over.
  private static let greedyPart = 8

  /// Returns the result of the walk from the newest local entry, and whether it leaves nothing out.
  private func walkOwn(_ head: EntryNode) throws -> (Trie, isWhole: Bool) {
    var bounds = Insertion.Bounds(steps: steps.local)
    let limit = HyperDBLimits.mergedTrieBytes
    if let trie = try walk(head, bounds), byteCount(trie) <= limit { return (trie, true) }
    let charges = core.walks.insertion.cost.charges
    bounds.isCareful = true
    if let trie = try walk(head, bounds), byteCount(trie) <= limit { return (trie, true) }
    bounds.passesOver = Set(
      charges.indices.filter {
        $0 != location.feed && charges[$0] > bounds.steps / Self.greedyPart
      })
    if !bounds.passesOver.isEmpty, let trie = try walk(head, bounds), byteCount(trie) <= limit {
      return (trie, core.walks.insertion.cost.isWhole)
    }
    bounds.passesOver = Set(core.feeds.writers.indices.filter { $0 != location.feed })
    bounds.endsEarly = true
    bounds.steps = steps.last
    let trie = try walk(head, bounds) ?? .empty
    if byteCount(trie) <= limit { return (trie, core.walks.insertion.cost.isWhole) }
    var builder = TrieBuilder()
    builder.add(trie) { $0.feed == location.feed }
    return (builder.finish(), false)
  }

  private func walk(_ head: EntryNode, _ bounds: Insertion.Bounds) throws -> Trie? {
    do {
      return try core.walks.insertion.run(
        core, key: key, path: path, heads: [head], in: snapshot, location: nil, bounds: bounds)
    } catch is Insertion.OutOfSteps { return nil }
  }

  // MARK: Clocks

  /// Returns the clock of an entry that is built of `merged` and the local entry alone: of each feed what
  /// these knew, as long as they lead to its newest entry.
  private func clock(
    of merged: [EntryNode], own: EntryNode?, newest: [EntryNode]
  ) throws -> [UInt64] {
    var clock = snapshot.lengths.indices.map { own?.clock(of: $0) ?? 0 }
    for head in merged {
      for feed in clock.indices {
        clock[feed] = max(clock[feed], min(head.clock(of: feed), UInt64(snapshot.lengths[feed])))
      }
      clock[head.feed] = max(clock[head.feed], UInt64(head.seq) + 1)
    }
    let known = own.map { [$0] + merged } ?? merged
    for entry in newest where entry.feed != location.feed {
      guard clock[entry.feed] > UInt64(entry.seq) else { continue }
      let isReached = try known.contains { head in
        guard head !== entry else { return true }
        return try head.covers(entry) && core.leads(head, to: entry)
      }
      if !isReached { clock[entry.feed] = own?.clock(of: entry.feed) ?? 0 }
    }
    return clock
  }
}
