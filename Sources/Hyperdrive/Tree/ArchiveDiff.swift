/// One difference between two versions of an archive.
public struct ArchiveChange: Hashable, Sendable {
  /// The step from the first version to the second.
  public enum Kind: Hashable, Sendable {
    /// A file or folder of the second version that is missing or different in the first.
    case put
    /// A file or folder of the first version that is missing or different in the second.
    case deletion
  }

  /// Put or deletion. An overwritten file has both.
  public let kind: Kind
  /// The entry that is put or removed, with its own seq and stat.
  public let entry: ArchiveEntry
}

extension ArchiveTree {
  /// Returns the changes from one version to another: deletions with the first version's entries, puts with the
  /// second's, sorted by path, deletions first.
  ///
  /// A branch whose newest entry is the same in both versions is skipped.
  ///
  /// Stands for hyperdrive `createDiffStream(version)`, which is wrong if a file has files below its own
  /// name.
  package func diff(
    from first: UInt64, to second: UInt64, in folder: ArchivePath = .root
  ) throws -> [ArchiveChange] {
    var changes: [ArchiveChange] = []
    try eachChange(from: first, to: second, in: folder) { kind, entry, _ in
      changes.append(ArchiveChange(kind: kind, entry: entry))
    }
    changes.sort {
      $0.entry.path == $1.entry.path
        ? $0.kind == .deletion && $1.kind == .put : $0.entry.path < $1.entry.path
    }
    return changes
  }

  /// Calls `body` with the changes from one version to another, in any order but for one path: there the deletion
  /// comes first. The last argument is true for a put of something that has names below its own.
  func eachChange(
    from first: UInt64, to second: UInt64, in folder: ArchivePath = .root,
    _ body: (ArchiveChange.Kind, ArchiveEntry, Bool) throws -> Void
  ) throws {
    var stack: [(path: ArchivePath, old: ArchiveNode?, new: ArchiveNode?)] = [
      (folder, try head(first), try head(second))
    ]
    var budget = 64 * max(first, second) + UInt64(ArchiveLimits.steps)
    while let (path, old, new) = stack.popLast() {
      let stepsBefore = steps
      let before = try children(of: path, from: old)
      let after = try children(of: path, from: new)
      if before.own?.seq != after.own?.seq {
        if let own = before.own, own.isPut { try body(.deletion, own.entry, false) }
        if let own = after.own, own.isPut {
          try body(.put, own.entry, !after.branches.isEmpty)
        }
      }
      let cost = steps &- stepsBefore + 1
      guard budget >= cost else {
        throw ArchiveError(
          .tooManySteps,
          "The comparison ends at \(path): the archive's indexes lead round in circles.",
          path: path)
      }
      budget -= cost
      for (name, node) in after.branches {
        let earlier = before.branches[name]
        if earlier?.seq != node.seq { stack.append((path.appending(name), earlier, node)) }
      }
      for (name, node) in before.branches where after.branches[name] == nil {
        stack.append((path.appending(name), node, nil))
      }
    }
  }
}
