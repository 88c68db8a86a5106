internal import DatWeb
internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// What this side keeps of a room beside its feeds: the name to go by, whom not to show, up to where it
/// was read.
///
/// A file `chat.json` in the room's folder, which other programs leave alone.
struct RoomNotes: Codable, Hashable, Sendable {
  /// A place in the history: the order and key of a message.
  struct Place: Codable, Hashable, Sendable {
    var order: Int64
    var key: String
  }

  var name: String?
  /// Feeds in hex.
  var muted: [String]?
  var read: Place?

  var mutedKeys: Set<PublicKey> { Set((muted ?? []).compactMap { PublicKey(hex: $0) }) }

  /// The notes of the room in a folder; empty where there are none or they can't be read.
  init(folder: String) {
    let file = Self.file(in: folder)
    // A file beyond this is none of ours.
    guard let size = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize, size <= 1 << 20,
      let data = try? Data(contentsOf: file),
      let notes = try? JSONDecoder().decode(RoomNotes.self, from: data)
    else { return }
    self = notes
  }

  init() {}

  /// Writes them in place of those before.
  func write(folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    try PrivateFile.write(try encoder.encode(self), to: Self.file(in: folder))
  }

  mutating func setMuted(_ keys: Set<PublicKey>) {
    muted = keys.isEmpty ? nil : keys.map(\.hex).sorted()
  }

  private static func file(in folder: String) -> URL {
    URL(fileURLWithPath: folder, isDirectory: true).appendingPathComponent("chat.json")
  }
}
