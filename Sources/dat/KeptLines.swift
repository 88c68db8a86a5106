internal import Foundation

/// Lines that were typed in a room before they could be written, in `unsent.json` in its folder.
struct KeptLines {
  /// The most bytes of the file; a larger one was not written here.
  private static let fileLimit = 16 << 20

  private let file: URL?
  private(set) var lines: [String] = []

  var hasLines: Bool { !lines.isEmpty }

  /// The location of the lines, for people.
  var place: String {
    file.map { "wait in \(SafeText.line($0.path))" } ?? "are lost, since nothing is kept on disk"
  }

  /// Reads the lines that wait in a room's folder.
  ///
  /// - Parameter folder: the folder; nil to keep the lines only in memory.
  init(folder: String?) {
    file = folder.map { URL(fileURLWithPath: $0).appendingPathComponent("unsent.json") }
    guard let file, let size = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize,
      size <= Self.fileLimit, let data = try? Data(contentsOf: file)
    else { return }
    lines = (try? JSONDecoder().decode([String].self, from: data)) ?? []
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
