/// One change of an archive: a file or folder put, or one removed.
public struct ArchiveEntry: Hashable, Sendable {
  /// Its block in the metadata feed, which is the version that it made.
  public let seq: UInt64
  /// The file or folder. Foreign: escape it before a terminal shows it.
  public let path: ArchivePath
  /// What was put; nil for a deletion.
  public let stat: FileStat?

  package init(seq: UInt64, path: ArchivePath, stat: FileStat?) {
    self.seq = seq
    self.path = path
    self.stat = stat
  }

  /// Whether it removes its path.
  public var isDeletion: Bool { stat == nil }
}

/// A decoded block of the metadata feed.
package final class ArchiveNode {
  package let entry: ArchiveEntry
  /// Its index where that is kept with it; ``ArchiveTree/index(of:)`` gives it in any case.
  let keptIndex: EntryIndex?

  package init(_ entry: ArchiveEntry, index: EntryIndex?) {
    self.entry = entry
    keptIndex = index
  }

  package var seq: UInt64 { entry.seq }
  package var path: ArchivePath { entry.path }
  package var isPut: Bool { entry.stat != nil }
  /// About how much memory it takes: two arrays with their headers, and the object.
  var byteCount: Int { 256 + path.bytes.count + (keptIndex?.bytes.count ?? 0) }
}

/// A metadata feed as the tree needs it: blocks that are here. Synchronous.
package protocol MetadataSource: AnyObject {
  /// The verified length in blocks.
  var length: UInt64 { get }
  /// A block; nil where it is not stored here.
  func block(at seq: UInt64) throws -> [UInt8]?
}

/// A walk met entries that are not stored here. Whoever runs it waits for them and runs it again: what was
/// decoded until then is kept.
package struct MissingEntries: Error, Hashable {
  /// The blocks of the metadata feed that are needed.
  package let seqs: [UInt64]
}
