internal import DatCoding

/// The content of a block of the metadata feed.
///
/// Source: hyperdrive `lib/messages.js`, append-tree `messages.js`. Fixture: `archives/manifest.json`.
package struct ArchiveMessage: Hashable {
  /// The name as stored.
  package var name: [UInt8]
  /// The stat's bytes; nil in a deletion.
  package var value: [UInt8]?
  /// The index; see `EntryIndex`.
  package var paths: [UInt8]?

  package init(name: [UInt8], value: [UInt8]? = nil, paths: [UInt8]? = nil) {
    self.name = name
    self.value = value
    self.paths = paths
  }
}

/// The value of a put as stored: a missing field is not the same as 0.
package struct StatMessage: Hashable {
  package var mode: UInt32
  package var uid: UInt32?
  package var gid: UInt32?
  package var size: UInt64?
  package var blocks: UInt64?
  package var offset: UInt64?
  package var byteOffset: UInt64?
  package var mtime: UInt64?
  package var ctime: UInt64?

  package init(mode: UInt32) { self.mode = mode }

  /// Makes the stat of a file, with all nine fields, as the reference writes it.
  package init(file stat: FileStat) {
    mode = stat.mode
    uid = stat.uid
    gid = stat.gid
    size = stat.size
    blocks = stat.blocks
    offset = stat.offset
    byteOffset = stat.byteOffset
    mtime = stat.mtime
    ctime = stat.ctime
  }

  /// Makes the stat of a folder: sizes are left out, and owners if none were given.
  package init(directory stat: FileStat) {
    self.init(file: stat)
    size = nil
    blocks = nil
    uid = stat.uid == 0 ? nil : stat.uid
    gid = stat.gid == 0 ? nil : stat.gid
  }

  /// The stat with 0 for missing fields.
  package var stat: FileStat {
    FileStat(
      mode: mode, uid: uid ?? 0, gid: gid ?? 0, size: size ?? 0, blocks: blocks ?? 0,
      offset: offset ?? 0, byteOffset: byteOffset ?? 0, mtime: mtime ?? 0, ctime: ctime ?? 0)
  }
}

/// Block 0 of the metadata feed.
package struct ArchiveHeader: Hashable {
  /// `hyperdrive` in an archive of this kind.
  package var type: [UInt8]
  /// The content feed's key; 32 bytes if it is sound.
  package var content: [UInt8]?

  package init(type: [UInt8] = Array("hyperdrive".utf8), content: [UInt8]?) {
    self.type = type
    self.content = content
  }
}

/// The fields of a message, counted before anything is allocated for them.
struct FieldCount {
  private(set) var count = 0

  /// Nil for bytes that are not a protobuf message, that have more fields than any writer makes, or a known field
  /// (up to `known`) of another kind than `kind`.
  init?(_ bytes: UnsafeRawBufferPointer, known: UInt64, kind: UInt64) {
    var position = 0
    while position < bytes.count {
      guard let tag = Self.varint(bytes, &position), tag >> 3 != 0 else { return nil }
      count += 1
      guard count <= ArchiveLimits.fields else { return nil }
      if tag >> 3 <= known, tag & 7 != kind { return nil }
      switch tag & 7 {
      case 0:
        guard Self.varint(bytes, &position) != nil else { return nil }
      case 1:
        guard bytes.count - position >= 8 else { return nil }
        position += 8
      case 2:
        guard let length = Self.varint(bytes, &position),
          length <= UInt64(bytes.count - position)
        else { return nil }
        position += Int(length)
      case 5:
        guard bytes.count - position >= 4 else { return nil }
        position += 4
      default: return nil
      }
    }
  }

  private static func varint(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> UInt64? {
    guard
      case .value(let value, let length) = Varint.read(
        UnsafeRawBufferPointer(rebasing: bytes[position...]))
    else { return nil }
    position += length
    return value
  }
}
