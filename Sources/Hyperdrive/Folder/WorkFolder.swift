/// A folder whose files are an archive's. Every step down from it is taken without following links, so that
/// nothing outside is read or written, whatever a file is replaced with meanwhile.
///
/// Used in one isolation domain, by synchronous code.
final class WorkFolder {
  /// The path as the user named it.
  let path: String
  private let root: Int32
  /// The folder that was used last: files come folder by folder.
  private var last: (path: ArchivePath, descriptor: Int32)?
  /// The archive's own folder that was used last. It stays open, since every file comes through it.
  private var own: (path: ArchivePath, descriptor: Int32)?

  init(_ path: String) throws {
    self.path = path
    do { root = try FileSystem.openRoot(path) } catch {
      throw ArchiveError(
        .folder, "The folder \(path) can't be opened: \(error.message).", cause: error)
    }
  }

  deinit {
    closeAll()
    FileSystem.closeFile(root)
  }

  /// Closes everything but the folder itself.
  func closeAll() {
    leave()
    if let own { FileSystem.closeFile(own.descriptor) }
    own = nil
  }

  /// Closes the folder that was used last, unless it is the archive's own. The user may move it, and what is written
  /// later must not go where it went.
  func leave() {
    if let last { FileSystem.closeFile(last.descriptor) }
    last = nil
  }

  /// Runs `body` with the folder at `path` open.
  func inFolder<Result>(
    _ path: ArchivePath, creating: Bool = false,
    _ body: (Int32) throws(SystemError) -> Result
  ) throws(SystemError) -> Result {
    if path.count == 0 { return try body(root) }
    let isOwn = path.component(0)?.elementsEqual(".dat".utf8) == true
    if let known = isOwn ? own : last, known.path == path { return try body(known.descriptor) }
    var current = root
    for component in path.components {
      let parent = current
      defer { if parent != root { FileSystem.closeFile(parent) } }
      do {
        current = try FileSystem.openFolder(component, in: parent)
      } catch {
        guard creating, error.isMissing else { throw error }
        do { try FileSystem.makeFolder(component, in: parent) } catch {
          if !error.exists { throw error }
        }
        current = try FileSystem.openFolder(component, in: parent)
      }
    }
    if isOwn {
      if let own { FileSystem.closeFile(own.descriptor) }
      own = (path, current)
    } else {
      leave()
      last = (path, current)
    }
    return try body(current)
  }

  /// Opens a file for reading.
  func open(_ path: ArchivePath, followingLinks: Bool = false) throws(SystemError) -> Int32 {
    try inFolder(path.parent) { folder throws(SystemError) in
      try FileSystem.openFile(path.name, in: folder, followingLinks: followingLinks)
    }
  }

  /// Follows all links in a path.
  ///
  /// - Returns: the path in this folder that it leads to or, if that is outside, the names below the last folder that
  ///   both have in common; nil if it leads nowhere.
  func target(of path: ArchivePath) -> (path: ArchivePath, isInside: Bool)? {
    let own = Array(self.path.utf8)
    guard let root = FileSystem.realPath(own), let real = FileSystem.realPath(own + path.bytes)
    else { return nil }
    let (folder, target) = (ArchivePath(stored: root), ArchivePath(stored: real))
    let shared = folder.common(target)
    let rest = ArchivePath(components: target.components.dropFirst(shared))
    return (rest, shared == folder.count)
  }

  /// Returns the status of a path; nil if there is nothing, or if a parent is not a folder.
  func status(of path: ArchivePath) throws(SystemError) -> FileStatus? {
    if path.count == 0 { return try FileSystem.status(of: root) }
    do {
      return try inFolder(path.parent) { folder throws(SystemError) in
        try FileSystem.status(of: path.name, in: folder)
      }
    } catch {
      if error.isMissing || error.isLink { return nil }
      throw error
    }
  }

  /// Removes a file, and the folders that are then empty.
  func remove(_ path: ArchivePath) throws(SystemError) {
    do {
      try inFolder(path.parent) { folder throws(SystemError) in
        try FileSystem.removeFile(path.name, in: folder)
      }
    } catch {
      if error.isMissing || error.isLink { return }
      throw error
    }
    try prune(path.parent)
  }

  /// Removes a folder if it is empty, and those above it that are then empty.
  func prune(_ path: ArchivePath) throws(SystemError) {
    var path = path
    while path.count > 0 {
      closeAll()
      do {
        try inFolder(path.parent) { folder throws(SystemError) in
          try FileSystem.removeFolder(path.name, in: folder)
        }
      } catch { return }
      path = path.parent
    }
  }

  /// Makes a folder and its parents.
  func makeFolder(_ path: ArchivePath) throws(SystemError) {
    try inFolder(path, creating: true) { _ in }
  }

  /// Renames a file, so that its name is free.
  ///
  /// - Returns: the new name: the old one with `.kept` after it, and a number if that is taken.
  func keepAside(_ path: ArchivePath) throws(SystemError) -> ArchivePath {
    var number = 1
    while true {
      let suffix = number == 1 ? ".kept" : ".kept-\(number)"
      let target = path.parent.appending(path.name + suffix.utf8)
      if try status(of: target) == nil {
        try inFolder(path.parent) { folder throws(SystemError) in
          try FileSystem.rename(path.name, in: folder, to: target.name, in: folder)
        }
        return target
      }
      number += 1
    }
  }

  /// True if the file system treats names that differ only by case as one. Checked once, with the archive's
  /// own folder.
  private(set) lazy var foldsNames: Bool =
    (try? status(of: ArchivePath(components: [Array(".DAT".utf8)]))) != nil
}
