/// A walk over everything below a folder in one version, in the order of paths.
///
/// It stops at entries that are not here, and goes on once they are; nothing is returned twice.
package final class ArchiveWalk {
  /// A folder to open, or an entry to return.
  private enum Step {
    case folder(ArchivePath, ArchiveNode)
    case entry(ArchiveEntry)
    case name(ArchivePath)
  }

  /// The kinds of items that a walk returns.
  package enum Item: Equatable {
    /// A file or folder with an entry of its own.
    case entry(ArchiveEntry)
    /// A folder without one, known by its content.
    case folder(ArchivePath)

    /// Its path.
    package var path: ArchivePath {
      switch self {
      case .entry(let entry): entry.path
      case .folder(let path): path
      }
    }
  }

  private let tree: ArchiveTree
  private let isRecursive: Bool
  private let start: ArchivePath
  private var stack: [Step] = []
  private var isStarted = false
  private var budget: UInt64
  private let version: UInt64

  /// - Parameter isRecursive: true to go into folders; otherwise only the items directly in `folder`.
  package init(
    _ tree: ArchiveTree, version: UInt64, folder: ArchivePath = .root, isRecursive: Bool = true
  ) {
    self.tree = tree
    self.version = version
    start = folder
    self.isRecursive = isRecursive
    // A folder costs one step for each entry that its list has; correct archives have fewer folders than entries.
    budget = 64 * version + UInt64(ArchiveLimits.steps)
  }

  /// Returns the next entry or folder; nil at the end.
  ///
  /// - Throws: ``MissingEntries``; once they came, the call can be repeated.
  package func next() throws -> Item? {
    if !isStarted {
      if let head = try tree.head(version) { try open(start, from: head, isFirst: true) }
      isStarted = true
    }
    while let step = stack.popLast() {
      switch step {
      case .entry(let entry): return .entry(entry)
      case .name(let path): return .folder(path)
      case .folder(let path, let node):
        do {
          try open(path, from: node, isFirst: false)
        } catch {
          stack.append(step)
          throw error
        }
      }
    }
    return nil
  }

  private func open(_ folder: ArchivePath, from head: ArchiveNode, isFirst: Bool) throws {
    let before = tree.steps
    let (own, branches) = try tree.children(of: folder, from: head)
    let cost = tree.steps &- before + 1
    guard budget >= cost else {
      throw ArchiveError(
        .tooManySteps,
        "The listing ends at \(folder): the archive's indexes lead round in circles.",
        path: folder)
    }
    budget -= cost
    if isFirst || isRecursive {
      for (name, node) in branches.sorted(by: { Self.precedes($1.key, $0.key) }) {
        stack.append(.folder(folder.appending(name), node))
      }
    }
    if let own, own.isPut {
      if !isFirst || own.entry.stat?.kind != .directory { stack.append(.entry(own.entry)) }
    } else if !isFirst, !branches.isEmpty {
      stack.append(.name(folder))
    }
  }

  private static func precedes(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool {
    left.lexicographicallyPrecedes(right)
  }
}
