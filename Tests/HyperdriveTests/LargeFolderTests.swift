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

  /// The name that is looked for is that of the oldest entry; nil for a listing.
  @Test(arguments: [nil, "/0.txt", "/"])
  func `a read that waits for entries decodes each of them once`(path: String?) throws {
    let count = 300
    let made = MemoryMetadata([
      ArchiveMessageCodec().encode(ArchiveHeader(content: [UInt8](repeating: 1, count: 32)))
    ])
    let writer = ArchiveTree(made)
    for number in 0..<count {
      let path = ArchivePath("\(number).txt")
      made.blocks.append(try writer.block(putting: path, StatMessage(mode: FileStat.fileBits)))
    }
    let source = SlowMetadata(made.blocks.compactMap { $0 })
    let tree = ArchiveTree(source, cacheBytes: 4096)
    var rounds = 0
    while true {
      do {
        let head = try tree.head(tree.version)
        if let path {
          _ = try tree.stat(ArchivePath(path), from: head)
        } else {
          #expect(try tree.names(in: .root, from: head).count == count)
        }
        break
      } catch let missing as MissingEntries {
        rounds += 1
        // In the order in which they are looked at.
        let seqs = path == nil ? missing.seqs.prefix(20) : missing.seqs.suffix(20)
        source.stored.formUnion(seqs)
      }
    }
    #expect(rounds > count / 20)
    // Besides, each round reads the newest entry: once for the cache that it has left, and for its index.
    #expect(source.reads <= count + 3 * rounds, "\(source.reads) reads in \(rounds) rounds")
  }
}
