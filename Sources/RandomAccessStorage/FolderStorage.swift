/// A storage in a folder, with a file for each name, as the reference writes it.
///
/// Folders are created at the first write, for their owner alone (0700), and so are files (0600). Symbolic
/// links inside the folder are not followed. Files are opened when they are used; all folder storages of a
/// process share a bounded number of open files.
public struct FolderStorage: StorageProvider {
  /// The folder, as an absolute path.
  public let path: String
  public let access: StorageAccess
  let pool: DescriptorPool

  /// Creates a storage in the folder at `path`, which need not exist yet.
  public init(path: String, access: StorageAccess = .readWrite) {
    self.init(path: path, access: access, pool: .shared)
  }

  init(path: String, access: StorageAccess = .readWrite, pool: DescriptorPool) {
    var path = path.hasPrefix("/") ? path : Platform.currentFolder + "/" + path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    self.path = path
    self.access = access
    self.pool = pool
  }

  public func storage(named name: String) throws(StorageError) -> any RandomAccessStorage {
    FolderFile(try location(name), access: access, pool: pool)
  }

  /// Takes an advisory lock (`flock`) on the file, without changing a byte of it.
  ///
  /// - Returns: nil with ``StorageAccess/readOnly``, which takes no lock.
  /// - Throws: code `locked` if another process, or another lock of this one, holds it.
  public func lock(_ name: String) throws(StorageError) -> (any StorageLock)? {
    let location = try location(name)
    guard access == .readWrite else { return nil }
    let operation = "lock"
    guard let descriptor = try location.open(.readWriteCreate, operation, pool) else {
      throw location.error(operation, Platform.noSuchFile)
    }
    let failure = Platform.lock(descriptor)
    if failure == 0 { return FolderLock(descriptor) }
    defer { Platform.closeFile(descriptor) }
    if failure == Platform.wouldBlock {
      throw location.locked(by: Platform.lockOwner(descriptor))
    }
    throw location.error(operation, failure)
  }

  public func exists(_ name: String) throws(StorageError) -> Bool {
    let parts = try StorageName.parts(ofFileOrFolder: name)
    let location = FileLocation(root: path, parts: parts)
    guard let folder = try location.openFolder(creating: false, "look for a file", pool) else {
      return false
    }
    defer { Platform.closeFile(folder) }
    switch Platform.isFile(location.file, in: folder) {
    case .failure(let number): throw location.error("look for a file", number)
    case .success(nil): return false
    case .success(true?): return true
    case .success(false?):
      guard case .success(let inner) = Platform.openFolder(location.file, in: folder) else {
        return false
      }
      return Platform.hasEntries(inner)
    }
  }

  /// The file's inode and the time of its last change of any kind. A copy differs in both, and a file whose
  /// content was restored in place differs in the time.
  public func identity(of name: String) throws(StorageError) -> String? {
    let location = try location(name)
    guard let folder = try location.openFolder(creating: false, "look for a file", pool) else {
      return nil
    }
    defer { Platform.closeFile(folder) }
    return Platform.identity(of: location.file, in: folder)
  }

  /// Removes a file, and the folders on the way to it that are empty then; the storage's own folder is kept.
  public func remove(_ name: String) throws(StorageError) {
    guard access == .readWrite else { throw .readOnly(path, "remove \(name)") }
    let location = try location(name)
    guard let folder = try location.openFolder(creating: false, "remove a file", pool) else {
      return
    }
    defer { Platform.closeFile(folder) }
    let failure = Platform.remove(location.file, in: folder)
    guard failure == 0 || failure == Platform.noSuchFile else {
      throw location.error("remove the file", failure)
    }
    var folders = location.folders
    while let last = folders.popLast() {
      let parent = FileLocation(root: path, parts: folders + [last])
      guard let holder = try? parent.openFolder(creating: false, "remove a folder", pool) else {
        return
      }
      defer { Platform.closeFile(holder) }
      // A folder that holds something is kept.
      if Platform.removeFolder(last, in: holder) != 0 { return }
    }
  }

  /// The room on the disk of the folder, which need not exist yet.
  public func space() throws(StorageError) -> StorageSpace? {
    var path = path
    while true {
      switch Platform.space(at: path) {
      case .success(let space): return space
      case .failure(Platform.noSuchFile) where path != "/":
        path =
          path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "/"
      case .failure(let number):
        throw FileLocation(root: path, parts: ["."]).error("ask for the free space", number)
      }
    }
  }

  private func location(_ name: String) throws(StorageError) -> FileLocation {
    FileLocation(root: path, parts: try StorageName.parts(of: name))
  }
}

/// A held lock: an open descriptor outside the pool.
final class FolderLock: StorageLock {
  private var descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  func release() {
    guard descriptor >= 0 else { return }
    Platform.closeFile(descriptor)
    descriptor = -1
  }

  deinit { release() }
}
