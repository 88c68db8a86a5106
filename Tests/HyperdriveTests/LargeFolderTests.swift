import Hyperdrive
import Testing

/// Folders whose entries are more than the cache holds.
struct LargeFolderTests {
  /// Entries that are here only once they have been asked for.
  private final class SlowMetadata: MetadataSource {
    let blocks: [[UInt8]]
    var stored: Set<UInt64> = [0]
    var reads = 0

    init(_ blocks: [[UInt8]]) { self.blocks = blocks }

    var length: UInt64 { UInt64(blocks.count) }

    func block(at seq: UInt64) -> [UInt8]? {
      guard stored.contains(seq) else { return nil }
      reads += 1
      return blocks[Int(seq)]
    }
  }

  /// A read of a folder with many files: a name to look for, that of the oldest entry or of none; nil to list it.
  @Test(arguments: ["/", "/sub/"], [nil, "0.txt", ""] as [String?])
  func `a read that waits for entries decodes each of them once`(folder: String, name: String?)
    throws
  {
    let count = 300
    let made = MemoryMetadata([
      ArchiveMessageCodec().encode(ArchiveHeader(content: [UInt8](repeating: 1, count: 32)))
    ])
    let writer = ArchiveTree(made)
    for number in 0..<count {
      let path = ArchivePath("\(folder)\(number).txt")
      made.blocks.append(try writer.block(putting: path, StatMessage(mode: FileStat.fileBits)))
    }
    let source = SlowMetadata(made.blocks.compactMap { $0 })
    let tree = ArchiveTree(source, cacheBytes: 4096)
    var rounds = 0
    while true {
      do {
        let head = try tree.head(tree.version)
        if let name {
          _ = try tree.stat(ArchivePath(folder + name), from: head)
        } else {
          #expect(try tree.names(in: ArchivePath(folder), from: head).count == count)
        }
        break
      } catch let missing as MissingEntries {
        rounds += 1
        // In the order in which they are looked at.
        let seqs = name == nil ? missing.seqs.prefix(20) : missing.seqs.suffix(20)
        source.stored.formUnion(seqs)
      }
    }
    #expect(rounds > count / 20)
    // Besides, each round reads the newest entry: once for the cache that it has left, and for its index.
    // A folder without an entry of its own is searched for one, and then for any entry in it.
    let looks = folder == "/sub/" && name == "" ? 2 : 1
    #expect(source.reads <= looks * count + 3 * rounds, "\(source.reads) reads in \(rounds) rounds")
  }
}
