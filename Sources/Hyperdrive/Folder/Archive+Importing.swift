internal import Hypercore
internal import HypercoreCrypto
internal import RandomAccessStorage

/// The progress of an import.
public struct ImportProgress: Hashable, Sendable {
  /// Files that were put.
  public var added: UInt64 = 0
  /// Files that were removed.
  public var removed: UInt64 = 0
  /// Files that are unchanged.
  public var unchanged: UInt64 = 0
  /// Bytes that were read, of ``totalBytes``.
  public var bytes: UInt64 = 0
  /// The number of bytes of all files in the folder.
  public var totalBytes: UInt64 = 0
  /// The number of files in the folder.
  public var totalFiles: UInt64 = 0
  /// The last step.
  public var last: Step?

  /// A change of one file.
  public enum Step: Hashable, Sendable {
    /// It was put.
    case put(ArchivePath, size: UInt64)
    /// It was removed.
    case remove(ArchivePath)
  }
}

/// The result of an import.
public struct ImportReport: Sendable {
  /// The final progress.
  public var progress = ImportProgress()
  /// The files that were left out of the archive, with the reasons.
  public var leftOut: [(path: ArchivePath, reason: String)] = []
}

extension Archive {
  /// Imports what has changed in the archive's folder: files that are new or have other bytes are put, those that
  /// are gone are removed. What can't be read stays in the archive as it was. A file with the size, time and inode
  /// that the last import noted is not read.
  ///
  /// If it is killed, the next import goes on from there: each batch of files is complete.
  ///
  /// - Parameter ignoresHidden: true to leave out names that start with a dot.
  /// - Parameter progress: called after each file.
  /// - Throws: ``ArchiveError``: `notWritable`, `folder`, `feed`, `closed`; `CancellationError`.
  ///
  /// Stands for what `dat share` does by mirror-folder.
  public func importFolder(
    ignoresHidden: Bool = true, progress: (@Sendable (ImportProgress) -> Void)? = nil
  ) async throws -> ImportReport {
    try await writing {
      guard let files else {
        throw ArchiveError(
          .folder, "This archive keeps its content itself: it has no folder to import.")
      }
      _ = try writableContent(for: .root)
      tree.cacheBytes = min(options.cacheBytes, ArchiveLimits.importCacheBytes)
      defer { tree.cacheBytes = options.cacheBytes }
      try reconcile()
      let rules = ignoreRules(files.folder, ignoresHidden: ignoresHidden)
      let scan = try FolderScan(files.folder, rules)
      var work = ImportWork(
        scan: scan, record: try readImportRecord(), report: ImportReport(), onProgress: progress)
      work.report.leftOut = scan.leftOut
      try await removeMissing(&work, rules)
      try await putChanged(&work, files)
      try writeImportRecord(work.record)
      return work.report
    }
  }

  private func ignoreRules(_ folder: WorkFolder, ignoresHidden: Bool) -> IgnoreRules {
    var text: [UInt8]?
    if let descriptor = try? folder.open("/.datignore") {
      defer { FileSystem.closeFile(descriptor) }
      var bytes = [UInt8](repeating: 0, count: 1 << 20)
      let count = try? bytes.withUnsafeMutableBytes {
        try FileSystem.read(descriptor, at: 0, into: $0)
      }
      text = Array(bytes.prefix(count ?? 0))
    }
    return IgnoreRules(datignore: text, ignoresHidden: ignoresHidden) { line in
      (try? folder.status(of: ArchivePath(text: line)))?.isFolder == true
    }
  }

  private func removeMissing(_ work: inout ImportWork, _ rules: IgnoreRules) async throws {
    let gone = try currentFiles { entry in
      if work.scan.contains(entry.path) { return false }
      if work.scan.isUnknown(entry.path) {
        work.record.keep(entry.seq)
        return false
      }
      return rules.reason(for: entry.path) == nil
    }
    var blocks: [[UInt8]] = []
    for entry in gone {
      blocks.append(try stage(removing: entry.path))
      work.report.progress.removed += 1
      work.did(.remove(entry.path))
      if blocks.count == ImportWork.batchFiles {
        try commit(&blocks)
        await Task.yield()
        try Task.checkCancellation()
      }
    }
    try commit(&blocks)
  }

  /// Returns those of the newest version's files that fulfil a condition.
  private func currentFiles(_ condition: (ArchiveEntry) -> Bool) throws -> [ArchiveEntry] {
    let walk = ArchiveWalk(tree, version: tree.version)
    var files: [ArchiveEntry] = []
    while let item = try walk.next() {
      if case .entry(let entry) = item, entry.stat?.kind == .file, condition(entry) {
        files.append(entry)
      }
    }
    return files
  }

  private func putChanged(_ work: inout ImportWork, _ files: ContentFiles) async throws {
    work.report.progress.totalFiles = UInt64(work.scan.files.count)
    work.report.progress.totalBytes = work.scan.files.reduce(0) { $0 + $1.status.size }
    guard let content = feeds.content?.core else { return }
    var batch = ImportBatch()
    while let found = work.next() {
      if isUnchanged(found, &work, content, files) {
        work.report.progress.unchanged += 1
        continue
      }
      do {
        try await read(found, into: &batch, content, files, &work)
      } catch let error as SystemError {
        // It vanished or was locked meanwhile: the next import sees its state then.
        if let entry = files.map.current[found.path] { work.record.keep(entry.seq) }
        work.report.leftOut.append((found.path, "it can't be read: \(error.message)"))
        continue
      }
      if batch.files.count >= ImportWork.batchFiles || batch.byteCount >= ImportWork.batchBytes {
        try commit(&batch, content, files, &work)
        await Task.yield()
        try Task.checkCancellation()
        try checkOpen()
      }
    }
    try commit(&batch, content, files, &work)
  }

  /// Returns whether a file equals that of the archive's newest version: by the record of the last import, or
  /// by its bytes if the record leaves it open.
  private func isUnchanged(
    _ found: FolderScan.Found, _ work: inout ImportWork, _ content: FeedCore, _ files: ContentFiles
  ) -> Bool {
    guard let entry = files.map.current[found.path]?.entry, let stat = entry.stat,
      stat.size == found.status.size
    else { return false }
    let now = ImportRecord.File(
      seq: entry.seq, size: found.status.size, mtime: found.status.mtime, inode: found.status.inode)
    if work.record[entry.seq] == now, stat.permissions == found.status.mode & 0o777 {
      work.record.note(now)
      return true
    }
    work.report.progress.bytes += stat.size
    guard matches(entry, at: found.path, content, files),
      stat.permissions == found.status.mode & 0o777
    else { return false }
    // Blocks that did not match earlier now do.
    if let range = stat.blockRange { content.countAgain(range) }
    work.record.note(now)
    return true
  }

  /// Reads a file in pieces and hashes them. A large one is appended while it is read.
  private func read(
    _ found: FolderScan.Found, into batch: inout ImportBatch, _ content: FeedCore,
    _ files: ContentFiles, _ work: inout ImportWork
  ) async throws {
    let descriptor = try files.folder.open(found.path, followingLinks: true)
    defer { FileSystem.closeFile(descriptor) }
    let status = try FileSystem.status(of: descriptor)
    var size: UInt64 = 0
    var blocks: UInt64 = 0
    while true {
      let pieces = try ImportBatch.pieces(of: descriptor, from: size)
      if pieces.isEmpty { break }
      let leaves = BlockLeaf.leaves(of: pieces)
      size += leaves.reduce(0) { $0 + $1.size }
      blocks += UInt64(leaves.count)
      batch.leaves += leaves
      work.report.progress.bytes += leaves.reduce(0) { $0 + $1.size }
      if batch.leaves.count >= ImportWork.batchLeaves {
        do { try content.append(leaves: batch.leaves) } catch { throw Self.error(error) }
        batch.leaves = []
        work.onProgress?(work.report.progress)
        await Task.yield()
        try Task.checkCancellation()
        try checkOpen()
      }
    }
    batch.files.append(
      ImportBatch.File(path: found.path, status: status, size: size, blocks: blocks))
    batch.byteCount += Int(clamping: size)
  }

  /// Appends a batch: the content first, then the entries that name it.
  private func commit(
    _ batch: inout ImportBatch, _ content: FeedCore, _ files: ContentFiles, _ work: inout ImportWork
  ) throws {
    guard !batch.files.isEmpty else { return }
    do { try content.append(leaves: batch.leaves) } catch { throw Self.error(error) }
    let sum = batch.files.reduce(into: (blocks: UInt64(0), bytes: UInt64(0))) {
      $0.blocks += $1.blocks
      $0.bytes += $1.size
    }
    var offset = content.length - sum.blocks
    var byteOffset = content.byteLength - sum.bytes
    var blocks: [[UInt8]] = []
    for file in batch.files {
      try clearOld(file.path)
      // No earlier than the file's own time, so that an importer that compares times sees no change.
      let time = file.status.mtime / 1_000_000 + (file.status.mtime % 1_000_000 == 0 ? 0 : 1)
      let stat = FileStat(
        mode: FileStat.fileBits | file.status.mode & 0o777, size: file.size, blocks: file.blocks,
        offset: offset, byteOffset: byteOffset, mtime: time, ctime: time)
      blocks.append(try stage(putting: file.path, StatMessage(file: stat)))
      work.record.note(
        ImportRecord.File(
          seq: tree.version, size: file.size, mtime: file.status.mtime, inode: file.status.inode))
      offset += file.blocks
      byteOffset += file.size
      work.report.progress.added += 1
      work.did(.put(file.path, size: file.size))
    }
    batch = ImportBatch()
    try commit(&blocks)
  }

  // MARK: The record

  private func readImportRecord() throws -> ImportRecord {
    let file = try feeds.ownFile(ImportRecord.name)
    return ImportRecord(try file.bytes(Int(clamping: min(file.length(), 1 << 30))))
  }

  private func writeImportRecord(_ record: ImportRecord) throws {
    // A torn record is no record; the next import merely takes longer.
    let file = try feeds.ownFile(ImportRecord.name)
    let bytes = record.bytes
    try file.truncate(to: 0)
    try file.write([StorageWrite(offset: 0, bytes: bytes)])
    file.close()
  }
}

/// The state of an import.
struct ImportWork {
  var scan: FolderScan
  /// Files of the scan that come next.
  private var nextFiles: ArraySlice<FolderScan.Found> = []
  var record: ImportRecord
  var report: ImportReport
  let onProgress: (@Sendable (ImportProgress) -> Void)?

  /// The most files of one batch, which share one signature.
  static let batchFiles = 128
  /// The most bytes of one batch.
  static let batchBytes = 8 << 20
  /// The most pieces that are hashed before they are appended: 4 MiB.
  static let batchLeaves = 64

  init(
    scan: FolderScan, record: ImportRecord, report: ImportReport,
    onProgress: (@Sendable (ImportProgress) -> Void)?
  ) {
    (self.scan, self.record, self.report, self.onProgress) = (scan, record, report, onProgress)
  }

  /// Returns the next file of the scan; nil at the end.
  mutating func next() -> FolderScan.Found? {
    if nextFiles.isEmpty { nextFiles = scan.removeFirstFiles() }
    return nextFiles.popFirst()
  }

  mutating func did(_ step: ImportProgress.Step) {
    report.progress.last = step
    onProgress?(report.progress)
  }
}

/// Files that were read and are not in the archive yet.
struct ImportBatch {
  struct File {
    let path: ArchivePath
    let status: FileStatus
    let size: UInt64
    let blocks: UInt64
  }

  var files: [File] = []
  var leaves: [BlockLeaf] = []
  var byteCount = 0

  /// Returns the next pieces of a file, up to 4 MiB; none at its end.
  static func pieces(of descriptor: Int32, from offset: UInt64) throws(SystemError) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var position = offset
    while pieces.count < ImportWork.batchLeaves {
      var failure: SystemError?
      let piece = [UInt8](unsafeUninitializedCapacity: ArchiveLimits.chunkBytes) { buffer, count in
        do throws(SystemError) {
          count = try FileSystem.read(
            descriptor, at: position,
            into: UnsafeMutableRawBufferPointer(
              start: buffer.baseAddress, count: ArchiveLimits.chunkBytes))
        } catch {
          failure = error
          count = 0
        }
      }
      if let failure { throw failure }
      if piece.isEmpty { break }
      position += UInt64(piece.count)
      pieces.append(piece)
      if piece.count < ArchiveLimits.chunkBytes { break }
    }
    return pieces
  }
}
