/// The metadata of a file or folder in an archive.
///
/// Stands for the reference's `Stat`. The archive's owner wrote every number, so any may be false; reads by
/// them are checked against the content feed.
public struct FileStat: Hashable, Sendable {
  /// The kind of an entry.
  public enum Kind: Hashable, Sendable {
    /// A file.
    case file
    /// A folder that has an entry of its own.
    case directory
    /// Something that has no use in archives, such as a link or a device.
    case other
  }

  /// Kind and permissions, as in POSIX `st_mode`.
  public var mode: UInt32
  /// The number of the owner at the file's origin; most often 0.
  public var uid: UInt32
  /// The number of the group at the file's origin; most often 0.
  public var gid: UInt32
  /// The size in bytes.
  public var size: UInt64
  /// The number of its blocks in the content feed.
  public var blocks: UInt64
  /// Its first block in the content feed.
  public var offset: UInt64
  /// Its first byte in the content feed.
  public var byteOffset: UInt64
  /// The time of the last change, in milliseconds since 1970.
  public var mtime: UInt64
  /// The time of creation or change, in milliseconds since 1970.
  public var ctime: UInt64

  /// The kind's bits in ``mode``.
  package static let kindMask: UInt32 = 0o170000
  package static let fileBits: UInt32 = 0o100000
  package static let directoryBits: UInt32 = 0o040000

  /// Makes a stat of these numbers.
  public init(
    mode: UInt32, uid: UInt32 = 0, gid: UInt32 = 0, size: UInt64 = 0, blocks: UInt64 = 0,
    offset: UInt64 = 0, byteOffset: UInt64 = 0, mtime: UInt64 = 0, ctime: UInt64 = 0
  ) {
    self.mode = mode
    self.uid = uid
    self.gid = gid
    self.size = size
    self.blocks = blocks
    self.offset = offset
    self.byteOffset = byteOffset
    self.mtime = mtime
    self.ctime = ctime
  }

  /// The stat of a folder without an entry of its own.
  public static let folder = FileStat(mode: directoryBits | 0o755)

  /// File, folder, or neither.
  public var kind: Kind {
    switch mode & Self.kindMask {
    case Self.fileBits: .file
    case Self.directoryBits: .directory
    default: .other
    }
  }

  /// The rights to read, write and run it, without bits that would give another user's rights.
  public var permissions: UInt32 { mode & 0o777 }

  /// The blocks of the content feed that it claims; nil if there can't be so many.
  public var blockRange: Range<UInt64>? {
    let (end, isTooLarge) = offset.addingReportingOverflow(blocks)
    return isTooLarge || end > ArchiveLimits.integer ? nil : offset..<end
  }

  /// The bytes of the content feed that it claims; nil if there can't be so many.
  public var byteRange: Range<UInt64>? {
    let (end, isTooLarge) = byteOffset.addingReportingOverflow(size)
    return isTooLarge || end > ArchiveLimits.integer ? nil : byteOffset..<end
  }
}
