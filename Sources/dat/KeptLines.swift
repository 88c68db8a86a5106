internal import Foundation

/// Lines that were typed in a room before they could be written, in `unsent.json` in its folder.
struct KeptLines {
  /// The most bytes of the file; a larger one was not written here.
  private static let fileLimit = 16 << 20

  private var file: URL?
  private(set) var lines: [String] = []
  /// The path of a file that should hold such lines but can't be read; it is kept.
  private(set) var setAside: String?

  var hasLines: Bool { !lines.isEmpty }

  /// The fate of the lines, for people.
  var fate: String {
    file.map { "wait in \(SafeText.line($0.path))" } ?? "are lost, since nothing is kept on disk"
  }

  /// Reads the lines that wait in a room's folder.
  ///
  /// - Parameter folder: the folder; nil to keep the lines only in memory.
  init(folder: String?) {
    let file = folder.map { URL(fileURLWithPath: $0).appendingPathComponent("unsent.json") }
    self.file = file
    guard let file, FileManager.default.fileExists(atPath: file.path) else { return }
    if let lines = Self.read(file) {
      self.lines = lines
      return
    }
    do { setAside = try UnreadableFile.setAside(file) } catch {
      // Left as it is: lines are kept in memory alone.
      self.file = nil
      setAside = file.path
    }
  }

  private static func read(_ file: URL) -> [String]? {
    guard let size = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize,
      size <= fileLimit, let data = try? Data(contentsOf: file)
    else { return nil }
    return try? JSONDecoder().decode([String].self, from: data)
  }

  mutating func add(_ line: String) throws {
    lines.append(line)
    try write()
  }

  mutating func removeFirst() throws {
    lines.removeFirst()
    try write()
  }

  private func write() throws {
    guard let file else { return }
    if lines.isEmpty {
      try FileManager.default.removeItem(at: file)
    } else {
      let mode = [FileAttributeKey.posixPermissions: 0o600]
      try JSONEncoder().encode(lines).write(to: file, options: .atomic)
      try FileManager.default.setAttributes(mode, ofItemAtPath: file.path)
    }
  }
}
