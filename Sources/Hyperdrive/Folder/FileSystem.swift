// The system calls of this module, in one place for all platforms. Names are bytes, and need not be
// text.

internal import CMalloc

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// The system's metadata of a file or folder.
struct FileStatus: Hashable {
  /// Kind and permissions.
  var mode: UInt32
  /// The size in bytes.
  var size: UInt64
  /// The time of the last change of its bytes, in nanoseconds since 1970; 0 for earlier.
  var mtime: UInt64
  /// Its identity on its disk.
  var inode: UInt64

  var isFile: Bool { mode & FileStat.kindMask == FileStat.fileBits }
  var isFolder: Bool { mode & FileStat.kindMask == FileStat.directoryBits }
  var isLink: Bool { mode & FileStat.kindMask == 0o120000 }

  fileprivate init(_ status: stat) {
    mode = UInt32(status.st_mode)
    size = UInt64(max(0, status.st_size))
    inode = UInt64(status.st_ino)
    #if canImport(Darwin)
      let time = status.st_mtimespec
    #else
      let time = status.st_mtim
    #endif
    mtime = time.tv_sec < 0 ? 0 : UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// A failure of a system call.
struct SystemError: Error {
  let number: Int32

  var isMissing: Bool { number == ENOENT || number == ENOTDIR }
  var isLink: Bool { number == ELOOP }
  var exists: Bool { number == EEXIST }
  var isFull: Bool { number == ENOSPC || number == EDQUOT }
  /// True if a name, or something in its way, is the cause: other files of the folder may succeed.
  var isOfName: Bool {
    [
      ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, ELOOP, ENAMETOOLONG, EINVAL, EILSEQ, EACCES,
    ].contains(number)
  }
  var message: String { String(cString: strerror(number)) }

  static let notPlain = SystemError(number: EISDIR)
}

/// System calls. Descriptors are plain numbers; the code that opens one closes it.
enum FileSystem {
  /// The time of day.
  static var now: (seconds: Int, nanoseconds: Int) {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return (Int(time.tv_sec), Int(time.tv_nsec))
  }

  /// The user's home.
  static var home: String {
    getenv("HOME").map { String(cString: $0) } ?? "."
  }

  /// Makes a folder by its path; its parent has to exist.
  static func makeFolder(_ path: String) throws(SystemError) {
    _ = try check { Int(mkdir(path, 0o755)) }
  }

  private static func check(_ call: () -> Int) throws(SystemError) -> Int {
    while true {
      let result = call()
      if result >= 0 { return result }
      if errno != EINTR { throw SystemError(number: errno) }
    }
  }

  /// Passes the bytes as a C string; a name with a zero byte in it is refused.
  private static func named<Result>(
    _ name: some Sequence<UInt8>, _ body: (UnsafePointer<CChar>) throws(SystemError) -> Result
  ) throws(SystemError) -> Result {
    var bytes = Array(name).map { CChar(bitPattern: $0) }
    guard !bytes.contains(0) else { throw SystemError(number: EINVAL) }
    bytes.append(0)
    return try bytes.withUnsafeBufferPointer { buffer throws(SystemError) -> Result in
      guard let base = buffer.baseAddress else { throw SystemError(number: EINVAL) }
      return try body(base)
    }
  }

  /// Opens a folder by its path, following links: it is the one that a user named.
  static func openRoot(_ path: String) throws(SystemError) -> Int32 {
    Int32(try check { Int(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) })
  }

  /// Opens a folder in a folder, without following a link.
  static func openFolder(
    _ name: some Sequence<UInt8>, in folder: Int32
  ) throws(SystemError) -> Int32 {
    try named(name) { name throws(SystemError) in
      Int32(
        try check {
          Int(openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))
        })
    }
  }

  /// Opens a plain file for reading, without waiting on a pipe.
  ///
  /// - Parameter followingLinks: true if a link to a file stands for that file, as at an import.
  static func openFile(
    _ name: some Sequence<UInt8>, in folder: Int32, followingLinks: Bool = false
  ) throws(SystemError) -> Int32 {
    let descriptor = try named(name) { name throws(SystemError) in
      let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (followingLinks ? 0 : O_NOFOLLOW)
      return Int32(try check { Int(openat(folder, name, flags)) })
    }
    do throws(SystemError) {
      guard try status(of: descriptor).isFile else { throw SystemError.notPlain }
    } catch {
      closeFile(descriptor)
      throw error
    }
    return descriptor
  }

  /// Opens a plain file for writing.
  ///
  /// - Parameter new: true if it must not exist before.
  static func openFileForWriting(
    _ name: some Sequence<UInt8>, in folder: Int32, new: Bool
  ) throws(SystemError) -> Int32 {
    try named(name) { name throws(SystemError) in
      let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (new ? O_EXCL : 0)
      return Int32(try check { Int(openat(folder, name, flags, 0o600)) })
    }
  }

  static func closeFile(_ descriptor: Int32) { close(descriptor) }

  static func status(of descriptor: Int32) throws(SystemError) -> FileStatus {
    var status = stat()
    _ = try check { Int(fstat(descriptor, &status)) }
    return FileStatus(status)
  }

  /// Returns the status of a name; nil if there is nothing.
  static func status(
    of name: some Sequence<UInt8>, in folder: Int32, followingLinks: Bool = false
  ) throws(SystemError) -> FileStatus? {
    try named(name) { name throws(SystemError) in
      var status = stat()
      do throws(SystemError) {
        _ = try check {
          Int(fstatat(folder, name, &status, followingLinks ? 0 : AT_SYMLINK_NOFOLLOW))
        }
      } catch {
        if error.isMissing || error.isLink { return nil }
        throw error
      }
      return FileStatus(status)
    }
  }

  /// The path of what a path leads to, without links; nil if it leads nowhere.
  static func realPath(_ path: [UInt8]) -> [UInt8]? {
    let found = try? named(path) { path throws(SystemError) -> [UInt8]? in
      guard let real = realpath(path, nil) else { return nil }
      defer { free(real) }
      return Array(UnsafeRawBufferPointer(start: real, count: strlen(real)))
    }
    return found ?? nil
  }

  static func makeFolder(_ name: some Sequence<UInt8>, in folder: Int32, mode: UInt32 = 0o755)
    throws(SystemError)
  {
    try named(name) { name throws(SystemError) in
      _ = try check { Int(mkdirat(folder, name, mode_t(mode))) }
    }
  }

  /// Puts a file in place of another, or of nothing, in one step.
  static func rename(
    _ name: some Sequence<UInt8>, in folder: Int32, to newName: some Sequence<UInt8>,
    in newFolder: Int32
  ) throws(SystemError) {
    let newName = Array(newName)
    try named(name) { name throws(SystemError) in
      try named(newName) { newName throws(SystemError) in
        _ = try check { Int(renameat(folder, name, newFolder, newName)) }
      }
    }
  }

  /// Gives a file a name that is free, in one step.
  ///
  /// - Returns: false if the name is taken, or if the system can't tell in one step.
  static func renameIfFree(
    _ name: some Sequence<UInt8>, in folder: Int32, to newName: some Sequence<UInt8>,
    in newFolder: Int32
  ) throws(SystemError) -> Bool {
    let newName = Array(newName)
    return try named(name) { name throws(SystemError) in
      try named(newName) { newName throws(SystemError) in
        do throws(SystemError) {
          _ = try check { Int(dat_rename_to_free_name(folder, name, newFolder, newName)) }
          return true
        } catch {
          if [EEXIST, ENOSYS, EINVAL, ENOTSUP].contains(error.number) { return false }
          throw error
        }
      }
    }
  }

  static func removeFile(_ name: some Sequence<UInt8>, in folder: Int32) throws(SystemError) {
    try named(name) { name throws(SystemError) in _ = try check { Int(unlinkat(folder, name, 0)) } }
  }

  /// Removes an empty folder.
  static func removeFolder(_ name: some Sequence<UInt8>, in folder: Int32) throws(SystemError) {
    try named(name) { name throws(SystemError) in
      _ = try check { Int(unlinkat(folder, name, AT_REMOVEDIR)) }
    }
  }

  static func setPermissions(_ mode: UInt32, of descriptor: Int32) throws(SystemError) {
    _ = try check { Int(fchmod(descriptor, mode_t(mode & 0o777))) }
  }

  /// Sets the time of the last change, in milliseconds since 1970; times past the year 9999 become its end.
  static func setTime(_ milliseconds: UInt64, of descriptor: Int32) throws(SystemError) {
    let milliseconds = min(milliseconds, 253_402_300_799_000)
    let time = timespec(
      tv_sec: time_t(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
    let times = [time, time]
    _ = try check { Int(futimens(descriptor, times)) }
  }

  /// Reads up to `count` bytes from `offset` on; fewer only at the end of the file.
  static func read(
    _ descriptor: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int {
    var done = 0
    while done < buffer.count, let base = buffer.baseAddress {
      guard let position = off_t(exactly: offset + UInt64(done)) else { break }
      let count = try check { pread(descriptor, base + done, buffer.count - done, position) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  static func write(
    _ descriptor: Int32, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
  ) throws(SystemError) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      guard let position = off_t(exactly: offset + UInt64(done)) else {
        throw SystemError(number: EFBIG)
      }
      done += try check { pwrite(descriptor, base + done, bytes.count - done, position) }
    }
  }

  /// Empties a file.
  static func truncate(_ descriptor: Int32) throws(SystemError) {
    _ = try check { Int(ftruncate(descriptor, 0)) }
  }

  static func sync(_ descriptor: Int32) throws(SystemError) {
    _ = try check { Int(fsync(descriptor)) }
  }

  /// Returns the names in a folder, without `.` and `..`, sorted by bytes.
  static func names(in folder: Int32) throws(SystemError) -> [[UInt8]] {
    let copy = Int32(try check { Int(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) })
    guard let stream = fdopendir(copy) else {
      let number = errno
      close(copy)
      throw SystemError(number: number)
    }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: UInt8.self, capacity: 1) { base in
          Array(
            UnsafeBufferPointer(
              start: base, count: strlen(UnsafeRawPointer(base).assumingMemoryBound(to: CChar.self))
            ))
        }
      }
      if name != [0x2e], name != [0x2e, 0x2e] { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }
}
