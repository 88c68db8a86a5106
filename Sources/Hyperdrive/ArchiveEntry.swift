/// One change of an archive: a put or a deletion of a file or folder.
public struct ArchiveEntry: Hashable, Sendable {
  /// Its block in the metadata feed, which is also the version that it made.
  public let seq: UInt64
  /// The file or folder. It is foreign: escape it before a terminal shows it.
  public let path: ArchivePath
  /// The stat of a put; nil for a deletion.
  public let stat: FileStat?

  package init(seq: UInt64, path: ArchivePath, stat: FileStat?) {
    self.seq = seq
    self.path = path
    self.stat = stat
  }

  /// True if it removes its path.
  public var isDeletion: Bool { stat == nil }
}

/// A decoded block of the metadata feed.
package final class ArchiveNode {
  package let entry: ArchiveEntry
  package let index: EntryIndex

  package init(_ entry: ArchiveEntry, index: EntryIndex) {
    self.entry = entry
    self.index = index
  }

  package var seq: UInt64 { entry.seq }
  package var path: ArchivePath { entry.path }
  package var isPut: Bool { entry.stat != nil }
  /// Returns the list for a depth, without the entry itself.
  func others(_ depth: Int) -> [UInt64] {
    guard var list = index.list(depth) else { return [] }
    if list.last == seq { list.removeLast() }
    return list
  }

  /// The approximate memory of the entry: two arrays with their headers, and the object.
  var byteCount: Int { 256 + path.bytes.count + index.bytes.count }
}

/// A metadata feed as the tree needs it: the blocks that are here. Synchronous.
package protocol MetadataSource: AnyObject {
  /// The verified length in blocks.
  var length: UInt64 { get }
  /// Returns a block; nil if it is not stored here.
  func block(at seq: UInt64) throws -> [UInt8]?
}

/// Thrown when a walk needs entries that are not stored here. The caller waits for them and runs it again:
/// what was decoded until then is cached.
package struct MissingEntries: Error, Hashable {
  /// The needed blocks of the metadata feed.
  package let seqs: [UInt64]
}
