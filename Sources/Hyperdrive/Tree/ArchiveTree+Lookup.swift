// Lookups go from a head through one branch of one list of each entry on the way. Every step leads to an
// earlier entry that shares a longer part of the path, or else the walk ends. So no index can make it go in
// circles.

extension ArchiveTree {
  /// Returns the entry that a version starts from: its own. Nil for version 0, and if it can't be read.
  package func head(_ version: UInt64) throws -> ArchiveNode? {
    version == 0 ? nil : try node(version)
  }

  /// Returns the newest entries of the branches of a folder, that of the folder itself included, ascending by
  /// seq. They include deletions that stand for the rest of a branch.
  ///
  /// Stands for append-tree `list`. Fixture: `archives/manifest.json`, `directories`.
  package func branches(of folder: ArchivePath, from head: ArchiveNode?) throws -> [ArchiveNode] {
    guard var head else { return [] }
    while true {
      let shared = head.path.common(folder)
      guard let list = try index(of: head).list(shared),
        list != [head.seq] || shared == folder.count
      else { return [] }
      if shared == folder.count {
        return try nodes(list).filter { $0.path.isWithin(folder) }
      }
      guard let next = try branch(of: list, to: folder, at: shared, from: head) else { return [] }
      head = next
    }
  }

  /// Returns the newest entry of a path: a put, or a deletion if the walk ends at one.
  ///
  /// - Parameter visited: called with every entry on the way.
  ///
  /// Stands for append-tree `get`. Fixture: `archives/manifest.json`, `lookups`.
  package func get(
    _ path: ArchivePath, from head: ArchiveNode?, visited: (UInt64) -> Void = { _ in }
  ) throws -> ArchiveNode? {
    guard var head else { return nil }
    while true {
      visited(head.seq)
      let shared = path.common(head.path)
      if shared == path.count, shared == head.path.count { return head }
      guard let list = try index(of: head).list(shared),
        let next = try branch(of: list, to: path, at: shared, from: head)
      else { return nil }
      head = next
    }
  }

  /// Returns the entry of a list that leads on to `path`, which shares `shared` components with its owner.
  private func branch(
    of list: [UInt64], to path: ArchivePath, at shared: Int, from head: ArchiveNode
  ) throws -> ArchiveNode? {
    var missing: [UInt64] = []
    var left = list.count
    if let begun = unfinishedSearch, begun.head == head.seq, begun.shared == shared,
      begun.path == path
    {
      left = min(begun.left, left)
      unfinishedSearch = nil
    }
    // The newest first: if an index is wrong, the newest entry of a branch is the one that counts.
    for index in list.indices.prefix(left).reversed() where list[index] < head.seq {
      let seq = list[index]
      countSteps(1)
      do {
        guard let node = try node(seq) else { continue }
        let common = node.path.common(path)
        if common > shared || (common == path.count && node.path.count == common) { return node }
      } catch let gap as MissingEntries {
        if missing.isEmpty { left = index + 1 }
        if missing.count < ArchiveLimits.missingAtOnce { missing += gap.seqs }
      }
    }
    if missing.isEmpty { return nil }
    unfinishedSearch = Search(head: head.seq, shared: shared, path: path, left: left)
    throw MissingEntries(seqs: missing.reversed())
  }

  /// Returns the put of a path in the state of a head; nil if there is none.
  package func put(_ path: ArchivePath, from head: ArchiveNode?) throws -> ArchiveEntry? {
    guard let node = try get(path, from: head), node.isPut else { return nil }
    return node.entry
  }

  /// Returns the stat of a path; that of a folder without an entry of its own is ``FileStat/folder``.
  ///
  /// - Throws: ``ArchiveError`` with `notFound`.
  ///
  /// Stands for hyperdrive `stat(path)`.
  package func stat(_ path: ArchivePath, from head: ArchiveNode?) throws -> FileStat {
    if let entry = try put(path, from: head), let stat = entry.stat { return stat }
    if path.count == 0 { return .folder }
    if try branches(of: path, from: head).isEmpty { throw ArchiveError.notFound(path) }
    return .folder
  }

  /// Returns the names in a folder, in the order of their newest change, as the reference does.
  ///
  /// - Throws: ``ArchiveError`` with `notFound`. A file has none.
  ///
  /// Stands for hyperdrive `readdir(path)`.
  package func names(in folder: ArchivePath, from head: ArchiveNode?) throws -> [[UInt8]] {
    let branches = try branches(of: folder, from: head)
    if branches.isEmpty, folder.count > 0 { throw ArchiveError.notFound(folder) }
    return branches.compactMap { node in
      guard let name = node.path.component(folder.count), !name.elementsEqual(".".utf8),
        !name.elementsEqual("..".utf8)
      else { return nil }
      return Array(name)
    }
  }

  /// Returns the branches of a folder by name, the newest if an index names one twice, and the folder's own
  /// entry.
  func children(
    of folder: ArchivePath, from head: ArchiveNode?
  ) throws -> (own: ArchiveNode?, branches: [ArraySlice<UInt8>: ArchiveNode]) {
    var own: ArchiveNode?
    var branches: [ArraySlice<UInt8>: ArchiveNode] = [:]
    for node in try self.branches(of: folder, from: head) {
      if let name = node.path.component(folder.count) {
        branches[name] = node
      } else {
        own = node
      }
    }
    return (own, branches)
  }
}
