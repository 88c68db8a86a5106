/// The extent of a list, and its order.
package struct ListOptions: Sendable, Hashable {
  /// True to go below the first level of folders; otherwise one of its keys stands for each
  /// folder.
  package var recursive = true
  /// True for the reverse order.
  package var reverse = false
  /// True to leave out the prefix itself.
  package var after = false
  /// True to include deletes.
  package var deletes = false
  /// True for the reference's own answer; see ``GetOptions/raw``.
  package var raw = false
  /// The key after which the list begins.
  package var following: [UInt8]?

  package init(
    recursive: Bool = true, reverse: Bool = false, after: Bool = false, deletes: Bool = false,
    raw: Bool = false, following: [UInt8]? = nil
  ) {
    self.following = following
    self.recursive = recursive
    self.reverse = reverse
    self.after = after
    self.deletes = deletes
    self.raw = raw
  }
}

extension DatabaseCore {
  /// The entries under a prefix, key by key.
  ///
  /// - Parameter prefix: a folder or key; empty for all. `a` includes `a` and `a/b`, not
  ///   `ab`.
  ///
  /// Source: hyperdb `lib/iterator.js`.
  package func list(
    _ prefix: [UInt8] = [], _ options: ListOptions = ListOptions(), in snapshot: Snapshot
  ) -> Listing {
    Listing(self, prefix: EntryKey.normalize(prefix), options, snapshot)
  }
}

/// A lazy walk over a snapshot in the order of paths, with memory for one way down.
///
/// After ``next()`` threw `MissingBlock` it may be called again once the block is here. After it threw
/// `HyperDBError` with code `tooManySteps`, the branch that the error names is left out, and
/// ``next()`` goes on behind it.
package final class Listing {
  private enum Item {
    /// Everything at a path, which still has to be looked up.
    case expand(HashPath)
    /// The same at the path that a node's has up to an index, followed by a digit. The path is made when its
    /// turn comes: paths may be long, and many wait.
    case branch(EntryNode, Int, UInt8)
    /// Everything that a node knows from an index on.
    case walk(EntryNode, Int)
  }

  /// The entries of one key. Nearly every key has one, which needs no array.
  enum Group {
    case one(EntryNode)
    case several([EntryNode])

    var first: EntryNode? {
      switch self {
      case .one(let node): node
      case .several(let nodes): nodes.first
      }
    }

    var nodes: [EntryNode] {
      switch self {
      case .one(let node): [node]
      case .several(let nodes): nodes
      }
    }
  }

  /// The digits in the order of lists.
  private static func digit(_ step: Int, isReverse: Bool) -> UInt8 {
    let step = isReverse ? 4 - step : step
    return step == 0 ? HashPath.terminator : UInt8(step - 1)
  }

  private let core: DatabaseCore
  private let snapshot: Snapshot
  private let prefix: [UInt8]
  private let options: ListOptions
  /// The length of the prefix's path.
  private let start: Int
  /// The depth at which a list that doesn't go below folders stops.
  let end: Int
  private var stack: [Item]
  /// Groups of keys that share the path of the group just returned, last first.
  private var collisions: [[EntryNode]] = []
  private var steps = 0
  /// The most steps to the next key; see ``HyperDBLimits/listSteps``. Tests lower it.
  var stepLimit: Int
  /// The key after which the list begins, and its path.
  private let first: (key: [UInt8], path: HashPath)?

  init(_ core: DatabaseCore, prefix: [UInt8], _ options: ListOptions, _ snapshot: Snapshot) {
    self.core = core
    self.prefix = prefix
    self.options = options
    self.snapshot = snapshot
    let path = prefix.isEmpty ? HashPath.empty : core.hash.path(of: prefix, terminated: false)
    start = path.count
    end = options.recursive ? Int.max : path.count + 32
    stack = [.expand(path)]
    first = options.following.map(EntryKey.normalize).map {
      (key: $0, path: core.hash.path(of: $0, terminated: true))
    }
    // A feed may be signed to be far longer than the part that is stored.
    let entries = snapshot.lengths.reduce(0) { $0 + min($1, HyperDBLimits.countedEntries) }
    stepLimit = HyperDBLimits.listSteps + HyperDBLimits.listStepsPerEntry * entries
  }

  /// Returns the next key's entries, nil at the end.
  package func next() throws -> [EntryNode]? { try nextGroup()?.nodes }

  /// Returns the same as a group.
  func nextGroup() throws -> Group? {
    steps = 0
    while true {
      if let group = collisions.popLast() {
        if comesAfter(.several(group)) { return .several(group) }
        continue
      }
      guard let item = stack.popLast() else { return nil }
      do {
        let loadedBefore = core.loadedBytes
        let group = try isBefore(item) ? nil : take(item)
        steps += (core.loadedBytes &- loadedBefore) >> HyperDBLimits.stepShift
        if let group, comesAfter(group) { return group }
      } catch let error as HyperDBError where error.code == .tooManySteps {
        throw error
      } catch {
        // Retried once the missing block is here.
        stack.append(item)
        throw error
      }
    }
  }

  // MARK: The beginning

  /// Returns whether everything behind an item precedes the key after which the list begins.
  private func isBefore(_ item: Item) -> Bool {
    guard let first else { return false }
    switch item {
    case .expand(let path): return isBefore(path, upTo: path.count, first.path)
    case .walk(let node, let index): return isBefore(node.path(core.hash), upTo: index, first.path)
    case .branch(let node, let depth, let digit):
      let path = node.path(core.hash)
      if min(path.firstDifference(from: first.path), first.path.count) < depth {
        return isBefore(path, upTo: depth, first.path)
      }
      return depth < first.path.count && isBefore(digit, first.path.digit(depth))
    }
  }

  private func isBefore(_ path: HashPath, upTo count: Int, _ first: HashPath) -> Bool {
    let index = path.firstDifference(from: first)
    return index < min(count, first.count) && isBefore(path.digit(index), first.digit(index))
  }

  /// Returns whether a digit precedes another: the terminator all others, or in reverse.
  private func isBefore(_ one: UInt8, _ other: UInt8) -> Bool {
    if one == other { return false }
    let isLess =
      one == HashPath.terminator || other != HashPath.terminator && one < other
    return isLess != options.reverse
  }

  /// Returns whether a group follows the key after which the list begins.
  private func comesAfter(_ group: Group) -> Bool {
    guard let first, let node = group.first else { return true }
    let path = node.path(core.hash)
    let index = path.firstDifference(from: first.path)
    // Keys of one path are sorted by their bytes, and so are folders, each by the key that stands for it.
    if index >= min(end, path.count, first.path.count) {
      let isFolder = index >= end
      let left = isFolder ? Array(folder(of: first.key)) : first.key
      let right = isFolder ? Array(folder(of: node.key)) : node.key
      return left != right && EntryKey.precedes(left, right) != options.reverse
    }
    return !isBefore(path.digit(index), first.path.digit(index))
  }

  private func take(_ item: Item) throws -> Group? {
    steps += 1
    switch item {
    case .walk(let node, let index):
      if steps > stepLimit { throw tooManySteps(node) }
      return try walk(node, index)
    case .expand(let path): return try expand(path)
    case .branch(let node, let depth, let digit):
      return try expand(node.path(core.hash).prefix(depth, then: digit))
    }
  }

  private func expand(_ path: HashPath) throws -> Group? {
    let nodes = try core.find(path, key: nil, raw: options.raw, in: snapshot)
    guard let first = nodes.first else { return nil }
    steps += path.wordCount / 16 + core.walks.lookup.steps + core.walks.headCheck.steps
    if steps > stepLimit { throw tooManySteps(first) }
    if nodes.count == 1 { return try walk(first, path.count) }
    return split(path, nodes).map { .several($0) }
  }

  // MARK: One node

  private func walk(_ node: EntryNode, _ index: Int) throws -> Group? {
    let trie = node.trie
    let slot = trie.firstSlot(from: index)
    let path = node.path(core.hash)
    // A correct node keeps nothing past the end of its own path.
    guard slot < trie.count, trie.slot(slot).index < min(end, path.count) else {
      return single(node)
    }
    core.memory.entries.touch(trie, from: slot)
    let depth = trie.slot(slot).index
    let own = path.digit(depth)
    let before = stack.count
    do {
      for step in 0..<5 {
        let digit = Self.digit(step, isReverse: !options.reverse)
        if isLeftOut(digit, depth) { continue }
        let pointers = trie.pointers(at: depth, digit, from: slot)
        if digit == own {
          stack.append(
            pointers.isEmpty ? .walk(node, depth + 1) : .branch(node, depth, digit))
        } else if pointers.count > 1 {
          stack.append(.branch(node, depth, digit))
        } else if let pointer = pointers.first {
          let child = try core.follow(
            trie.pointer(pointer), to: path, depth: depth, in: snapshot)
          // A pointer to an entry that isn't there would lead around in circles.
          if let child, child.path(core.hash).digit(depth) == digit {
            stack.append(.walk(child, depth + 1))
          }
        }
      }
    } catch {
      stack.removeLast(stack.count - before)
      throw error
    }
    return nil
  }

  private func single(_ node: EntryNode) -> Group? {
    if node.isDeleted, !options.deletes { return nil }
    return belongs(node) ? .one(node) : nil
  }

  private func belongs(_ node: EntryNode) -> Bool {
    guard node.withKey({ EntryKey.hasPrefix($0, prefix) }) else { return false }
    // The reference forgets this check if a node leads nowhere else.
    return options.raw || !(options.after || start == 0)
      || node.path(core.hash).count != start + 1
  }

  /// Returns whether a list that leaves out its prefix, as that of everything does, leaves out a branch.
  private func isLeftOut(_ digit: UInt8, _ depth: Int) -> Bool {
    digit == HashPath.terminator && depth == start && (options.after || start == 0)
  }

  // MARK: Several nodes

  private func split(_ path: HashPath, _ nodes: [EntryNode]) -> [EntryNode]? {
    let depth = path.count
    if depth < end, !path.isTerminated {
      if let further = commonPath(nodes, from: depth) {
        stack.append(.expand(further))
        return nil
      }
      for step in 0..<5 {
        let digit = Self.digit(step, isReverse: !options.reverse)
        if isLeftOut(digit, depth) { continue }
        let isThere = nodes.contains {
          $0.path(core.hash).digit(depth) == digit || $0.trie.hasPointers(at: depth, digit)
        }
        if isThere { stack.append(.expand(path.prefix(depth, then: digit))) }
      }
    }
    let found = nodes.filter {
      (depth == end || $0.path(core.hash).count == depth) && belongs($0)
    }
    if found.isEmpty { return nil }
    return options.raw ? rawGroups(found) : groups(found, isFolder: depth == end)
  }

  /// Returns the path at which the nodes part, if that is beyond `depth` and nothing else branches off before:
  /// a lookup at every index between would find the same nodes again.
  private func commonPath(_ nodes: [EntryNode], from depth: Int) -> HashPath? {
    let path = nodes[0].path(core.hash)
    if isLeftOut(path.digit(depth), depth) { return nil }
    var common = min(end, path.count)
    for node in nodes {
      common = min(common, path.firstDifference(from: node.path(core.hash)))
      let slot = node.trie.firstSlot(from: depth)
      if slot < node.trie.count { common = min(common, node.trie.slot(slot).index) }
    }
    guard common > depth + 1 else { return nil }
    return path.prefix(common - 1, then: path.digit(common - 1))
  }

  /// Groups nodes by key, in order; the nodes of one key are sorted by feed, the last first.
  private func byKey(_ nodes: [EntryNode]) -> [[EntryNode]] {
    let sorted = nodes.sorted {
      $0.hasKey(of: $1) ? $0.feed > $1.feed : EntryKey.precedes($0.key, $1.key)
    }
    var groups: [[EntryNode]] = []
    for node in sorted {
      if let last = groups.last, last[0].hasKey(of: node) {
        groups[groups.count - 1].append(node)
      } else {
        groups.append([node])
      }
    }
    return groups
  }

  /// Groups as the reference does: the same order in reverse, and no deleted key but the first.
  private func rawGroups(_ nodes: [EntryNode]) -> [EntryNode]? {
    let groups = byKey(nodes)
    collisions = groups.dropFirst().filter { !$0.isAllDeleted }.reversed()
    return options.deletes || !groups[0].isAllDeleted ? groups[0] : nil
  }

  private func groups(_ nodes: [EntryNode], isFolder: Bool) -> [EntryNode]? {
    var groups = byKey(nodes).map { $0.withoutCoveredOfSameKey() }
    if !options.deletes { groups.removeAll { $0.isAllDeleted } }
    if isFolder {
      // One key stands for a folder, whatever the number of its writers.
      var seen: Set<ArraySlice<UInt8>> = []
      groups = groups.filter { seen.insert(folder(of: $0[0].key)).inserted }
    }
    collisions = options.reverse ? groups : groups.reversed()
    return collisions.popLast()
  }

  /// Returns the key's component after those of the prefix.
  private func folder(of key: [UInt8]) -> ArraySlice<UInt8> {
    let slash = UInt8(ascii: "/")
    var rest = key[...]
    if rest.first == slash { rest = rest.dropFirst() }
    for _ in 0..<(start / 32) {
      guard let index = rest.firstIndex(of: slash) else { return [] }
      rest = rest[(index + 1)...]
    }
    return rest[..<(rest.firstIndex(of: slash) ?? rest.endIndex)]
  }

  private func tooManySteps(_ node: EntryNode) -> HyperDBError {
    HyperDBError(
      .tooManySteps,
      "A list was given up at \(core.name(node.location)) after \(stepLimit) steps without a result",
      feed: node.feed, seq: node.seq)
  }
}
