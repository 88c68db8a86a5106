/// A file under a storage's folder: the path to it, which is opened without following links, and
/// its name in an error.
struct FileLocation {
  let root: String
  /// The folders between the root and the file.
  let folders: [String]
  let file: String

  /// - Parameter parts: at least one part, checked by ``StorageName``.
  init(root: String, parts: [String]) {
    self.root = root
    folders = Array(parts.dropLast())
    file = parts.last ?? ""
  }

  /// Made when it is asked for: a host has thousands of files, and only errors name them.
  var path: String { root + "/" + (folders + [file]).joined(separator: "/") }

  /// Opens the file; returns nil if it or a folder on the way is missing and `mode` does not
  /// create.
  func open(_ mode: Platform.OpenMode, _ operation: String, _ pool: DescriptorPool)
    throws(StorageError) -> Int32?
  {
    guard
      let folder = try openFolder(creating: mode == .readWriteCreate, operation, pool)
    else { return nil }
    defer { Platform.closeFile(folder) }
    var outcome = Platform.openFile(file, in: folder, mode)
    if case .failure(let number) = outcome, Platform.tooManyOpenFiles.contains(number) {
      pool.closeIdle()
      outcome = Platform.openFile(file, in: folder, mode)
    }
    switch outcome {
    case .success(let descriptor): return descriptor
    case .failure(Platform.noSuchFile) where mode != .readWriteCreate: return nil
    case .failure(Platform.isSymbolicLink): throw link(operation)
    case .failure(let number): throw error(operation, number)
    }
  }

  /// Opens the folder that holds the file; returns nil if it is missing and is not to be created.
  func openFolder(creating: Bool, _ operation: String, _ pool: DescriptorPool)
    throws(StorageError) -> Int32?
  {
    var current: Int32
    switch openRoot(creating: creating, pool) {
    case .success(let descriptor): current = descriptor
    case .failure(Platform.noSuchFile) where !creating: return nil
    case .failure(let number): throw error(operation, number)
    }
    for name in folders {
      let parent = current
      defer { Platform.closeFile(parent) }
      var outcome = Platform.openFolder(name, in: parent)
      if creating, case .failure(Platform.noSuchFile) = outcome {
        let failure = Platform.makeFolder(name, in: parent)
        guard failure == 0 || failure == Platform.exists else { throw error(operation, failure) }
        outcome = Platform.openFolder(name, in: parent)
      }
      switch outcome {
      case .success(let descriptor): current = descriptor
      case .failure(Platform.noSuchFile) where !creating: return nil
      case .failure(let number):
        if Platform.isLink(name, in: parent) { throw link(operation) }
        throw error(operation, number)
      }
    }
    return current
  }

  private func openRoot(creating: Bool, _ pool: DescriptorPool) -> Platform.Outcome<Int32> {
    let outcome = Platform.openFolder(root)
    guard case .failure(let number) = outcome else { return outcome }
    if Platform.tooManyOpenFiles.contains(number) {
      pool.closeIdle()
      return Platform.openFolder(root)
    }
    guard creating, number == Platform.noSuchFile else { return outcome }
    var path = ""
    for part in root.split(separator: "/") {
      path += "/" + part
      let failure = Platform.makeFolder(path)
      // A folder above may deny access and exist all the same: opening the root decides.
      if failure == Platform.noSuchFile { return .failure(failure) }
      if Platform.diskFull.contains(failure) { return .failure(failure) }
      if failure != 0, failure != Platform.exists, path == root { return .failure(failure) }
    }
    return Platform.openFolder(root)
  }

  /// The folders whose entries lead to the file, innermost first, up to the one that holds the
  /// root. They have to reach the disk for a new file to be found there.
  var foldersOnTheWay: [String] {
    var paths: [String] = []
    var path = root
    for folder in folders {
      paths.append(path)
      path += "/" + folder
    }
    paths.append(path)
    if let slash = root.lastIndex(of: "/"), root.count > 1 {
      paths.insert(slash == root.startIndex ? "/" : String(root[..<slash]), at: 0)
    }
    return paths.reversed()
  }

  // MARK: Errors

  func error(_ operation: String, _ number: Int32) -> StorageError {
    let (code, advice): (StorageError.Code, String) =
      if Platform.diskFull.contains(number) {
        (.full, " The disk or a quota is full: free some space, and try again.")
      } else if Platform.accessRefused.contains(number) {
        (.permission, " Check who owns the folder and what its permissions are.")
      } else if Platform.tooManyOpenFiles.contains(number) {
        (.failed, " Raise the limit of open files (ulimit -n).")
      } else if Platform.locksUnsupported.contains(number), operation == "lock" {
        (.failed, " This file system has no locks: keep the folder on a local disk.")
      } else {
        (.failed, "")
      }
    let what = number == Platform.noPlainFile ? "not a plain file" : Platform.message(number)
    return StorageError(
      code: code, path: path, operation: operation, errno: number,
      reason: "Could not \(operation) in \(path): \(what).\(advice)")
  }

  func link(_ operation: String) -> StorageError {
    StorageError(
      code: .name, path: path, operation: operation, errno: Platform.isSymbolicLink,
      reason: "Could not \(operation) in \(path): a symbolic link is on the way, and links inside "
        + "a storage's folder are not followed.")
  }

  func locked(by process: Int32?) -> StorageError {
    let owner =
      switch process {
      case Platform.processID?: "this process (\(Platform.processID)) has it open already"
      case let process?: "process \(process) has it open"
      case nil: "another process has it open"
      }
    return StorageError(
      code: .locked, path: path, operation: "lock", errno: Platform.wouldBlock,
      reason: "\(path) is in use: \(owner). Close it there, or open this one read-only.")
  }
}
