import DatCoding
import DatTesting
import Foundation
import Hyperdrive
import Testing

/// Entries that the writer of an archive may sign, and their required effect.
@Suite struct HostileEntryTests {
  private let codec = ArchiveMessageCodec()
  private static let file = ArchiveMessageCodec().encode(StatMessage(mode: FileStat.fileBits))

  private func tree(_ entries: [(String, [UInt8])]) -> ArchiveTree {
    let header = codec.encode(ArchiveHeader(content: [UInt8](repeating: 1, count: 32)))
    let blocks = entries.map {
      codec.encode(ArchiveMessage(name: Array($0.utf8), value: Self.file, paths: $1))
    }
    return ArchiveTree(MemoryMetadata([header] + blocks))
  }

  private static func index(_ lists: [[UInt64]]) -> [UInt8] {
    EntryIndex.encode(lists, omittingOwner: false)
  }

  @Test func `an index that names entries that are not before its own is damage`() {
    #expect(EntryIndex(Self.index([[5]]), of: 4) == nil)
    #expect(EntryIndex(Self.index([[4]]), of: 4)?.lists == [[4]])
    #expect(EntryIndex([1, 1, 4], of: 4) == nil, "the own seq is left out already")
    #expect(EntryIndex(Self.index([[0]]), of: 4) == nil, "the header is no entry")
    #expect(EntryIndex([0, 2, 2, 0], of: 4) == nil, "not ascending")
    let large: UInt64 = (1 << 63) - 1
    for count: UInt64 in [3, 1 << 32, 1 << 50, large] {
      #expect(EntryIndex([0] + Raw.varint(count) + [1, 1], of: 4) == nil, "a count of \(count)")
    }
    for step: UInt64 in [1 << 50, large] {
      #expect(EntryIndex([0, 2, 1] + Raw.varint(step), of: 4) == nil)
    }
    #expect(EntryIndex([0x80], of: 4) == nil && EntryIndex([0, 0x80], of: 4) == nil)
    #expect(EntryIndex([UInt8](repeating: 0xff, count: 30), of: 4) == nil)
    #expect(EntryIndex([0] + [UInt8](repeating: 0, count: 1_000_000), of: 4)?.count == 1_000_000)
    #expect(EntryIndex([], of: 4)?.lists == [])
  }

  @Test func `an index that leads out of its branch or back ends the walk`() throws {
    // Every entry names others in place of branches that they are not in.
    let tree = tree([
      ("/a/b", Self.index([[1], [1], [1]])), ("/a/c", Self.index([[1, 2], [1, 2], [1, 2]])),
      ("/x/y", Self.index([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]])),
      ("/a/b/c/d", Self.index([[1, 2, 3], [1, 2, 3], [3], [3], [3]])),
    ])
    for version in 0...tree.version {
      let files = try tree.files(version)
      #expect(files.count <= Int(version))
      #expect(Set(files).count == files.count)
      let head = try tree.head(version)
      for path: ArchivePath in ["/a/b", "/x", "/x/y/z", "/a/b/c/d", "/q", "/"] {
        _ = try tree.get(path, from: head)
        _ = try? tree.stat(path, from: head)
      }
      #expect(try tree.diff(from: 0, to: version).count == files.count)
    }
  }

  @Test func `random indexes are read in bounded steps`() throws {
    for seed in testSeeds(standard: 200) {
      var random = SeededRandom(seed: seed)
      var entries: [(String, [UInt8])] = []
      for seq in 1...UInt64(12) {
        let depth = Int.random(in: 0...4, using: &random)
        let name = (0..<depth).map { _ in "/" + ["a", "b", "", ".."].randomElement(using: &random)!
        }
        let lists = (0...depth + 1).map { _ in
          (1...seq).filter { _ in random.chance(0.5) }
        }
        entries.append((name.joined(), Self.index(lists)))
      }
      let tree = tree(entries)
      let files = try tree.files(tree.version)
      #expect(Set(files.map(\.path)).count == files.count, "seed \(seed)")
      _ = try tree.diff(from: 3, to: tree.version)
      _ = try tree.indexForPut("/a/b/c", from: try tree.head(tree.version))
      _ = try tree.indexForDeletion("/a", at: 13, from: try tree.head(tree.version))
    }
  }

  @Test func `blocks that are no entries are left out, and the rest of the archive goes on`() throws
  {
    let sound = tree([("/a", Self.index([[1], [1]])), ("/b", Self.index([[1, 2], [2]]))])
    let source = try #require(sound.source as? MemoryMetadata)
    let bad: [[UInt8]] = [
      [], [0xff], [0x0a, 0x05, 0x61], Raw.field(2, Self.file), Raw.field(1, [0x61]) + [0x10, 1],
      Raw.field(1, [0x61]) + Raw.field(2, [0x10, 0]), Raw.field(1, [0x61]) + Raw.field(3, [0, 9]),
      Raw.field(1, [UInt8](repeating: 0x61, count: 70_000)),
      Raw.field(1, [UInt8](repeating: 0x2f, count: 5000)),
      Raw.field(1, [0x61]) + (0..<100).flatMap { _ in Raw.field(9, []) },
    ]
    for block in bad {
      source.blocks[1] = block
      let tree = ArchiveTree(source)
      #expect(try tree.files(2).map(\.path) == ["/b"])
      #expect(tree.issues[1]?.code == .damagedEntry)
      #expect(try tree.files(1) == [])
    }
  }

  @Test func `unknown fields are passed over, and the last of a field counts`() throws {
    let block =
      Raw.field(1, [0x61]) + Raw.field(1, Array("/b".utf8)) + Raw.field(9, [1, 2]) + [0x50, 1]
      + Raw.field(2, Self.file)
    let message = try #require(codec.decode(block))
    #expect(message.name == Array("/b".utf8) && message.value == Self.file)
  }

  @Test func `numbers of a stat that are too large are shown and give no range`() throws {
    var stat = StatMessage(mode: 0o104777)
    (stat.size, stat.blocks, stat.offset, stat.byteOffset) = (1 << 60, 1 << 60, .max, .max - 3)
    (stat.mtime, stat.ctime) = (.max, 1 << 62)
    let read = try #require(codec.decodeStat(codec.encode(stat))).stat
    #expect(read.size == 1 << 60 && read.mtime == .max)
    #expect(read.byteRange == nil && read.blockRange == nil)
    #expect(read.permissions == 0o777, "no bit that gives another's rights")
    #expect(codec.decodeStat([0x10, 0]) == nil, "a stat without a mode")
    #expect(FileStat(mode: 0o120777).kind == .other && FileStat(mode: 0o140777).kind == .other)
  }

  @Test func `names of the worst kind are listed as they are`() throws {
    let names = [
      "..", "/../x", "a//b", "/a/./b", "\\x", "/nul\0", "/", "", "//", "/CON", "/a:b", "/\u{1b}[2J",
      "/\u{202e}gnp",
    ]
    for name in names {
      let tree = tree([(name, EntryIndex.encode([[], [], [], [], []], omittingOwner: true))])
      let files = try tree.files(1)
      #expect(files.count == 1 && files[0].path == ArchivePath(stored: Array(name.utf8)), "\(name)")
    }
  }

  @Test func `nothing is written after an entry that can't be read`() throws {
    let tree = tree([("/a", Self.index([[1], [1]]))])
    let source = try #require(tree.source as? MemoryMetadata)
    source.blocks.append([0xff])
    let error = #expect(throws: ArchiveError.self) {
      try tree.block(putting: "/b", StatMessage(mode: FileStat.fileBits))
    }
    #expect(error?.code == .damagedEntry)
  }
}
