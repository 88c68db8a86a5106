import DatTesting
import Foundation
import Hyperdrive
import Testing

/// One archive of `archives/manifest.json`.
struct RecordedArchive: Decodable, Sendable, CustomTestStringConvertible {
  struct Stat: Decodable, Hashable {
    var mode: UInt32
    var uid: UInt32
    var gid: UInt32
    var size: UInt64
    var blocks: UInt64
    var offset: UInt64
    var byteOffset: UInt64
    var mtime: UInt64
    var ctime: UInt64

    var value: FileStat {
      FileStat(
        mode: mode, uid: uid, gid: gid, size: size, blocks: blocks, offset: offset,
        byteOffset: byteOffset, mtime: mtime, ctime: ctime)
    }
  }

  struct Entry: Decodable {
    var seq: UInt64
    var raw: String?
    var name: String?
    var change: String?
    var stat: Stat?
    var index: [[UInt64]]?
    var blocksStored: UInt64?
    var blockSizes: [UInt64]?
    var sha256: String?
    var type: String?
    var content: String?
  }

  struct File: Decodable {
    var path: String
    var seq: UInt64
    var stat: Stat
  }

  struct Lookup: Decodable {
    var path: String
    var visited: [UInt64]
    var seq: UInt64?
    var change: String?
    var readdir: [String]?
    var readdirError: String?
    var stat: Stat?
    var statError: String?
  }

  /// `[path, seq]`.
  struct Place: Decodable, Hashable {
    var path: String
    var seq: UInt64

    init(from decoder: any Decoder) throws {
      var container = try decoder.unkeyedContainer()
      path = try container.decode(String.self)
      seq = try container.decode(UInt64.self)
    }
  }

  struct Version: Decodable {
    var version: UInt64
    var directories: [String: [String]]
    var files: [Place]
  }

  /// `[change, path, seq]`.
  struct Change: Decodable, Hashable {
    var change: String
    var path: String
    var seq: UInt64

    init(change: String, path: String, seq: UInt64) {
      self.change = change
      self.path = path
      self.seq = seq
    }

    init(from decoder: any Decoder) throws {
      var container = try decoder.unkeyedContainer()
      change = try container.decode(String.self)
      path = try container.decode(String.self)
      seq = try container.decode(UInt64.self)
    }
  }

  struct Diff: Decodable {
    var from: UInt64
    var to: UInt64
    var changes: [Change]
  }

  struct FeedState: Decodable {
    var key: String?
    var discoveryKey: String?
    var length: UInt64
    var byteLength: UInt64
    var stored: [[UInt64]]
    var damaged: [UInt64]?
  }

  struct Name: Decodable {
    var given: String
    var stored: String
  }

  struct DiskFile: Decodable {
    var path: String
    var size: Int?
    var mtime: Double?
    var mode: Int?
    var sha256: String?
  }

  struct Import: Decodable {
    var version: UInt64
    var contentLength: UInt64
    /// The changes and omissions, each with its path: `put`, `del`, `skip`, `ignore`.
    var events: [[String]]
  }

  var name: String
  var dir: String?
  var key: String
  var discoveryKey: String
  var secretKey: String?
  var writable: Bool
  var version: UInt64
  var metadata: FeedState
  var content: FeedState
  var entries: [Entry]
  var directories: [String: [String]]?
  var files: [File]?
  var history: [[JSONValue]]?
  var lookups: [Lookup]?
  var versions: [Version]?
  var diffs: [Diff]?
  var names: [Name]?
  var layout: String?
  var onDisk: [DiskFile]?
  var emptyFolders: [String]?
  var secretKeys: String?
  var imports: [Import]?
  /// The content of the file of that name, in hex.
  var latest: String?
  /// The archive that a replica is of, and what it read of it.
  var replicaOf: String?
  var read: [String]?
  var visited: [UInt64]?

  var testDescription: String { name }

  /// All archives.
  static let all: [RecordedArchive] =
    (try? Fixtures.json("archives/manifest.json")) ?? []

  /// The archives whose whole metadata is recorded.
  static let whole = all.filter { $0.lookups != nil }

  /// The metadata feed's blocks as far as they are recorded.
  var blocks: [[UInt8]?] {
    var blocks = [[UInt8]?](repeating: nil, count: Int(metadata.length))
    for entry in entries { blocks[Int(entry.seq)] = entry.raw.map { [UInt8](hex: $0) } }
    return blocks
  }

  func tree() -> ArchiveTree { ArchiveTree(MemoryMetadata(blocks)) }
}

/// A metadata feed without storage or signatures.
final class MemoryMetadata: MetadataSource {
  var blocks: [[UInt8]?]
  init(_ blocks: [[UInt8]?]) { self.blocks = blocks }
  var length: UInt64 { UInt64(blocks.count) }
  func block(at seq: UInt64) -> [UInt8]? { seq < length ? blocks[Int(seq)] : nil }
}

extension ArchivePath {
  /// Takes a path as it is stored, from a manifest.
  init(recorded name: String) { self.init(stored: Array(name.utf8)) }
}

extension ArchiveTree {
  /// Returns everything with an entry of its own below a folder.
  func files(_ version: UInt64, in folder: ArchivePath = .root) throws -> [ArchiveEntry] {
    let walk = ArchiveWalk(self, version: version, folder: folder)
    var entries: [ArchiveEntry] = []
    while let item = try walk.next() {
      if case .entry(let entry) = item { entries.append(entry) }
    }
    return entries
  }
}
