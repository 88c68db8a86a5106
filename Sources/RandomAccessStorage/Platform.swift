#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// The system calls of this module, with all that differs between systems.
///
/// Calls return the system's error number rather than setting a variable; interrupted calls are repeated.
enum Platform {
  /// The result of a call: a value, or an error number.
  enum Outcome<Value> {
    case success(Value)
    case failure(Int32)
  }

  enum OpenMode {
    case read
    case readWrite
    case readWriteCreate
  }

  static let noSuchFile = ENOENT
  static let exists = EEXIST
  static let isSymbolicLink = ELOOP
  static let wouldBlock = EWOULDBLOCK
  static let accessRefused: Set<Int32> = [EACCES, EPERM, EROFS]
  static let diskFull: Set<Int32> = [ENOSPC, EDQUOT]
  static let tooManyOpenFiles: Set<Int32> = [EMFILE, ENFILE]
  static let locksUnsupported: Set<Int32> = [ENOLCK, EOPNOTSUPP, ENOSYS]
  static let noPlainFile: Int32 = EISDIR
  static let inputOutput: Int32 = EIO

  static func message(_ number: Int32) -> String { String(cString: strerror(number)) }

  static var processID: Int32 { getpid() }

  /// The folder from which relative paths start.
  static var currentFolder: String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
  }

  /// The most descriptors that this process may hold open.
  static var descriptorLimit: Int {
    var limit = rlimit()
    #if canImport(Glibc)
      let result = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    #else
      let result = getrlimit(RLIMIT_NOFILE, &limit)
    #endif
    guard result == 0 else { return 256 }
    return Int(clamping: limit.rlim_cur)
  }

  private static func repeated(_ call: () -> Int32) -> Outcome<Int32> {
    while true {
      let result = call()
      if result >= 0 { return .success(result) }
      if errno != EINTR { return .failure(errno) }
    }
  }

  static func openFolder(_ path: String) -> Outcome<Int32> {
    repeated { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
  }

  static func openFolder(_ name: String, in folder: Int32) -> Outcome<Int32> {
    repeated { openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
  }

  /// Opens a plain file, without following a symbolic link and without waiting on a pipe.
  static func openFile(_ name: String, in folder: Int32, _ mode: OpenMode) -> Outcome<Int32> {
    let flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
    let outcome =
      switch mode {
      case .read: repeated { openat(folder, name, flags | O_RDONLY) }
      case .readWrite: repeated { openat(folder, name, flags | O_RDWR) }
      case .readWriteCreate: repeated { openat(folder, name, flags | O_RDWR | O_CREAT, 0o600) }
      }
    guard case .success(let descriptor) = outcome else { return outcome }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      return .failure(noPlainFile)
    }
    return outcome
  }

  static func makeFolder(_ path: String) -> Int32 { mkdir(path, 0o700) == 0 ? 0 : errno }

  static func makeFolder(_ name: String, in folder: Int32) -> Int32 {
    mkdirat(folder, name, 0o700) == 0 ? 0 : errno
  }

  /// Removes a file. Returns 0 or the error number.
  static func remove(_ name: String, in folder: Int32) -> Int32 {
    unlinkat(folder, name, 0) == 0 ? 0 : errno
  }

  /// Removes an empty folder. Returns 0 or the error number.
  static func removeFolder(_ name: String, in folder: Int32) -> Int32 {
    unlinkat(folder, name, AT_REMOVEDIR) == 0 ? 0 : errno
  }

  static func isLink(_ name: String, in folder: Int32) -> Bool {
    var status = stat()
    return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0
      && status.st_mode & S_IFMT == S_IFLNK
  }

  /// The kind of file at `name`: nil if there is none, true for a plain file, false for anything else.
  static func isFile(_ name: String, in folder: Int32) -> Outcome<Bool?> {
    var status = stat()
    if fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 {
      return .success(status.st_mode & S_IFMT == S_IFREG)
    }
    return errno == ENOENT ? .success(nil) : .failure(errno)
  }

  /// Inode and change time of a plain file, each in 16 hex digits; nil if there is none.
  static func identity(of name: String, in folder: Int32) -> String? {
    var status = stat()
    guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
      status.st_mode & S_IFMT == S_IFREG
    else { return nil }
    #if canImport(Darwin)
      let time = status.st_ctimespec
    #else
      let time = status.st_ctim
    #endif
    let numbers = [
      UInt64(status.st_ino), UInt64(bitPattern: Int64(time.tv_sec)),
      UInt64(bitPattern: Int64(time.tv_nsec)),
    ]
    return numbers.map { number in
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined(separator: "-")
  }

  /// Returns whether a folder has an entry; takes over the descriptor.
  static func hasEntries(_ folder: Int32) -> Bool {
    guard let stream = fdopendir(folder) else {
      close(folder)
      return false
    }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        (bytes[0], bytes[1], bytes[2])
      }
      let dot = UInt8(ascii: ".")
      if name.0 != dot || (name.1 != 0 && (name.1 != dot || name.2 != 0)) { return true }
    }
    return false
  }

  static func closeFile(_ descriptor: Int32) { _ = close(descriptor) }

  /// Reads until the buffer is full or the file ends.
  static func read(
    _ descriptor: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) -> Outcome<Int> {
    guard let base = buffer.baseAddress else { return .success(0) }
    var done = 0
    while done < buffer.count {
      let count = pread(
        descriptor, base + done, buffer.count - done, off_t(offset) + off_t(done))
      if count == 0 { break }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        return .failure(errno)
      }
    }
    return .success(done)
  }

  /// Writes all bytes. Returns 0 or the error number.
  static func write(_ descriptor: Int32, at offset: UInt64, _ bytes: UnsafeRawBufferPointer)
    -> Int32
  {
    guard let base = bytes.baseAddress else { return 0 }
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, base + done, bytes.count - done, off_t(offset) + off_t(done))
      if count > 0 {
        done += count
      } else if count == 0 {
        return EIO
      } else if errno != EINTR {
        return errno
      }
    }
    return 0
  }

  static func length(_ descriptor: Int32) -> Outcome<UInt64> {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return .failure(errno) }
    return .success(UInt64(clamping: status.st_size))
  }

  /// The room on the disk of a folder.
  static func space(at path: String) -> Outcome<StorageSpace> {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return .failure(errno) }
    let unit = UInt64(clamping: status.f_frsize)
    func bytes(_ blocks: UInt64) -> UInt64 {
      let (bytes, overflow) = blocks.multipliedReportingOverflow(by: unit)
      return overflow ? .max : bytes
    }
    return .success(
      StorageSpace(
        available: bytes(UInt64(clamping: status.f_bavail)),
        total: bytes(UInt64(clamping: status.f_blocks))))
  }

  /// The number of bytes that a file takes on its disk.
  static func occupied(_ descriptor: Int32) -> Outcome<UInt64> {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return .failure(errno) }
    // In units of 512 bytes, whatever the block size of the file system.
    return .success(UInt64(clamping: status.st_blocks) << 9)
  }

  /// The first offset from `offset` on for which the file system has allocated space; nil if there is none.
  /// For a file system that can't tell, it is as if all of the file were allocated.
  static func nextData(_ descriptor: Int32, from offset: UInt64) -> Outcome<UInt64?> {
    #if canImport(Darwin)
      let seekData: Int32 = 4
    #else
      let seekData: Int32 = 3
    #endif
    let next = lseek(descriptor, off_t(offset), seekData)
    if next >= 0 { return .success(UInt64(next)) }
    if errno == ENXIO { return .success(nil) }
    guard errno == EINVAL || errno == ENOTSUP else { return .failure(errno) }
    switch length(descriptor) {
    case .success(let length): return .success(offset < length ? offset : nil)
    case .failure(let number): return .failure(number)
    }
  }

  static func truncate(_ descriptor: Int32, to length: UInt64) -> Int32 {
    switch repeated({ ftruncate(descriptor, off_t(length)) }) {
    case .success: 0
    case .failure(let number): number
    }
  }

  /// Brings the content of a file or folder to the disk, through the disk's own cache. Returns 0 or the error
  /// number. Not repeated after a failure: what failed may be gone from the cache as if it were clean.
  static func sync(_ descriptor: Int32) -> Int32 {
    #if canImport(Darwin)
      // Here fsync leaves the data in the drive's cache.
      if fcntl(descriptor, F_FULLFSYNC) == 0 { return 0 }
      // Not every file system supports the full sync.
      guard errno == ENOTSUP || errno == EINVAL else { return errno }
    #endif
    while fsync(descriptor) != 0 {
      if errno != EINTR { return errno }
    }
    return 0
  }

  /// Takes the whole file's lock without waiting. Returns 0 or the error number.
  static func lock(_ descriptor: Int32) -> Int32 {
    switch repeated({ flock(descriptor, LOCK_EX | LOCK_NB) }) {
    case .success: 0
    case .failure(let number): number
    }
  }

  /// The process that holds the lock of an open file, if the system tells.
  static func lockOwner(_ descriptor: Int32) -> Int32? {
    #if os(Linux) || os(Android)
      var status = stat()
      guard fstat(descriptor, &status) == 0, let table = wholeFile("/proc/locks") else {
        return nil
      }
      // The kernel's packing of a device number, as in `sysmacros.h`.
      let device = UInt64(status.st_dev)
      return lockOwner(
        table: table, inode: UInt64(status.st_ino),
        major: device >> 8 & 0xfff | device >> 32 & ~0xfff,
        minor: device & 0xff | device >> 12 & ~0xff)
    #else
      return nil
    #endif
  }

  /// Finds a lock's owner in a table such as `/proc/locks`, whose lines read
  /// `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`: process, device in hex, and inode.
  ///
  /// Some file systems report another device there than to `stat`. In that case the inode alone decides, if
  /// there is only one such line.
  static func lockOwner(table: String, inode: UInt64, major: UInt64, minor: UInt64) -> Int32? {
    var others: [Int32] = []
    for line in table.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count >= 6, fields[1] == "FLOCK", let process = Int32(fields[4]), process > 0
      else { continue }
      let identity = fields[5].split(separator: ":")
      guard identity.count == 3, UInt64(identity[2]) == inode else { continue }
      if UInt64(identity[0], radix: 16) == major, UInt64(identity[1], radix: 16) == minor {
        return process
      }
      others.append(process)
    }
    return others.count == 1 ? others[0] : nil
  }

  private static func wholeFile(_ path: String) -> String? {
    guard case .success(let descriptor) = repeated({ open(path, O_RDONLY | O_CLOEXEC) }) else {
      return nil
    }
    defer { closeFile(descriptor) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let size = part.count
      #if canImport(Darwin)
        let count = part.withUnsafeMutableBytes { Darwin.read(descriptor, $0.baseAddress, size) }
      #elseif canImport(Glibc)
        let count = part.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, size) }
      #else
        let count = part.withUnsafeMutableBytes { Musl.read(descriptor, $0.baseAddress, size) }
      #endif
      if count <= 0 { break }
      bytes += part[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
