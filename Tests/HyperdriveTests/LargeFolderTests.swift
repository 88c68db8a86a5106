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

  @Test func `a listing that waits for entries reads each of them once`() throws {
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
        #expect(try tree.names(in: .root, from: tree.head(tree.version)).count == count)
        break
      } catch let missing as MissingEntries {
        rounds += 1
        source.stored.formUnion(missing.seqs.prefix(20))
      }
    }
    #expect(rounds > count / 20)
    // Besides, each round reads the newest entry: once for the cache that it has left, and for its index.
    #expect(source.reads <= count + 3 * rounds, "\(source.reads) reads in \(rounds) rounds")
  }
}
