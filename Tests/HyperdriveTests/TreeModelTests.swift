import DatTesting
import Foundation
import Hyperdrive
import Testing

/// Random histories beside a dictionary.
@Suite struct TreeModelTests {
  private static func path(_ random: inout SeededRandom) -> ArchivePath {
    let names = ["a", "b", "c", "dd"]
    let depth = Int.random(in: 1...4, using: &random)
    return ArchivePath(
      components: (0..<depth).map { _ in Array(names.randomElement(using: &random)!.utf8) })
  }

  @Test(arguments: testSeeds(standard: 60))
  func `nothing is lost and nothing comes back, whatever is put and removed`(_ seed: UInt64) throws
  {
    var random = SeededRandom(seed: seed)
    let header = ArchiveMessageCodec().encode(
      ArchiveHeader(content: [UInt8](repeating: 1, count: 32)))
    let source = MemoryMetadata([header])
    let tree = ArchiveTree(source, cacheBytes: seed % 2 == 0 ? 4096 : 1 << 20)
    var model: [ArchivePath: UInt64] = [:]
    var states: [[ArchivePath: UInt64]] = [model]
    for _ in 0..<60 {
      let path = Self.path(&random)
      if random.chance(0.6) {
        source.blocks.append(try tree.block(putting: path, StatMessage(mode: FileStat.fileBits)))
        model[path] = tree.version
      } else {
        let target =
          random.chance(0.7) ? model.keys.sorted().randomElement(using: &random) ?? path : path
        source.blocks.append(try tree.block(removing: target))
        model[target] = nil
      }
      states.append(model)
    }
    for (version, state) in states.enumerated() {
      let files = try tree.files(UInt64(version))
      #expect(
        Dictionary(uniqueKeysWithValues: files.map { ($0.path, $0.seq) }) == state,
        "seed \(seed), version \(version)")
      #expect(files.map(\.path) == state.keys.sorted())
      let head = try tree.head(UInt64(version))
      for (path, seq) in state { #expect(try tree.put(path, from: head)?.seq == seq) }
      let probe = Self.path(&random)
      #expect(try tree.put(probe, from: head)?.seq == state[probe])
    }
  }

  @Test(arguments: testSeeds(standard: 40))
  func `puts have the index that a listing of every folder on the way gives`(_ seed: UInt64) throws
  {
    var random = SeededRandom(seed: seed)
    let source = MemoryMetadata([[]])
    let tree = ArchiveTree(source)
    let rule = ReferenceDeletion(tree)
    let codec = ArchiveMessageCodec()
    for _ in 0..<50 {
      let path = Self.path(&random)
      let head = try tree.head(tree.version)
      let own = tree.version + 1
      if random.chance(0.7) {
        let lists = try (0...path.count).map { depth in
          try tree.branches(of: path.prefix(depth), from: head)
            .filter { $0.path.component(depth) != path.component(depth) }.map(\.seq)
        }
        let index = try tree.indexForPut(path, from: head)
        #expect(
          index == EntryIndex.encode(lists, omittingOwner: true), "seed \(seed), entry \(own)")
        source.blocks.append(try tree.block(putting: path, StatMessage(mode: FileStat.fileBits)))
      } else {
        // As the reference removes, which leaves odder indexes than this side's rule.
        let index = try rule.index(of: path, at: own, from: head)
        source.blocks.append(codec.encode(ArchiveMessage(name: path.stored, paths: index)))
      }
    }
  }

  @Test func `paths are split, joined and compared by their bytes`() {
    #expect(ArchivePath("a/./b/../c//d\\e/").stored == Array("/a/c/d/e".utf8))
    #expect(ArchivePath("../..").stored == Array("/".utf8))
    #expect(ArchivePath("").count == 0)
    #expect(ArchivePath("/é") != ArchivePath("/e\u{301}"))
    let odd = ArchivePath(stored: Array("//a/".utf8))
    #expect(odd.count == 2 && odd.components.map(Array.init) == [[], Array("a".utf8)])
    #expect(ArchivePath("/a/b").common("/a/bc") == 1)
    #expect(ArchivePath("/a/b").common("/a/b/c") == 2)
    #expect(ArchivePath("/ab").common("/a") == 0)
    #expect(ArchivePath.root.common("/a") == 0)
    #expect(ArchivePath("/a/b/c").prefix(2) == "/a/b" && ArchivePath("/a/b/c").parent == "/a/b")
    #expect(ArchivePath("/a/b").isWithin("/a") && !ArchivePath("/ab").isWithin("/a"))
    #expect(ArchivePath("/a/b").isWithin(.root) && ArchivePath.root.isWithin(.root))
    #expect(ArchivePath("/a/b/c").component(1).map(Array.init) == Array("b".utf8))
    #expect(
      ["/b", "/a!", "/a/z", "/a"].map { ArchivePath($0) }.sorted() == ["/a", "/a/z", "/a!", "/b"])
  }
}
