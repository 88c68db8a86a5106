/// The options of a get.
package struct GetOptions: Sendable {
  /// True to take the key as a prefix: returns the nearest entries under it, deletes included.
  package var isPrefix = false
  /// True to include deletes.
  package var deletes = false
  /// True for the reference's own answer, with values that a later one of the same key replaced.
  package var raw = false

  package init(isPrefix: Bool = false, deletes: Bool = false, raw: Bool = false) {
    self.isPrefix = isPrefix
    self.deletes = deletes
    self.raw = raw
  }
}

extension DatabaseCore {
  /// Returns the entries of a key: none, one, or several concurrent ones. A delete is returned together with
  /// values that it is in conflict with, and alone only with `deletes`.
  ///
  /// - Parameter onLookup: called with every entry that was visited, heads first.
  ///
  /// Source: hyperdb `lib/get.js`.
  package func get(
    _ key: [UInt8], _ options: GetOptions = GetOptions(), in snapshot: Snapshot,
    onLookup: ((FeedSequence) -> Void)? = nil
  ) throws -> [EntryNode] {
    let key = EntryKey.normalize(key)
    let path = hash.path(of: key, terminated: !options.isPrefix)
    var nodes = try find(
      path, key: options.isPrefix ? nil : key, raw: options.raw, in: snapshot, onLookup: onLookup)
    if !options.raw { nodes = nodes.withoutCoveredOfSameKey() }
    if !options.deletes, !options.isPrefix, nodes.isAllDeleted { return [] }
    return nodes
  }

  /// Returns the entries nearest to a path, as the trie leads to them.
  ///
  /// - Parameters:
  ///   - key: only entries of this key; nil for all.
  ///   - raw: true to lose what the reference loses; see `Lookup`.
  func find(
    _ path: HashPath, key: [UInt8]?, raw: Bool, in snapshot: Snapshot,
    onLookup: ((FeedSequence) -> Void)? = nil
  ) throws -> [EntryNode] {
    if onLookup == nil, let found = try findAlone(path, key: key, in: snapshot) { return found }
    return try walks.lookup.run(self, path, key: key, raw: raw, in: snapshot, onLookup: onLookup)
  }

  /// Does the same if one head leads to one node all the way, as in a database of one writer; nil
  /// if ways part.
  private func findAlone(
    _ path: HashPath, key: [UInt8]?, in snapshot: Snapshot
  ) throws -> [EntryNode]? {
    guard snapshot.heads.count == 1, snapshot.beside.isEmpty else { return nil }
    walks.lookup.steps = 0
    var node = snapshot.heads[0]
    if let key, let arrival = try arrive(at: path, in: snapshot) {
      switch arrival {
      case .found(let found): return found.hasKey(key) ? [found] : []
      case .nothing: return []
      case .entry(let entry): node = entry
      }
    }
    // Each step agrees with the path in at least one more digit.
    while true {
      let index = node.path(hash).firstDifference(from: path)
      if index == path.count {
        let last = path.count - 1
        if last >= 0, node.trie.hasPointers(at: last, path.digit(last)) { return nil }
        return key.map(node.hasKey) ?? true ? [node] : []
      }
      let pointers = node.trie.pointers(at: index, path.digit(index))
      if pointers.isEmpty { return [] }
      if pointers.count > 1 { return nil }
      let pointer = node.trie.pointer(pointers.lowerBound)
      guard let next = try follow(pointer, to: path, depth: index + 1, in: snapshot) else {
        return []
      }
      node = next
    }
  }

  /// Returns what the index leads to; nil if there is none for it.
  private func arrive(at path: HashPath, in snapshot: Snapshot) throws -> PathIndex.Arrival? {
    guard let index = index(for: snapshot) else { return nil }
    defer { memory.share() }
    do { return try index.arrive(at: path, self, in: snapshot) } catch is MissingBlock {
      // A walk may not need that block.
      return nil
    }
  }

  /// Returns the entry that a pointer leads to; nil if it can't be read, lies outside a bounded snapshot,
  /// or differs from `path` before `depth`, so that the pointer is wrong.
  func follow(
    _ pointer: FeedSequence, to path: HashPath, depth: Int, in snapshot: Snapshot
  ) throws -> EntryNode? {
    guard isInside(pointer, snapshot), let node = try load(pointer, isPassing: true),
      node.path(hash).firstDifference(from: path) >= depth
    else { return nil }
    return node
  }

  /// Returns whether an entry is part of a snapshot, or of the batch that is being built on it.
  func isInside(_ location: FeedSequence, _ snapshot: Snapshot) -> Bool {
    if !snapshot.isBounded { return true }
    let (feed, seq) = (location.feed, location.seq)
    if feed < snapshot.lengths.count, seq < snapshot.lengths[feed] { return true }
    return pending.reaches(location)
  }
}

/// One walk from the heads towards a path, reusing its memory for the next.
///
/// Walkers take turns in the order in which their loads were requested. That is the reference's order if
/// every load takes equally long.
///
/// Keys of one path hang in a chain behind the one that was written last. In the reference, two walkers
/// that reach such a chain leave its nodes to each other if both were born with nodes that know them, and
/// a current value is lost. So here each takes them, once.
final class Lookup {
  private struct Walker {
    /// The node that the walker was born with: entries that its writer knew need no other walker.
    let lock: EntryNode
    var node: EntryNode
    var index: Int
    var isListed = true
  }

  /// A load that a walker awaits: the pointers of a slot of its node's trie.
  private struct Turn {
    let walker: Int
    let pointers: Range<Int>
    /// True if the walker is at the end of the path, and the pointers lead to colliding keys.
    let isEnd: Bool
  }

  private var walkers: [Walker] = []
  private var turns: [Turn] = []
  private var results: [EntryNode] = []
  private var isRaw = false
  /// The entries that walkers were born with, once there are more than correct entries lead to.
  private var births: Set<FeedSequence> = []
  private static let manyWalkers = 64
  /// The number of pointers that the last walk followed.
  fileprivate(set) var steps = 0

  func run(
    _ core: DatabaseCore, _ path: HashPath, key: [UInt8]?, raw: Bool, in snapshot: Snapshot,
    onLookup: ((FeedSequence) -> Void)?
  ) throws -> [EntryNode] {
    isRaw = raw
    let roots = snapshot.roots(raw: raw)
    walkers.removeAll(keepingCapacity: true)
    turns.removeAll(keepingCapacity: true)
    if !births.isEmpty { births = [] }
    results = []
    steps = 0
    core.walks.headCheck.begin()
    let loadedBefore = core.loadedBytes
    defer {
      // A lookup that has ended keeps no entries alive.
      walkers.removeAll(keepingCapacity: true)
      results = []
    }
    if let onLookup { for root in roots { onLookup(root.location) } }
    for root in roots { try spawn(root, 0, core, path, key) }
    var next = 0
    while next < turns.count {
      let turn = turns[next]
      next += 1
      let loaded = core.loadedBytes &- loadedBefore
      if steps + loaded >> HyperDBLimits.stepShift > HyperDBLimits.lookupSteps {
        throw tooManySteps(walkers[turn.walker].node.location, core)
      }
      try take(turn, core, path, key, snapshot, onLookup)
      if next > 4096 {
        turns.removeFirst(next)
        next = 0
      }
    }
    return results
  }

  private func spawn(
    _ node: EntryNode, _ index: Int, _ core: DatabaseCore, _ path: HashPath, _ key: [UInt8]?
  ) throws {
    steps += walkers.count >> 4
    if try isCovered(node, except: -1, core) { return }
    if !isRaw, walkers.count >= Self.manyWalkers {
      // A second walk from the same node would find nothing more.
      if births.isEmpty { for walker in walkers { births.insert(walker.lock.location) } }
      if !births.insert(node.location).inserted { return }
    }
    walkers.append(Walker(lock: node, node: node, index: index))
    advance(walkers.count - 1, core, path, key)
  }

  /// Advances until the walker's node differs from the path, and requests what comes next.
  private func advance(_ walker: Int, _ core: DatabaseCore, _ path: HashPath, _ key: [UInt8]?) {
    let node = walkers[walker].node
    let index = node.path(core.hash).firstDifference(from: path)
    if index < path.count {
      walkers[walker].index = index
      let pointers = node.trie.pointers(at: index, path.digit(index))
      if !pointers.isEmpty {
        turns.append(Turn(walker: walker, pointers: pointers, isEnd: false))
      }
      return
    }
    accept(node, key)
    guard path.count > 0 else { return }
    let last = path.count - 1
    let pointers = node.trie.pointers(at: last, path.digit(last))
    if !pointers.isEmpty { turns.append(Turn(walker: walker, pointers: pointers, isEnd: true)) }
  }

  private func take(
    _ turn: Turn, _ core: DatabaseCore, _ path: HashPath, _ key: [UInt8]?, _ snapshot: Snapshot,
    _ onLookup: ((FeedSequence) -> Void)?
  ) throws {
    let trie = walkers[turn.walker].node.trie
    let depth = turn.isEnd ? path.count - 1 : walkers[turn.walker].index + 1
    steps += turn.pointers.count
    if steps > HyperDBLimits.lookupSteps {
      throw tooManySteps(walkers[turn.walker].node.location, core)
    }
    if let onLookup { for index in turn.pointers { onLookup(trie.pointer(index)) } }
    if turn.pointers.count == 1, !turn.isEnd {
      let pointer = trie.pointer(turn.pointers.lowerBound)
      guard let node = try core.follow(pointer, to: path, depth: depth, in: snapshot) else {
        return
      }
      if try isCovered(node, except: turn.walker, core) {
        walkers[turn.walker].isListed = false
      } else {
        walkers[turn.walker].node = node
        advance(turn.walker, core, path, key)
      }
      return
    }
    if !turn.isEnd { walkers[turn.walker].isListed = false }
    for index in turn.pointers {
      let node = try core.follow(trie.pointer(index), to: path, depth: depth, in: snapshot)
      guard let node else { continue }
      if turn.isEnd {
        if try !isRaw || !isCovered(node, except: turn.walker, core) { accept(node, key) }
      } else {
        try spawn(node, depth, core, path, key)
      }
    }
  }

  private func accept(_ node: EntryNode, _ key: [UInt8]?) {
    if let key, !node.hasKey(key) { return }
    if !isRaw, results.contains(where: { $0.location == node.location }) { return }
    results.append(node)
  }

  private func isCovered(
    _ node: EntryNode, except walker: Int, _ core: DatabaseCore
  ) throws -> Bool {
    if walkers.count == 1, walker == 0 { return false }
    for (index, other) in walkers.enumerated()
    where index != walker && other.isListed && other.lock.covers(node) {
      // A node that claims to know the other but doesn't lead to it hides nothing.
      if try isRaw || core.leads(other.lock, to: node) { return true }
    }
    return false
  }

  private func tooManySteps(_ location: FeedSequence, _ core: DatabaseCore) -> HyperDBError {
    HyperDBError(
      .tooManySteps,
      "A lookup was given up at \(core.name(location)) after \(HyperDBLimits.lookupSteps) steps: its "
        + "writer's entries lead in circles", feed: location.feed, seq: location.seq)
  }
}
