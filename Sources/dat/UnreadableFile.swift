internal import Foundation

/// A file of the command's own that can't be read, which is kept under another name before it is replaced.
enum UnreadableFile {
  /// Moves a file aside.
  ///
  /// - Returns: the path where it is now.
  static func setAside(_ file: URL) throws -> String {
    let aside = URL(fileURLWithPath: "\(file.path).unreadable-\(UUID().uuidString.prefix(8))")
    try FileManager.default.moveItem(at: file, to: aside)
    return aside.path
  }
}
