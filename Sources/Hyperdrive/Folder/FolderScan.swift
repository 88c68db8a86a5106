/// The files of a folder that belong in its archive.
struct FolderScan {
  struct Found {
    let path: ArchivePath
    let status: FileStatus
  }

  /// The files that belong in it, sorted by path.
  private(set) var files: [Found] = []
  /// The files that don't, with the reasons: ignored, a link to a folder, a pipe, a name that is not text.
  private(set) var leftOut: [(path: ArchivePath, reason: String)] = []
  /// Folders that could not be read, and names that could not be looked at: what is there is not known.
  private var unread: Set<ArchivePath> = []
  /// The most reasons that are kept; more are only counted.
  private static let mostReasons = 10_000

  /// Scans a folder. Links to files stand for the files; those to folders are left out.
  init(_ folder: WorkFolder, _ rules: IgnoreRules, in start: ArchivePath = .root) throws {
    var folders = [start]
    while let path = folders.popLast() {
      let names: [[UInt8]]
      do {
        names = try folder.inFolder(path) { folder throws(SystemError) in
          try FileSystem.names(in: folder)
        }
      } catch {
        if error.isMissing { continue }
        unread.insert(path)
        leaveOut(path, "it can't be read: \(error.message)")
        continue
      }
      for name in names { try look(at: path.appending(name), folder, rules, &folders) }
    }
    files.sort { $0.path < $1.path }
  }

  private mutating func look(
    at path: ArchivePath, _ folder: WorkFolder, _ rules: IgnoreRules, _ folders: inout [ArchivePath]
  ) throws {
    var status: FileStatus?
    var target: (path: ArchivePath, isInside: Bool)?
    do {
      status = try folder.status(of: path)
      if status?.isLink == true {
        let file = try folder.inFolder(path.parent) { folder throws(SystemError) in
          try FileSystem.status(of: path.name, in: folder, followingLinks: true)
        }
        if file?.isFile == true { (status, target) = (file, folder.target(of: path)) }
      }
    } catch {
      unread.insert(path)
      leaveOut(path, error.message)
      return
    }
    guard let status else { return }
    if status.isFolder {
      if rules.prunes(path) {
        leaveOut(path, rules.reason(for: path) ?? "")
      } else {
        folders.append(path)
      }
      return
    }
    if let reason = rules.reason(for: path) {
      leaveOut(path, reason)
    } else if status.isLink {
      leaveOut(path, "it is a link to a folder or to nothing")
    } else if !status.isFile {
      leaveOut(path, "it is neither a file nor a folder")
    } else if let reason = LayoutRules.refusal(of: path) {
      leaveOut(path, reason)
    } else if let target, let reason = rules.reason(forLinkTo: target.path, target.isInside) {
      leaveOut(path, reason)
    } else if LayoutRules.isSecret(target?.path ?? path, status.size) {
      leaveOut(path, "it is the secret key of a feed")
    } else {
      files.append(Found(path: path, status: status))
    }
  }

  /// Removes the first files and returns them; none at the end. What is left takes less memory each time.
  mutating func removeFirstFiles() -> ArraySlice<Found> {
    let count = max(8192, files.count / 16)
    let first = Array(files.prefix(count))
    files = Array(files.dropFirst(count))
    return first[...]
  }

  /// Returns whether a file of that path belongs in the archive.
  func contains(_ path: ArchivePath) -> Bool {
    let index = files.firstIndex(from: path) { $0.path }
    return index < files.count && files[index].path == path
  }

  /// Returns whether the content of a path is unknown because it or a folder above it could not be read. Its
  /// files are not deleted then.
  func isUnknown(_ path: ArchivePath) -> Bool {
    guard !unread.isEmpty else { return false }
    var path = path
    while true {
      if unread.contains(path) { return true }
      if path.count == 0 { return false }
      path = path.parent
    }
  }

  private mutating func leaveOut(_ path: ArchivePath, _ reason: String) {
    if leftOut.count < Self.mostReasons { leftOut.append((path, reason)) }
  }
}
