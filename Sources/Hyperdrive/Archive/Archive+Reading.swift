extension Archive {
  /// Returns the archive as it was at a version, fixed.
  ///
  /// - Parameter version: the version; 0 is the empty archive.
  /// - Throws: ``ArchiveError`` with `invalidVersion` if it is beyond the newest that is known here.
  ///
  /// Stands for hyperdrive `checkout(version)`, which waits for ever for a version that is not known.
  public func checkout(_ version: UInt64) throws -> ArchiveCheckout {
    try checkOpen()
    guard version <= tree.version else {
      throw ArchiveError(
        .invalidVersion,
        "The archive has no version \(version): the newest that is known here is \(tree.version).")
    }
    return ArchiveCheckout(archive: self, version: version)
  }

  /// Returns the archive in its present state, fixed.
  ///
  /// - Parameter options: whether and how long to wait for a first peer, if nothing is here yet.
  public func checkout(options: ArchiveReadOptions = ArchiveReadOptions()) async throws
    -> ArchiveCheckout
  {
    let version = try await reading(options) { tree.version }
    return ArchiveCheckout(archive: self, version: version)
  }

  /// Returns the stat of a file or folder. A folder needs no entry of its own.
  ///
  /// - Throws: ``ArchiveError``: `notFound`, `timedOut`, `closed`, `feed`; `CancellationError`.
  ///
  /// Stands for hyperdrive `stat(path)`.
  public func stat(_ path: ArchivePath, options: ArchiveReadOptions = ArchiveReadOptions())
    async throws -> FileStat
  {
    try await reading(options) { try tree.stat(path, from: tree.head(tree.version)) }
  }

  /// Returns the content of a folder, sorted by name; with `recursive` everything below it, sorted by path.
  ///
  /// - Parameter folder: the folder; for a file the result is the file itself.
  /// - Parameter recursive: true to go into folders.
  /// - Parameter options: whether and how long to wait for entries that are not here.
  /// - Returns: the entries of the version that is the newest at the first step. Memory is bounded by the
  ///   largest folder.
  ///
  /// Stands for hyperdrive `readdir(path)`, with the stats.
  public nonisolated func entries(
    in folder: ArchivePath = .root, recursive: Bool = false,
    options: ArchiveReadOptions = ArchiveReadOptions()
  ) -> ArchiveListing {
    ArchiveListing(
      archive: self, version: nil, folder: folder, recursive: recursive, options: options)
  }

  /// Returns every change in order: puts and deletions, from version 1 on.
  ///
  /// - Parameter range: the range of versions; nil for all that are known.
  /// - Parameter options: whether and how long to wait for entries that are not here.
  ///
  /// Stands for hyperdrive `history()`.
  public nonisolated func history(
    _ range: Range<UInt64>? = nil, options: ArchiveReadOptions = ArchiveReadOptions()
  ) -> ArchiveHistory {
    ArchiveHistory(archive: self, range: range, options: options)
  }

  /// Returns the changes from one version to another, sorted by path: deletions with the first version's
  /// entries, puts with the second's. An overwritten file has both.
  ///
  /// - Throws: ``ArchiveError`` with `invalidVersion` if one is beyond the newest that is known here.
  ///
  /// Stands for hyperdrive `createDiffStream(version)`.
  public func diff(
    from first: UInt64, to second: UInt64? = nil,
    options: ArchiveReadOptions = ArchiveReadOptions()
  ) async throws -> [ArchiveChange] {
    try await reading(options) {
      let second = second ?? tree.version
      for version in [first, second] { _ = try checkout(version) }
      return try tree.diff(from: first, to: second)
    }
  }

  // MARK: Listings

  func walk(
    _ version: UInt64?, _ folder: ArchivePath, recursive: Bool, options: ArchiveReadOptions
  ) async throws -> ArchiveWalkState {
    let version = try await reading(options) {
      let version = version ?? tree.version
      // A missing folder is an error, not an empty list.
      _ = try tree.stat(folder, from: tree.head(version))
      return version
    }
    return ArchiveWalkState(
      ArchiveWalk(tree, version: version, folder: folder, isRecursive: recursive))
  }

  /// Returns the next items of a walk, several at once.
  func step(
    _ state: ArchiveWalkState, options: ArchiveReadOptions
  ) async throws -> [ArchiveListing.Item] {
    let first = try await reading(options) { try state.walk.next() }
    guard let first else { return [] }
    var items = [first]
    while items.count < 256 {
      do {
        guard let item = try state.walk.next() else { break }
        items.append(item)
      } catch { break }
    }
    return items.map { item in
      switch item {
      case .entry(let entry):
        ArchiveListing.Item(path: entry.path, stat: entry.stat ?? .folder, seq: entry.seq)
      case .folder(let path): ArchiveListing.Item(path: path, stat: .folder, seq: nil)
      }
    }
  }

  func entry(
    at seq: UInt64, before end: UInt64?, options: ArchiveReadOptions
  ) async throws -> ArchiveHistory.Step {
    try await reading(options) {
      let limit = min(end ?? .max, tree.version + 1)
      guard seq < limit else { return .end }
      return try tree.node(seq).map { .entry($0.entry) } ?? .damaged
    }
  }
}

/// An archive as it was at a version. Stands for what hyperdrive `checkout(version)` returns.
public struct ArchiveCheckout: Sendable {
  /// Its archive.
  public let archive: Archive
  /// The version; 0 is the empty archive.
  public let version: UInt64

  /// The same as ``Archive/stat(_:options:)`` at this version.
  public func stat(_ path: ArchivePath, options: ArchiveReadOptions = ArchiveReadOptions())
    async throws -> FileStat
  {
    try await archive.stat(path, at: version, options)
  }

  /// The same as ``Archive/entries(in:recursive:options:)`` at this version.
  public func entries(
    in folder: ArchivePath = .root, recursive: Bool = false,
    options: ArchiveReadOptions = ArchiveReadOptions()
  ) -> ArchiveListing {
    ArchiveListing(
      archive: archive, version: version, folder: folder, recursive: recursive, options: options)
  }

  /// The same as ``Archive/read(_:range:options:)`` at this version.
  public func read(
    _ path: ArchivePath, range: Range<UInt64>? = nil,
    options: ArchiveReadOptions = ArchiveReadOptions()
  ) async throws -> ArchiveContent {
    try await archive.read(path, at: version, range, options)
  }
}

extension Archive {
  func stat(
    _ path: ArchivePath, at version: UInt64, _ options: ArchiveReadOptions
  ) async throws -> FileStat {
    try await reading(options) { try tree.stat(path, from: tree.head(version)) }
  }
}

/// A walk that is passed between an archive and a listing of it.
///
/// Unchecked, with this proof: it is made and stepped on the archive's executor alone; the listing's iterator
/// only carries it there.
final class ArchiveWalkState: @unchecked Sendable {
  fileprivate let walk: ArchiveWalk
  fileprivate init(_ walk: ArchiveWalk) { self.walk = walk }
}

/// The content of a folder of an archive, one item after the other.
public struct ArchiveListing: AsyncSequence, Sendable {
  /// A file or folder.
  public struct Item: Hashable, Sendable {
    /// Its path. Foreign: escape it before a terminal shows it.
    public let path: ArchivePath
    /// Its stat; ``FileStat/folder`` for a folder without an entry of its own.
    public let stat: FileStat
    /// Its entry; nil for a folder without one.
    public let seq: UInt64?
  }

  public typealias Element = Item

  let archive: Archive
  let version: UInt64?
  let folder: ArchivePath
  let recursive: Bool
  let options: ArchiveReadOptions

  public func makeAsyncIterator() -> Iterator { Iterator(listing: self) }

  /// An iterator over the items.
  public struct Iterator: AsyncIteratorProtocol {
    let listing: ArchiveListing
    private var state: ArchiveWalkState?
    private var items: ArraySlice<Item> = []

    init(listing: ArchiveListing) { self.listing = listing }

    /// Returns the next file or folder; nil at the end.
    ///
    /// - Throws: ``ArchiveError`` with `notFound`, before the first item, if the folder is missing.
    public mutating func next() async throws -> Item? {
      if let item = items.popFirst() { return item }
      let archive = listing.archive
      if state == nil {
        state = try await archive.walk(
          listing.version, listing.folder, recursive: listing.recursive, options: listing.options)
      }
      guard let state else { return nil }
      items = try await archive.step(state, options: listing.options)[...]
      return items.popFirst()
    }
  }

  /// Returns all items.
  public func collect() async throws -> [Item] {
    var items: [Item] = []
    for try await item in self { items.append(item) }
    return items
  }
}

/// The changes of an archive, one after the other.
public struct ArchiveHistory: AsyncSequence, Sendable {
  public typealias Element = ArchiveEntry

  enum Step {
    case entry(ArchiveEntry)
    case damaged
    case end
  }

  let archive: Archive
  let range: Range<UInt64>?
  let options: ArchiveReadOptions

  public func makeAsyncIterator() -> Iterator {
    Iterator(history: self, seq: Swift.max(range?.lowerBound ?? 1, 1))
  }

  /// An iterator over the changes; unreadable ones are left out.
  public struct Iterator: AsyncIteratorProtocol {
    let history: ArchiveHistory
    var seq: UInt64

    /// Returns the next change; nil after the newest that is known.
    public mutating func next() async throws -> ArchiveEntry? {
      while true {
        let step = try await history.archive.entry(
          at: seq, before: history.range?.upperBound, options: history.options)
        switch step {
        case .end: return nil
        case .damaged: seq += 1
        case .entry(let entry):
          seq += 1
          return entry
        }
      }
    }
  }
}
