internal import Hypercore
internal import HypercoreCrypto

extension Archive {
  /// Files of the newest version that are not laid out in the folder, with the reasons: names that lead out of
  /// it, names that differ only by case if the system folds it, damaged entries.
  public var refusedFiles: [ArchivePath: String] { reconciliation.refused }

  /// The user's files that were in the way of an archive's, under their new names.
  public var keptFiles: [ArchivePath] { reconciliation.kept }

  /// Files of the newest version that are not complete yet, sorted.
  public var pendingFiles: [ArchivePath] { reconciliation.pending.values.map(\.path).sorted() }

  /// The number of blocks of the files that are not complete yet.
  public var pendingBlocks: UInt64 {
    reconciliation.pending.values.reduce(0) {
      $0 &+ ($1.stat.blockRange.map { UInt64($0.count) } ?? 0)
    }
  }

  /// The failure to lay out files, such as a full disk, or else the reason why none are fetched; nil if there is
  /// neither. Both are tried again every few seconds.
  public var folderFailure: ArchiveError? {
    if let failure = reconciliation.failure { return failure }
    guard files != nil || isFollowing else { return nil }
    return downloadPause.map { ArchiveError(.folder, $0.description) }
  }

  static func folderError(_ error: any Error, _ path: ArchivePath) -> ArchiveError {
    let reason = (error as? SystemError)?.message ?? "\(error)"
    return ArchiveError(.folder, "\(path) can't be written: \(reason).", path: path, cause: error)
  }

  /// Lays out every file whose last blocks came.
  func layOutArrived(_ content: FeedCore) throws {
    guard isFollowing else { return }
    let arrived = reconciliation.arrived
    reconciliation.arrived = []
    for range in arrived {
      var index = reconciliation.pendingStarts.partition(at: range.lowerBound)
      while index < reconciliation.pendingStarts.count,
        reconciliation.pendingStarts[index] < range.upperBound
      {
        try layOutIfComplete(reconciliation.pendingStarts[index], content)
        index += 1
      }
    }
    guard let version = reconciliation.version, version == tree.version else { return }
    if reconciliation.pending.isEmpty, reconciliation.synced != version {
      reconciliation.synced = version
      reconciliation.replaced = [:]
      broadcast.send(.sync(version: version))
    }
    if isComplete { wakeWaiters() }
  }

  private func layOutIfComplete(_ start: UInt64, _ content: FeedCore) throws {
    guard let file = reconciliation.pending[start], let range = file.stat.blockRange,
      content.has(range)
    else { return }
    reconciliation.pending[start] = nil
    guard let files else { return }
    guard isTrue(file.stat, content) else {
      reconciliation.refused[file.path] = "its entry is damaged"
      return
    }
    do { try lay(file.entry, content, files) } catch {
      reconciliation.pending[start] = file
      throw error
    }
  }

  /// Lays out one file. A file of the user's with its name is kept under another.
  func lay(_ entry: ArchiveEntry, _ content: FeedCore, _ files: ContentFiles) throws {
    do {
      if try files.install(entry, ifFree: true) { return }
      if let found = try files.folder.status(of: entry.path) {
        if found.isFolder {
          reconciliation.refused[entry.path] = "a folder is in its place"
          return
        }
        let old = reconciliation.replaced[entry.path]
        if !isLaidOut(old, as: found, at: entry.path, content, files),
          !matches(entry, at: entry.path, content, files)
        {
          reconciliation.kept.append(try files.folder.keepAside(entry.path))
        }
      }
      try files.install(entry)
    } catch {
      if error.isFull { throw Self.folderError(error, entry.path) }
      reconciliation.refused[entry.path] = error.isLink ? "a link is in its way" : error.message
    }
  }

  func makeFolder(_ entry: ArchiveEntry, _ files: ContentFiles) {
    do { try files.folder.makeFolder(entry.path) } catch {
      reconciliation.refused[entry.path] = error.isLink ? "a link is in its way" : error.message
    }
  }

  /// Removes a file that is no longer in the archive, unless it is the user's by now.
  func removeLaidOut(
    _ entry: ArchiveEntry, wasHere: Bool, _ content: FeedCore, _ files: ContentFiles
  ) throws {
    guard LayoutRules.refusal(of: entry.path) == nil, let stat = entry.stat else { return }
    reconciliation.folded[LayoutRules.folded(entry.path)] = nil
    do {
      if stat.kind == .directory { return try files.folder.prune(entry.path) }
      guard wasHere, let found = try files.folder.status(of: entry.path), found.isFile else {
        return
      }
      if isLaidOut(entry, as: found, at: entry.path, content, files) {
        try files.folder.remove(entry.path)
      } else {
        reconciliation.kept.append(entry.path)
      }
    } catch { throw Self.folderError(error, entry.path) }
  }

  /// Returns whether a file is the one that an entry put there.
  private func isLaidOut(
    _ entry: ArchiveEntry?, as found: FileStatus, at path: ArchivePath, _ content: FeedCore,
    _ files: ContentFiles
  ) -> Bool {
    guard let entry, let stat = entry.stat, found.isFile, found.size == stat.size else {
      return false
    }
    // This side sets the entry's time; the reference leaves the time of the download.
    if found.mtime / 1_000_000 == stat.mtime { return true }
    return matches(entry, at: path, content, files)
  }

  /// Returns whether a file has the bytes that the content feed's hashes require.
  func matches(
    _ entry: ArchiveEntry, at path: ArchivePath, _ content: FeedCore, _ files: ContentFiles
  ) -> Bool {
    guard let stat = entry.stat, let range = stat.blockRange else { return false }
    guard
      let descriptor = try? files.folder.open(path, followingLinks: files.followsLinks)
    else { return false }
    defer { FileSystem.closeFile(descriptor) }
    guard let found = try? FileSystem.status(of: descriptor), found.size == stat.size else {
      return false
    }
    var position: UInt64 = 0
    for block in range {
      guard let leaf = try? content.node(at: 2 * block), leaf.size <= found.size - position else {
        return false
      }
      var bytes = [UInt8](repeating: 0, count: Int(leaf.size))
      let count = try? bytes.withUnsafeMutableBytes { buffer in
        try FileSystem.read(descriptor, at: position, into: buffer)
      }
      guard count == bytes.count, BlockLeaf(bytes).hash == leaf.hash else { return false }
      position += leaf.size
    }
    return position == found.size
  }

  /// Returns whether a file is in its place: all of it is recorded as stored, and it has the full length. If it
  /// is missing, it counts as not stored, so that peers bring it again; its record stays.
  func isLaidOut(
    _ entry: ArchiveEntry, _ content: FeedCore, _ files: ContentFiles
  ) throws -> Bool {
    guard let stat = entry.stat, let range = stat.blockRange,
      !files.incoming.contains(entry.seq), content.has(range)
    else { return false }
    if let found = try? files.folder.status(of: entry.path), found.isFile, found.size == stat.size {
      return true
    }
    content.setAside(range)
    return false
  }

  /// Returns whether the blocks that a stat names contain the bytes that it names.
  private func isTrue(_ stat: FileStat, _ content: FeedCore) -> Bool {
    guard let blocks = stat.blockRange, let bytes = stat.byteRange else { return false }
    if blocks.isEmpty { return bytes.isEmpty }
    guard blocks.upperBound <= content.length,
      let start = try? content.byteOffset(of: blocks.lowerBound),
      let before = try? content.byteOffset(of: blocks.upperBound - 1),
      let last = try? content.node(at: 2 * (blocks.upperBound - 1))
    else { return false }
    return start == bytes.lowerBound && before + last.size == bytes.upperBound
  }
}

extension [UInt64] {
  /// Returns, in an ascending array, the index of the last element that is at most `value`, or else the first.
  fileprivate func partition(at value: UInt64) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if self[middle] <= value { low = middle + 1 } else { high = middle }
    }
    return Swift.max(low - 1, 0)
  }
}
