internal import DatCoding
internal import DatWeb
internal import Foundation
internal import HypercoreCrypto
internal import Saga

/// The notes that this side keeps of a room beside its feeds: the name to go by, the users not to show, up to where
/// it was read.
///
/// A file `chat.json` in the room's folder, which other programs leave alone.
struct RoomNotes: Hashable, Sendable {
  var name: String?
  /// Feeds in hex.
  var muted: [String]?
  /// The last message that was seen.
  var read: Message.Place?

  var mutedKeys: Set<PublicKey> { Set((muted ?? []).compactMap { PublicKey(hex: $0) }) }

  /// Reads the notes of the room in a folder; empty if there are none or they can't be read.
  init(folder: String) {
    guard let fields = Self.fields(in: Self.file(in: folder)) else { return }
    name = fields.name
    muted = fields.muted
    read = fields.read?.place
  }

  init() {}

  private static func fields(in file: URL) -> Fields? {
    // A larger file was not written here.
    guard let size = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize, size <= 1 << 20,
      let data = try? Data(contentsOf: file)
    else { return nil }
    return try? JSONText.decode(Fields.self, from: Array(data))
  }

  /// Returns whether there are notes in a folder, which makes it a room's.
  static func exist(in folder: String) -> Bool {
    FileManager.default.fileExists(atPath: file(in: folder).path)
  }

  /// The content of the file.
  private struct Fields: Codable {
    /// A place in the history. Before feeds were noted with it, it had none.
    struct Read: Codable {
      var order: Int64
      var key: String
      var feed: String?

      var place: Message.Place? {
        feed.flatMap { PublicKey(hex: $0) }.map {
          Message.Place(timestamp: order, id: Message.ID(key: key, feed: $0))
        }
      }
    }

    var name: String?
    var muted: [String]?
    var read: Read?
  }

  /// Writes the notes in place of the previous ones, which are kept aside if they can't be read.
  func write(folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    let fields = Fields(
      name: name, muted: muted,
      read: read.map {
        Fields.Read(order: $0.timestamp, key: $0.id.key, feed: $0.id.feed.hex)
      })
    let file = Self.file(in: folder)
    if FileManager.default.fileExists(atPath: file.path), Self.fields(in: file) == nil {
      _ = try UnreadableFile.setAside(file)
    }
    try PrivateFile.write(try encoder.encode(fields), to: file)
  }

  mutating func setMuted(_ keys: Set<PublicKey>) {
    muted = keys.isEmpty ? nil : keys.map(\.hex).sorted()
  }

  private static func file(in folder: String) -> URL {
    URL(fileURLWithPath: folder, isDirectory: true).appendingPathComponent("chat.json")
  }
}
