internal import Hypercore
public import HypercoreCrypto

/// What an export did.
public struct ExportReport: Sendable {
  /// How many files were written.
  public var files: UInt64 = 0
  /// How many bytes they have together.
  public var bytes: UInt64 = 0
  /// What was not written, with the reason.
  public var leftOut: [(path: ArchivePath, reason: String)] = []
}

extension Archive {
  /// Writes a version's files into a folder: each appears as a whole, with its permissions and time, and
  /// nothing is written outside or over what is there.
  ///
  /// - Parameter folder: made where there is none, but not the one it is in.
  /// - Parameter version: nil for the newest.
  /// - Parameter path: only this file or what is in this folder.
  /// - Parameter options: whether and how long to wait for what is not here; what does not come is left out.
  /// - Parameter progress: called after each file.
  /// - Throws: ``ArchiveError``, `folder` for one that can't be written.
  public func export(
    to folder: String, version: UInt64? = nil, path: ArchivePath = .root,
    options: ArchiveReadOptions = ArchiveReadOptions(),
    progress: (@Sendable (ExportReport) -> Void)? = nil
  ) async throws -> ExportReport {
    let checkout =
      if let version { try self.checkout(version) } else {
        try await self.checkout(options: options)
      }
    let writer = try FolderWriter(folder)
    var report = ExportReport()
    for try await item in checkout.entries(in: path, recursive: true, options: options) {
      guard let seq = item.seq else { continue }
      let entry = ArchiveEntry(seq: seq, path: item.path, stat: item.stat)
      do {
        try await write(entry, with: writer, &report, options)
      } catch let error as ArchiveError where error.code != .closed && error.code != .folder {
        report.leftOut.append((item.path, error.reason))
      }
      progress?(report)
    }
    return report
  }

  /// Writes one entry's file.
  package func write(
    _ entry: ArchiveEntry, with writer: FolderWriter, as path: ArchivePath? = nil,
    _ report: inout ExportReport, _ options: ArchiveReadOptions
  ) async throws {
    let path = path ?? entry.path
    guard let stat = entry.stat else { return }
    if let refusal = LayoutRules.refusal(of: path) {
      report.leftOut.append((path, refusal))
      return
    }
    if stat.kind == .directory { return try writer.makeFolder(path) }
    guard stat.kind == .file else {
      report.leftOut.append((path, "it is neither a file nor a folder"))
      return
    }
    let bytes = try content(of: entry, nil, options)
    guard try writer.begin(path) else {
      report.leftOut.append((path, "something is in its place"))
      return
    }
    do {
      for try await piece in bytes { try writer.add(piece) }
    } catch {
      writer.drop()
      throw error
    }
    try writer.finish(path, stat)
    report.files += 1
    report.bytes += stat.size
  }

  /// Entries of files that no version's index reaches any more although nobody removed them: lost by the
  /// reference's rule for deletions.
  public func lostEntries(options: ArchiveReadOptions = ArchiveReadOptions()) async throws
    -> [ArchiveEntry]
  {
    try await reading(options) {
      var last: [ArchivePath: ArchiveEntry] = [:]
      var seq: UInt64 = 1
      while seq <= tree.version {
        if let node = try tree.node(seq) { last[node.path] = node.entry }
        seq += 1
      }
      let head = try tree.head(tree.version)
      var lost: [ArchiveEntry] = []
      for entry in last.values where entry.stat?.kind == .file {
        if try tree.put(entry.path, from: head)?.seq != entry.seq { lost.append(entry) }
      }
      return lost.sorted { $0.path < $1.path }
    }
  }
}

extension Archive {
  /// Writes lost files beside those of the newest version, and older versions into the folder `versions`, as
  /// far as their bytes are to be had.
  ///
  /// - Returns: how many of each were written.
  public func recover(
    _ lost: [ArchiveEntry], olderVersions: Bool, to folder: String, _ report: inout ExportReport,
    options: ArchiveReadOptions = ArchiveReadOptions()
  ) async throws -> (lost: Int, older: Int) {
    let writer = try FolderWriter(folder)
    let before = report.files
    for entry in lost {
      do { try await write(entry, with: writer, &report, options) } catch let error as ArchiveError
      {
        report.leftOut.append((entry.path, error.reason))
      }
    }
    let savedLost = Int(report.files - before)
    guard olderVersions else { return (savedLost, 0) }
    let current = Set(
      try await entries(recursive: true, options: options).collect().compactMap(\.seq)
    )
    .union(lost.map(\.seq))
    for try await entry in history(options: options) {
      guard let stat = entry.stat, stat.kind == .file, !current.contains(entry.seq) else {
        continue
      }
      let path = ArchivePath(
        components: [ArraySlice("versions".utf8), ArraySlice(String(entry.seq).utf8)]
          + entry.path.components)
      // Most old bytes are gone: that is no news.
      do {
        try await write(entry, with: writer, as: path, &report, ArchiveReadOptions(wait: false))
      } catch is ArchiveError { continue }
    }
    return (savedLost, Int(report.files - before) - savedLost)
  }

  /// The secret key of the metadata feed, if it is here.
  public var secretKey: SecretKey? { feeds.metadata.core.secretKey }
}

/// Writes files into a folder of the user's: each under another name until it is whole.
///
/// Unchecked with this proof: it is used by one task, on the archive's executor.
package final class FolderWriter: @unchecked Sendable {
  private let folder: WorkFolder
  private var draft: Int32?
  private var size: UInt64 = 0
  private static let draftName = Array(".dat-part".utf8)

  /// - Parameter path: made where there is none.
  package init(_ path: String) throws {
    do { try FileSystem.makeFolder(path) } catch {
      guard error.exists else {
        throw ArchiveError(
          .folder,
          error.isMissing
            ? "The folder that \(path) is to be made in is not there: make it first."
            : "The folder \(path) can't be made: \(error.message).", cause: error)
      }
    }
    folder = try WorkFolder(path)
  }

  deinit { drop() }

  func makeFolder(_ path: ArchivePath) throws {
    do { try folder.makeFolder(path) } catch { throw Archive.folderError(error, path) }
  }

  /// - Returns: false where something has the name already.
  func begin(_ path: ArchivePath) throws -> Bool {
    do {
      if try folder.status(of: path) != nil { return false }
      drop()
      size = 0
      draft = try folder.inFolder(.root) { root throws(SystemError) in
        let descriptor = try FileSystem.openFileForWriting(Self.draftName, in: root, new: false)
        try FileSystem.truncate(descriptor)
        return descriptor
      }
      return true
    } catch { throw Archive.folderError(error, path) }
  }

  func add(_ piece: [UInt8]) throws {
    guard let draft else { return }
    do throws(SystemError) {
      try piece.withUnsafeBufferPointer { piece throws(SystemError) in
        try FileSystem.write(draft, at: size, UnsafeRawBufferPointer(piece))
      }
      size += UInt64(piece.count)
    } catch {
      throw ArchiveError(.folder, "A file can't be written: \(error.message).", cause: error)
    }
  }

  func finish(_ path: ArchivePath, _ stat: FileStat) throws {
    guard let draft else { return }
    do {
      try FileSystem.setPermissions(stat.permissions | 0o400, of: draft)
      try FileSystem.setTime(stat.mtime, of: draft)
      try folder.makeFolder(path.parent)
      let root = try folder.inFolder(.root) { root throws(SystemError) in
        try FileSystem.openFolder([UInt8(ascii: ".")], in: root)
      }
      defer { FileSystem.closeFile(root) }
      try folder.inFolder(path.parent) { parent throws(SystemError) in
        try FileSystem.rename(Self.draftName, in: root, to: path.name, in: parent)
      }
    } catch { throw Archive.folderError(error, path) }
    FileSystem.closeFile(draft)
    self.draft = nil
  }

  /// Gives up a file that was begun.
  func drop() {
    guard let draft else { return }
    FileSystem.closeFile(draft)
    self.draft = nil
    // Nothing to be done where it can't be removed: the next one takes its name.
    try? folder.inFolder(.root) { root throws(SystemError) in
      try FileSystem.removeFile(Self.draftName, in: root)
    }
  }
}
