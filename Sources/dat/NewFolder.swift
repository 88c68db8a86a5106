internal import Foundation

/// A folder that may be new: where nothing came to be kept in it, it does not stay behind.
struct NewFolder {
  private let path: String
  private let isNew: Bool

  /// Notes whether there is a folder already.
  init(_ path: String) {
    self.path = path
    isNew = !FileManager.default.fileExists(atPath: path)
  }

  /// Removes it, if it was made since and is empty.
  func removeIfEmpty() {
    if isNew { rmdir(path) }
  }
}
