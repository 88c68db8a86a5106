// What saves work in folders of many names: each of their entries has an index as long as the folder, and each
// put has to leave out the one name among them that is its own.

extension ArchiveNode {
  /// The same entry, without its index if that is large.
  var withoutLargeIndex: ArchiveNode {
    guard let keptIndex, keptIndex.bytes.count > ArchiveLimits.keptIndexBytes else { return self }
    return ArchiveNode(entry, index: nil)
  }
}

/// The large index that was read last, and the names of the folder that was written to last.
struct RecentFolder {
  /// The entry and its index.
  fileprivate var index: (seq: UInt64, index: EntryIndex)?

  /// The names of one list of one entry, with the entries that stand for them.
  fileprivate struct Names {
    let depth: Int
    var seq: UInt64
    var path: ArchivePath
    var branches: [ArraySlice<UInt8>: UInt64]
  }
  fileprivate var names: Names?

  /// Follows a put to the entry that is made by it, whose list has one name more, or another entry for one.
  mutating func note(_ node: ArchiveNode) {
    guard var known = names else { return }
    names = nil
    guard node.isPut, node.seq == known.seq + 1, node.path.common(known.path) == known.depth,
      let name = node.path.component(known.depth)
    else { return }
    known.branches[name] = node.seq
    (known.seq, known.path) = (node.seq, node.path)
    names = known
  }
}

extension ArchiveTree {
  /// The index of an entry. A large one is read again, unless it was the last one that was.
  func index(of node: ArchiveNode) throws -> EntryIndex {
    if let kept = node.keptIndex { return kept }
    if let last = recent.index, last.seq == node.seq { return last.index }
    guard let block = try source.block(at: node.seq) else {
      throw MissingEntries(seqs: [node.seq])
    }
    guard let message = codec.decode(block),
      let index = EntryIndex(message.paths ?? [], of: node.seq)
    else {
      throw ArchiveError(
        .damagedEntry, "Entry \(node.seq) of the archive can't be read any more.", seq: node.seq)
    }
    recent.index = (node.seq, index)
    return index
  }

  /// Divides the list of `head` at the depth at which `path` parts from it: the branch that `path` is in, if there is
  /// one before the head, and the others.
  func parting(
    _ head: ArchiveNode, _ index: EntryIndex, _ shared: Int, from path: ArchivePath
  ) throws -> (branch: ArchiveNode?, others: [UInt64]) {
    guard var list = index.list(shared) else { return (nil, []) }
    if let name = path.component(shared), let branches = try names(of: head, list, shared) {
      guard let seq = branches[name] else { return (nil, list) }
      if let found = list.firstIndex(of: seq) { list.remove(at: found) }
      return (seq < head.seq ? try node(seq) : nil, list)
    }
    var branch: ArchiveNode?
    var others: [UInt64] = []
    for seq in list {
      let node = seq == head.seq ? head : try node(seq)
      if let node, node.path.common(path) > shared || node.path == path {
        if seq < head.seq { branch = node }
      } else {
        others.append(seq)
      }
    }
    return (branch, others)
  }

  /// Returns the names that the entries of a list stand for. Nil for short lists, which are searched faster, and if a
  /// name occurs twice or an entry can't be read.
  private func names(
    of head: ArchiveNode, _ list: [UInt64], _ depth: Int
  ) throws -> [ArraySlice<UInt8>: UInt64]? {
    guard list.count > 16 else { return nil }
    if let known = recent.names, known.seq == head.seq, known.depth == depth {
      return known.branches.count == list.count ? known.branches : nil
    }
    recent.names = nil
    var branches: [ArraySlice<UInt8>: UInt64] = [:]
    branches.reserveCapacity(list.count)
    for seq in list {
      guard let node = seq == head.seq ? head : try node(seq), node.path.common(head.path) >= depth,
        let name = node.path.component(depth), branches.updateValue(seq, forKey: name) == nil
      else { return nil }
    }
    recent.names = RecentFolder.Names(
      depth: depth, seq: head.seq, path: head.path, branches: branches)
    return branches
  }
}
