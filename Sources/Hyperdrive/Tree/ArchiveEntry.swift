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
  /// Its index, if that is kept with it; ``ArchiveTree/index(of:)`` returns it in any case.
  let keptIndex: EntryIndex?

  package init(_ entry: ArchiveEntry, index: EntryIndex?) {
    self.entry = entry
    keptIndex = index
  }

  package var seq: UInt64 { entry.seq }
  package var path: ArchivePath { entry.path }
  package var isPut: Bool { entry.stat != nil }
  /// The same node with an equal path in place of its own, so that both are one in memory.
  func sharing(_ path: ArchivePath) -> ArchiveNode {
    ArchiveNode(ArchiveEntry(seq: seq, path: path, stat: entry.stat), index: keptIndex)
  }

  /// The approximate memory of the entry: two arrays with their headers, and the object.
  var byteCount: Int { 256 + path.bytes.count + (keptIndex?.bytes.count ?? 0) }
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
