/// The rules for names of files in a storage: relative, plain, and the same for every provider.
enum StorageName {
  /// The parts of a name between its slashes.
  ///
  /// - Throws: code `name` for anything that could lead out of the storage or that some file system
  ///   would not store: an absolute path, an empty part, `.`, `..`, a zero byte, a part over 255 bytes.
  static func parts(of name: String) throws(StorageError) -> [String] {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    for part in parts {
      guard
        !part.isEmpty, part != ".", part != "..", part.utf8.count <= 255, !part.utf8.contains(0)
      else {
        throw StorageError(
          code: .name, path: name, operation: "open",
          reason: "\"\(name)\" is not a name for a file here: give a relative path without empty "
            + "parts, \".\" or \"..\".")
      }
    }
    return parts
  }

  /// Like ``parts(of:)``, for a name that may also end in `/` to stand for a folder.
  static func parts(ofFileOrFolder name: String) throws(StorageError) -> [String] {
    try parts(of: name.count > 1 && name.hasSuffix("/") ? String(name.dropLast()) : name)
  }
}

/// Offsets and lengths that every storage can hold.
enum StorageRange {
  /// The largest length of a file: the limit of the system's signed 64-bit offsets.
  static let maximum = UInt64(Int64.max)

  /// The end of a range.
  ///
  /// - Throws: code `failed` if it is past ``maximum``.
  static func end(
    of offset: UInt64, count: UInt64, path: @autoclosure () -> String
  ) throws(StorageError) -> UInt64 {
    let (end, overflow) = offset.addingReportingOverflow(count)
    guard !overflow, end <= maximum else {
      let path = path()
      throw StorageError(
        code: .failed, path: path, operation: "reach \(count) bytes at \(offset)",
        reason: "\(count) bytes at \(offset) of \(path) lie past the largest file there can be.")
    }
    return end
  }
}

extension StorageError {
  /// Writing to something opened for reading.
  static func readOnly(_ path: String, _ operation: String) -> StorageError {
    StorageError(
      code: .readOnly, path: path, operation: operation,
      reason: "Could not \(operation) in \(path): it was opened read-only.")
  }
}
