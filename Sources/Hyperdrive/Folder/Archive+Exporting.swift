internal import Hypercore
public import HypercoreCrypto

/// The result of an export.
public struct ExportReport: Sendable {
  /// The number of files that were written.
  public var files: UInt64 = 0
  /// The number of their bytes.
  public var bytes: UInt64 = 0
  /// The files that were not written, with the reasons.
  public var leftOut: [(path: ArchivePath, reason: String)] = []
}

extension Archive {
  /// Writes a version's files into a folder. Each appears as a whole, with its permissions and time; nothing
  /// is written outside the folder or over existing files.
  ///
  /// - Parameter folder: the folder; it is created if it is missing, but not its parent.
  /// - Parameter version: the version; nil for the newest.
  /// - Parameter path: the only file, or the only folder whose content is written.
  /// - Parameter options: whether and how long to wait for what is not here; what does not come is left out.
  /// - Parameter progress: called after each file.
  /// - Throws: ``ArchiveError``, `folder` if the folder can't be written.
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
    // One entry behind: the content of a folder comes right after a file of the folder's name.
    var last: ArchiveEntry?
    for try await item in checkout.entries(in: path, recursive: true, options: options) {
      guard let seq = item.seq else { continue }
      let entry = ArchiveEntry(seq: seq, path: item.path, stat: item.stat)
      if let last {
        try await save(last, before: entry, with: writer, &report, options)
        progress?(report)
      }
      last = entry
    }
    if let last {
      try await save(last, with: writer, &report, options)
      progress?(report)
    }
    return report
  }

  /// Writes one entry's file, or notes why it is left out. A folder takes precedence over a file of its name.
  private func save(
    _ entry: ArchiveEntry, before next: ArchiveEntry? = nil, with writer: FolderWriter,
    _ report: inout ExportReport, _ options: ArchiveReadOptions
  ) async throws {
    if let next, entry.stat?.kind == .file, next.path.isWithin(entry.path),
      LayoutRules.refusal(of: next.path) == nil
    {
      report.leftOut.append((entry.path, "a folder has its name"))
      return
    }
    do {
      try await write(entry, with: writer, &report, options)
    } catch let error as ArchiveError where error.code != .closed && error.code != .folder {
      report.leftOut.append((entry.path, error.reason))
    }
  }

  /// Writes one entry's file, or notes why its name is not allowed in the folder.
  ///
  /// - Throws: ``ArchiveError``; `folder` if nothing more can be written, as on a full disk.
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
    if stat.kind == .other {
      report.leftOut.append((path, "it is neither a file nor a folder"))
      return
    }
    do {
      if stat.kind == .directory { return try writer.makeFolder(path) }
      let bytes = try content(of: entry, nil, options)
      guard try writer.begin(path) else {
        report.leftOut.append((path, "something is in its place"))
        return
      }
      for try await piece in bytes { try writer.add(piece) }
      try writer.finish(path, stat)
      report.files += 1
      report.bytes += stat.size
    } catch let error as SystemError where error.isOfName {
      writer.drop()
      report.leftOut.append(
        (path, error.isLink ? "a link is in its way" : "it can't be written: \(error.message)"))
    } catch {
      writer.drop()
      throw error is SystemError ? Self.folderError(error, path) : error
    }
  }

  /// Returns entries of files that no version's index reaches any more although they were not removed: the
  /// reference's rule for deletions lost them.
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
  /// far as their bytes can be had.
  ///
  /// - Returns: the numbers of both.
  public func recover(
    _ lost: [ArchiveEntry], olderVersions: Bool, to folder: String, _ report: inout ExportReport,
    options: ArchiveReadOptions = ArchiveReadOptions()
  ) async throws -> (lost: Int, older: Int) {
    let writer = try FolderWriter(folder)
    let before = report.files
    for entry in lost { try await save(entry, with: writer, &report, options) }
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
      // Most old bytes are gone: that is not worth a report.
      do {
        try await write(entry, with: writer, as: path, &report, ArchiveReadOptions(wait: false))
      } catch let error as ArchiveError where error.code != .closed && error.code != .folder {
        continue
      }
    }
    return (savedLost, Int(report.files - before) - savedLost)
  }

  /// The secret key of the metadata feed, if it is here.
  public var secretKey: SecretKey? { feeds.metadata.core.secretKey }
}

/// A writer of files into a user's folder: each has another name until it is complete.
///
/// Unchecked, with this proof: one task uses it, on the archive's executor.
package final class FolderWriter: @unchecked Sendable {
  private let folder: WorkFolder
  private var draft: (name: [UInt8], descriptor: Int32)?
  private var size: UInt64 = 0

  /// - Parameter path: the folder; it is created if it is missing.
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

  func makeFolder(_ path: ArchivePath) throws(SystemError) { try folder.makeFolder(path) }

  /// Begins a file under an unused name.
  ///
  /// - Returns: false if something already has the file's own name.
  func begin(_ path: ArchivePath) throws(SystemError) -> Bool {
    drop()
    if try folder.status(of: path) != nil { return false }
    size = 0
    var number = 1
    while draft == nil {
      let name = Array(".dat-part\(number == 1 ? "" : "-\(number)")".utf8)
      number += 1
      // Nor may it be the first component of the file's own path.
      if path.component(0)?.elementsEqual(name) == true { continue }
      do {
        let descriptor = try folder.inFolder(.root) { root throws(SystemError) in
          try FileSystem.openFileForWriting(name, in: root, new: true)
        }
        draft = (name, descriptor)
      } catch {
        guard error.exists, number < 1000 else { throw error }
      }
    }
    return true
  }

  func add(_ piece: [UInt8]) throws(SystemError) {
    guard let draft else { return }
    try piece.withUnsafeBufferPointer { piece throws(SystemError) in
      try FileSystem.write(draft.descriptor, at: size, UnsafeRawBufferPointer(piece))
    }
    size += UInt64(piece.count)
  }

  func finish(_ path: ArchivePath, _ stat: FileStat) throws(SystemError) {
    guard let draft else { return }
    try FileSystem.setPermissions(stat.permissions | 0o400, of: draft.descriptor)
    try FileSystem.setTime(stat.mtime, of: draft.descriptor)
    try folder.makeFolder(path.parent)
    let root = try folder.inFolder(.root) { root throws(SystemError) in
      try FileSystem.openFolder([UInt8(ascii: ".")], in: root)
    }
    defer { FileSystem.closeFile(root) }
    try folder.inFolder(path.parent) { parent throws(SystemError) in
      try FileSystem.rename(draft.name, in: root, to: path.name, in: parent)
    }
    FileSystem.closeFile(draft.descriptor)
    self.draft = nil
  }

  /// Discards a file that was begun.
  func drop() {
    guard let draft else { return }
    FileSystem.closeFile(draft.descriptor)
    self.draft = nil
    // It is this writer's own, under a name that was unused.
    try? folder.inFolder(.root) { root throws(SystemError) in
      try FileSystem.removeFile(draft.name, in: root)
    }
  }
}
