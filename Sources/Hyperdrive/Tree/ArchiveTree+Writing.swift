extension ArchiveTree {
  /// Returns, for each depth of a path, the newest entries of the branches that the path is not in.
  ///
  /// An entry that shares the path's first components stands for its branch in each of their folders, so only
  /// the entries at which the paths part are loaded.
  func others(of path: ArchivePath, from head: ArchiveNode?) throws -> [[UInt64]] {
    var lists: [[UInt64]] = []
    var next = head
    while lists.count <= path.count, let head = next {
      let shared = head.path.common(path)
      let known = try index(of: head)
      while lists.count < shared { lists.append(known.others(lists.count)) }
      let (branch, others) = try parting(head, known, shared, from: path)
      next = branch
      lists.append(others)
    }
    while lists.count <= path.count { lists.append([]) }
    return lists
  }

  /// Returns the index for a put of `path`.
  ///
  /// Source: append-tree `index.js`, `_put`. Fixture: `archives/manifest.json`, `entries[].raw`.
  package func indexForPut(_ path: ArchivePath, from head: ArchiveNode?) throws -> [UInt8] {
    EntryIndex.encode(try others(of: path, from: head), omittingOwner: true)
  }

  /// Returns the index for a deletion of `path` as entry `seq`, by a rule that keeps every other branch.
  ///
  /// The reference's own rule can drop branches that were not deleted (append-tree issue 6). The reference
  /// reads indexes by this rule.
  package func indexForDeletion(
    _ path: ArchivePath, at seq: UInt64, from head: ArchiveNode?
  ) throws -> [UInt8] {
    let others = try others(of: path, from: head)
    let last = others.lastIndex { !$0.isEmpty } ?? 0
    let lists = others[...last].enumerated().map {
      $0.offset < last ? $0.element + [seq] : $0.element
    }
    return EntryIndex.encode(lists, omittingOwner: false)
  }

  /// Returns the block that puts a file or folder after the existing entries.
  package func block(putting path: ArchivePath, _ stat: StatMessage) throws -> [UInt8] {
    codec.encode(
      ArchiveMessage(
        name: path.stored, value: codec.encode(stat),
        paths: try indexForPut(path, from: writableHead())))
  }

  /// Returns the block that removes a file or folder.
  package func block(removing path: ArchivePath) throws -> [UInt8] {
    codec.encode(
      ArchiveMessage(
        name: path.stored,
        paths: try indexForDeletion(path, at: version + 1, from: writableHead())))
  }

  /// Returns the entry that the next one follows.
  ///
  /// - Throws: ``ArchiveError`` with `damagedEntry` if it can't be read: an index made without it would hide
  ///   every existing file.
  private func writableHead() throws -> ArchiveNode? {
    let head = try head(version)
    if head == nil, version > 0 {
      throw ArchiveError(
        .damagedEntry,
        "The newest entry of the archive, version \(version), can't be read: nothing is written after it.",
        seq: version)
    }
    return head
  }
}
