internal import Hypercore
internal import HypercoreCrypto

/// The attributes with which a file or folder is written.
public struct FileAttributes: Hashable, Sendable {
  /// The permissions; the bits of the kind are added.
  public var mode: UInt32?
  /// The number of the owner.
  public var uid: UInt32 = 0
  /// The number of the group.
  public var gid: UInt32 = 0
  /// The time of the last change, in milliseconds since 1970; nil for now.
  public var mtime: UInt64?
  /// The time of creation or change, in milliseconds since 1970; nil for now.
  public var ctime: UInt64?

  /// Makes the defaults: permissions 644, for a folder 755, and the time of writing.
  public init() {}
}

extension Archive {
  /// Writes a file: a new one, or another version of one.
  ///
  /// - Parameter path: the path. Missing folders on the way need not be made.
  /// - Parameter bytes: the file's content.
  /// - Parameter attributes: its permissions, owner and times.
  /// - Returns: its entry.
  /// - Throws: ``ArchiveError``: `notWritable`, `invalidPath`, `feed`, `closed`.
  ///
  /// Stands for hyperdrive `writeFile(path, bytes, options)`.
  @discardableResult
  public func write(
    _ path: ArchivePath, _ bytes: [UInt8], attributes: FileAttributes = FileAttributes()
  ) async throws -> ArchiveEntry {
    try await writing {
      let content = try writableContent(for: path)
      if files != nil {
        return try await writeIntoFolder(path, Once(bytes), attributes, content)
      }
      let start = (block: content.length, byte: content.byteLength)
      try clearOld(path)
      let pieces = stride(from: 0, to: bytes.count, by: ArchiveLimits.chunkBytes).map {
        Array(bytes[$0..<min($0 + ArchiveLimits.chunkBytes, bytes.count)])
      }
      try append(pieces, to: content)
      return try put(path, from: start, in: content, attributes)
    }
  }

  /// Writes a file from pieces, each of which becomes a block or several.
  ///
  /// - Throws: the error of the sequence. The pieces before it stay in the content feed, and no entry
  ///   names them.
  ///
  /// Stands for hyperdrive `createWriteStream(path, options)`.
  @discardableResult
  public func write(
    _ path: ArchivePath, from pieces: some AsyncSequence<[UInt8], any Error> & Sendable,
    attributes: FileAttributes = FileAttributes()
  ) async throws -> ArchiveEntry {
    try await writing {
      let content = try writableContent(for: path)
      if files != nil { return try await writeIntoFolder(path, pieces, attributes, content) }
      let start = (block: content.length, byte: content.byteLength)
      for try await piece in pieces {
        try checkOpen()
        let parts = stride(from: 0, to: piece.count, by: ArchiveLimits.chunkBytes).map {
          Array(piece[$0..<min($0 + ArchiveLimits.chunkBytes, piece.count)])
        }
        try append(parts, to: content)
      }
      try checkOpen()
      try clearOld(path)
      return try put(path, from: start, in: content, attributes)
    }
  }

  /// Writes a file into the archive's folder, and imports it from there.
  private func writeIntoFolder(
    _ path: ArchivePath, _ pieces: some AsyncSequence<[UInt8], any Error>,
    _ attributes: FileAttributes, _ content: FeedCore
  ) async throws -> ArchiveEntry {
    guard let files else { throw ArchiveError(.closed, "The archive is closed.") }
    if let refusal = LayoutRules.refusal(of: path) {
      throw ArchiveError(
        .invalidPath, "\(path) can't be a file in a folder: \(refusal).", path: path)
    }
    var draft = try files.beginDraft()
    do {
      for try await piece in pieces { try draft.add(piece) }
      try checkOpen()
      let time = attributes.mtime ?? Self.milliseconds
      try files.install(draft, at: path, mode: attributes.mode ?? 0o644, time: time)
    } catch {
      files.drop(draft)
      throw (error as? SystemError).map { Self.folderError($0, path) } ?? error
    }
    let start = (block: content.length, byte: content.byteLength)
    try clearOld(path)
    do { try content.append(leaves: draft.leaves) } catch { throw Self.error(error) }
    return try put(path, from: start, in: content, attributes)
  }

  /// Makes a folder with an entry of its own, which an empty folder needs.
  ///
  /// Stands for hyperdrive `mkdir(path, options)`.
  @discardableResult
  public func makeFolder(
    _ path: ArchivePath, attributes: FileAttributes = FileAttributes()
  ) async throws -> ArchiveEntry {
    try await writing {
      let content = try writableContent(for: path)
      let now = Self.milliseconds
      let stat = FileStat(
        mode: (attributes.mode ?? 0o755) & 0o7777 | FileStat.directoryBits, uid: attributes.uid,
        gid: attributes.gid, offset: content.length, byteOffset: content.byteLength,
        mtime: attributes.mtime ?? now, ctime: attributes.ctime ?? now)
      return try append(path, StatMessage(directory: stat))
    }
  }

  /// Removes a file, or a folder's own entry. Everything else in the archive remains reachable, even if the
  /// reference's rule would lose it.
  ///
  /// - Throws: ``ArchiveError``: `notFound`; `directoryNotEmpty` for a folder with something in it;
  ///   `notWritable`, `closed`. In each case nothing is written.
  ///
  /// Stands for hyperdrive `unlink(path)` and `rmdir(path)`.
  @discardableResult
  public func remove(_ path: ArchivePath) async throws -> ArchiveEntry {
    try await writing {
      _ = try writableContent(for: path)
      let head = try tree.head(tree.version)
      guard let old = try tree.put(path, from: head) else {
        if try tree.branches(of: path, from: head).isEmpty { throw ArchiveError.notFound(path) }
        throw ArchiveError(
          .directoryNotEmpty, "\(path) is not empty: remove what is in it.", path: path)
      }
      if old.stat?.kind == .directory,
        try tree.branches(of: path, from: head).contains(where: { $0.path != path })
      {
        throw ArchiveError(
          .directoryNotEmpty, "\(path) is not empty: remove what is in it.", path: path)
      }
      var blocks = [try stage(removing: path)]
      let entry = try commit(&blocks)
      if let files, LayoutRules.refusal(of: path) == nil {
        do {
          if old.stat?.kind == .directory {
            try files.folder.prune(path)
          } else {
            try files.folder.remove(path)
          }
        } catch { throw Self.folderError(error, path) }
      }
      return entry
    }
  }

  // MARK: Parts

  /// Runs a write; writes run one at a time.
  func writing<Result>(_ body: () async throws -> Result) async throws -> Result {
    try checkOpen()
    await writing.acquire()
    defer { writing.release() }
    try checkOpen()
    // A folder that was copied or restored first asks the connected peers whether there is more.
    if feeds.metadata.core.isCopy { await feeds.metadata.waitUntilCaughtUp() }
    if let content = feeds.content, content.core.isCopy { await content.waitUntilCaughtUp() }
    try checkOpen()
    return try await body()
  }

  /// Returns the content feed to append to.
  func writableContent(for path: ArchivePath) throws -> FeedCore {
    guard let content = feeds.content?.core, isWritable else {
      throw ArchiveError(.notWritable, Self.notWritable)
    }
    guard path.stored.count <= ArchiveLimits.nameBytes, !path.bytes.contains(0) else {
      throw ArchiveError(
        .invalidPath,
        "A name has at most \(ArchiveLimits.nameBytes) bytes, none of them zero.", path: path)
    }
    return content
  }

  private static let notWritable =
    "This archive is not writable here: its secret key is not here. Write it where it was made."

  func append(_ pieces: [[UInt8]], to content: FeedCore) throws {
    do { try content.append(pieces) } catch { throw Self.error(error) }
  }

  /// In latest mode, clears the content of a file that is overwritten or removed.
  func clearOld(_ path: ArchivePath) throws {
    guard options.latest, let stat = try oldEntry(of: path)?.stat, stat.size > 0,
      let range = stat.blockRange, let content = feeds.content?.core
    else { return }
    do { try content.clear(range, keepingBytes: files != nil) } catch { throw Self.error(error) }
  }

  /// The entry of a file that is overwritten or removed; nil if there is none.
  private func oldEntry(of path: ArchivePath) throws -> ArchiveEntry? {
    if let files, !isFollowing, reconciliation.version != nil, reconciliation.refused[path] == nil {
      // A look-up of a new name would go through all names beside it.
      return files.map.current[path]?.entry
    }
    return try tree.put(path, from: tree.head(tree.version))
  }

  private func put(
    _ path: ArchivePath, from start: (block: UInt64, byte: UInt64), in content: FeedCore,
    _ attributes: FileAttributes
  ) throws -> ArchiveEntry {
    let now = Self.milliseconds
    let stat = FileStat(
      mode: (attributes.mode ?? 0o644) & 0o7777 | FileStat.fileBits, uid: attributes.uid,
      gid: attributes.gid, size: content.byteLength - start.byte,
      blocks: content.length - start.block, offset: start.block, byteOffset: start.byte,
      mtime: attributes.mtime ?? now, ctime: attributes.ctime ?? now)
    return try append(path, StatMessage(file: stat))
  }

  private func append(_ path: ArchivePath, _ stat: StatMessage) throws -> ArchiveEntry {
    var blocks = [try stage(putting: path, stat)]
    return try commit(&blocks)
  }

  /// Makes the block of an entry, to be appended by the next ``commit(_:)``.
  func stage(putting path: ArchivePath, _ stat: StatMessage) throws -> [UInt8] {
    try stage(path) { try tree.block(putting: path, stat) }
  }

  func stage(removing path: ArchivePath) throws -> [UInt8] {
    try stage(path) {
      try clearOld(path)
      return try tree.block(removing: path)
    }
  }

  private func stage(_ path: ArchivePath, _ make: () throws -> [UInt8]) throws -> [UInt8] {
    do {
      let block = try make()
      guard block.count <= ArchiveLimits.entryBytes else {
        throw ArchiveError(
          .invalidPath, "The folder has too many names: its entry would not fit a block.")
      }
      let node = try tree.decode(block, at: tree.version + 1).get()
      tree.stage(node.path == path ? node.sharing(path) : node)
      return block
    } catch {
      tree.endStaging(appended: false)
      throw error
    }
  }

  /// Appends the staged entries, under one signature.
  ///
  /// - Returns: the last of them.
  @discardableResult
  func commit(_ blocks: inout [[UInt8]]) throws -> ArchiveEntry {
    defer { blocks = [] }
    guard !blocks.isEmpty, let last = try tree.node(tree.version) else {
      return ArchiveEntry(seq: 0, path: .root, stat: nil)
    }
    let nodes = tree.staged
    do { try feeds.metadata.core.append(blocks) } catch {
      tree.endStaging(appended: false)
      throw Self.error(error)
    }
    tree.endStaging(appended: true)
    if files != nil { try reconcile(appended: nodes) }
    announce()
    return last.entry
  }

  /// Notifies peers at once of what has changed in the feeds; else they would hear of it when a connection next looks
  /// at its clock. A fault of a feed is met by the next call that uses it.
  private func announce() {
    try? feeds.content?.flush()
    try? feeds.metadata.flush()
  }

  static var milliseconds: UInt64 {
    UInt64(max(0, FileSystem.now.seconds * 1000 + FileSystem.now.nanoseconds / 1_000_000))
  }
}

/// A lock that admits one writer at a time, in the order in which they came.
///
/// Unchecked, with this proof: it is used on the archive's executor alone.
final class WriteLock: @unchecked Sendable {
  private var isHeld = false
  private var waiters: [CheckedContinuation<Void, Never>] = []

  func acquire() async {
    if !isHeld {
      isHeld = true
      return
    }
    await withCheckedContinuation { waiters.append($0) }
  }

  func release() {
    if waiters.isEmpty { isHeld = false } else { waiters.removeFirst().resume() }
  }
}

/// Bytes as a sequence of one piece.
private struct Once: AsyncSequence, AsyncIteratorProtocol {
  private var bytes: [UInt8]?
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  func makeAsyncIterator() -> Once { self }
  mutating func next() async throws -> [UInt8]? { bytes.take() }
}
