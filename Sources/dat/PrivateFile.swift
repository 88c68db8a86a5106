internal import Foundation

/// Files that concern only the user: muted feeds, reading positions, consents.
enum PrivateFile {
  /// Replaces the contents of a file, which only its owner can read from the first byte on.
  static func write(_ contents: Data, to file: URL) throws {
    let fresh = file.deletingLastPathComponent().appendingPathComponent(
      ".\(file.lastPathComponent).\(getpid())")
    let path = fresh.path
    unlink(path)
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure(file) }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try handle.write(contentsOf: contents)
      try handle.close()
      guard rename(path, file.path) == 0 else { throw failure(file) }
    } catch {
      unlink(path)
      throw error
    }
  }

  private static func failure(_ file: URL) -> any Error {
    CocoaError(
      .fileWriteUnknown,
      userInfo: [
        NSFilePathErrorKey: file.path,
        NSUnderlyingErrorKey: POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO),
      ])
  }
}
