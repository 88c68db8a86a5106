extension PathIndex {
  /// A digit of a branch.
  struct Position {
    let branch: Int
    let digit: UInt8
  }

  /// Returns the link at a position; nil stands for the root.
  @inline(__always)
  private func link(at position: Position?) -> Link {
    guard let position else { return root }
    return self[position.branch, position.digit]
  }

  private func setLink(at position: Position?, to link: Link) {
    if let position { self[position.branch, position.digit] = link } else { root = link }
  }

  /// Returns how many digits the entries behind a position share.
  @inline(__always)
  private func depth(_ position: Position?) -> Int {
    position.map { index(of: $0.branch) + 1 } ?? 0
  }

  // MARK: Reading

  /// The end of the index's way towards a path.
  enum Arrival {
    /// The one entry of that path.
    case found(EntryNode)
    /// There is no such entry.
    case nothing
    /// The entry that a walk goes on from.
    case entry(EntryNode)
  }

  /// Goes as far as the index reaches, and extends it.
  ///
  /// - Parameter path: the path of a key, with its terminator.
  func arrive(at path: HashPath, _ core: DatabaseCore, in snapshot: Snapshot) throws -> Arrival {
    var position: Position?
    while true {
      let link = link(at: position)
      if let branch = link.branch {
        let digit = path.digit(index(of: branch))
        guard digit <= HashPath.terminator, !self[branch, digit].isEmpty else { return .nothing }
        position = Position(branch: branch, digit: digit)
        continue
      }
      guard let node = try core.load(link.newest, isPassing: true) else { return .nothing }
      let nodePath = node.path(core.hash)
      let split = nodePath.firstDifference(from: path)
      if link.kind == Kind.leaf { return split == path.count ? .found(node) : .nothing }
      // A walk would not follow the pointer, or would have left the way earlier.
      guard split >= depth(position) else { return .nothing }
      guard link.kind == Kind.unknown, split < path.count,
        try isSound(position, nodePath, core)
      else { return .entry(node) }
      extend(position, node, nodePath, core, snapshot)
    }
  }

  /// Returns whether a pointer may rightly lead to an entry of that path: compared with one that is there.
  private func isSound(
    _ position: Position?, _ path: HashPath, _ core: DatabaseCore
  ) throws -> Bool {
    guard let position else { return true }
    let index = index(of: position.branch)
    let sure = sureDigit(position.branch)
    if path.digit(index) != position.digit { return false }
    if position.digit == sure { return true }
    guard let beside = try core.load(self[position.branch, sure].newest, isPassing: true) else {
      return false
    }
    return beside.path(core.hash).firstDifference(from: path) == index
  }

  /// Finds out what is behind an unknown link: a leaf, a branch at the next index at which the trie of its
  /// newest entry has pointers, or something that is left to walks.
  private func extend(
    _ position: Position?, _ node: EntryNode, _ path: HashPath, _ core: DatabaseCore,
    _ snapshot: Snapshot
  ) {
    var link = link(at: position)
    link.kind = Kind.walk
    defer { setLink(at: position, to: link) }
    let trie = node.trie
    var slot = trie.firstSlot(from: depth(position))
    guard slot < trie.count, trie.slot(slot).index < path.count else {
      link.kind = Kind.leaf
      return
    }
    let index = trie.slot(slot).index
    let own = path.digit(index)
    guard node.seq <= Self.maximumSeq, let branch = addBranch(at: index, sure: own) else { return }
    self[branch, own] = Link(
      newest: node.location, kind: own == HashPath.terminator ? Kind.leaf : Kind.unknown)
    while slot < trie.count, trie.slot(slot).index == index {
      let pointers = trie.pointers(slot)
      let digit = trie.slot(slot).digit
      let pointer = trie.pointer(slot)
      guard pointers.count == 1, digit != own, digit <= HashPath.terminator,
        pointer.seq <= Self.maximumSeq, core.isInside(pointer, snapshot)
      else {
        removeLastBranch()
        return
      }
      self[branch, digit] = Link(newest: pointer, kind: Kind.unknown)
      slot = pointers.upperBound
    }
    link.kind = Kind.branches + UInt32(branch)
  }

  // MARK: Writing

  /// The progress of an insertion.
  enum Insertion {
    /// The trie is whole.
    case done
    /// The trie has everything before `index`; a walk from the entry finds the rest.
    case entry(EntryNode, index: Int)
    /// Something is not as in correct entries. A walk from the head has to do it, and the index has to be built
    /// anew.
    case unsound
  }

  /// Adds a new entry's pointers to `builder`, and the entry to the index as the new head.
  func insert(
    _ new: FeedSequence, key: [UInt8], path: HashPath, _ core: DatabaseCore,
    in snapshot: Snapshot, to builder: inout TrieBuilder
  ) throws -> Insertion {
    guard new.seq <= Self.maximumSeq, let nearest = try nearest(to: path, core, snapshot)
    else { return .unsound }
    let nearestPath = nearest.path(core.hash)
    let split = nearestPath.firstDifference(from: path)
    // Keys that share one path hang in chains, which only walks know.
    if split == path.count, !nearest.hasKey(key) { return .unsound }
    var position: Position?
    var link = root
    root.newest = new
    for branch in way {
      let index = index(of: branch)
      if index > split { break }
      let own = path.digit(index)
      for digit in 0...HashPath.terminator where digit != own {
        let beside = self[branch, digit].newest
        if beside.seq == 0 { continue }
        if own == HashPath.terminator {
          let other = try core.follow(beside, to: path, depth: index, in: snapshot)
          guard let other, !other.hasKey(key) else { return .unsound }
        }
        builder.append(beside, at: index, digit)
      }
      link = self[branch, own]
      position = Position(branch: branch, digit: own)
      if index == split {
        guard link.isEmpty else { return .unsound }
        self[branch, own] = Link(newest: new, kind: Kind.leaf)
        return .done
      }
      guard !link.isEmpty else { return .unsound }
      self[branch, own].newest = new
    }
    if link.kind == Kind.walk {
      setLink(at: position, to: Link(newest: new, kind: Kind.unknown))
      return .entry(nearest, index: depth(position))
    }
    if split == path.count { return .done }
    let nearestDigit = nearestPath.digit(split)
    builder.append(link.newest, at: split, nearestDigit)
    if let branch = addBranch(at: split, sure: nearestDigit) {
      self[branch, nearestDigit] = link
      self[branch, path.digit(split)] = Link(newest: new, kind: Kind.leaf)
      setLink(at: position, to: Link(newest: new, kind: Kind.branches + UInt32(branch)))
    } else if link.branch == nil {
      setLink(at: position, to: Link(newest: new, kind: Kind.unknown))
    } else {
      reset(to: new)
    }
    return .done
  }

  /// Returns an entry that shares as many digits with a path as any; nil if something is unsound. Afterwards
  /// the branches on the way to it are in ``way``.
  private func nearest(
    to path: HashPath, _ core: DatabaseCore, _ snapshot: Snapshot
  ) throws -> EntryNode? {
    way.removeAll(keepingCapacity: true)
    var position: Position?
    let before = core.loadedBytes
    while (core.loadedBytes &- before) >> HyperDBLimits.mergeStepShift < HyperDBLimits.mergeSteps {
      let link = link(at: position)
      if let branch = link.branch {
        way.append(branch)
        let digit = path.digit(index(of: branch))
        if digit > HashPath.terminator || self[branch, digit].isEmpty {
          return try core.load(
            self[branch, sureDigit(branch)].newest, isPassing: true)
        }
        position = Position(branch: branch, digit: digit)
        continue
      }
      guard let node = try core.load(link.newest, isPassing: true) else { return nil }
      if link.kind == Kind.leaf { return node }
      let nodePath = node.path(core.hash)
      guard try isSound(position, nodePath, core) else { return nil }
      let isWanted = nodePath.firstDifference(from: path) >= depth(position)
      if link.kind == Kind.walk || !isWanted { return node }
      extend(position, node, nodePath, core, snapshot)
    }
    return nil
  }
}
