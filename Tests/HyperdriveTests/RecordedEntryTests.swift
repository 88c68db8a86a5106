import DatTesting
import Foundation
import Hyperdrive
import Testing

/// Entries that hyperdrive 9.16.0 wrote, read and written again.
@Suite struct RecordedEntryTests {
  private let codec = ArchiveMessageCodec()

  @Test func `there are archives to compare with`() { #expect(RecordedArchive.all.count >= 2) }

  @Test(arguments: RecordedArchive.all)
  func `every block is read as the reference reads it and written again byte for byte`(
    _ archive: RecordedArchive
  ) throws {
    for recorded in archive.entries {
      guard let raw = recorded.raw.map({ [UInt8](hex: $0) }) else { continue }
      if recorded.seq == 0 {
        let header = try #require(codec.decodeHeader(raw))
        #expect(header.type == Array("hyperdrive".utf8))
        #expect(header.content == recorded.content.map { [UInt8](hex: $0) })
        #expect(codec.encode(header) == raw)
        continue
      }
      let message = try #require(codec.decode(raw))
      #expect(message.name == recorded.name.map { Array($0.utf8) })
      let stat = try message.value.map { try #require(codec.decodeStat($0)) }
      #expect(stat?.stat == recorded.stat?.value)
      let index = try #require(EntryIndex(message.paths ?? [], of: recorded.seq))
      #expect(index.lists == recorded.index)
      var again = message
      again.value = stat.map { codec.encode($0) }
      #expect(codec.encode(again) == raw)
      if let stat {
        #expect(
          stat
            == (stat.size == nil ? StatMessage(directory: stat.stat) : StatMessage(file: stat.stat))
        )
      }
    }
  }

  @Test(arguments: RecordedArchive.whole)
  func `every put and deletion is made again from what was before it`(_ archive: RecordedArchive)
    throws
  {
    let source = MemoryMetadata([])
    let tree = ArchiveTree(source)
    let rule = ReferenceDeletion(tree)
    for block in archive.blocks {
      let block = try #require(block)
      if !source.blocks.isEmpty {
        let message = try #require(codec.decode(block))
        let path = ArchivePath(stored: message.name)
        let head = try tree.head(tree.version)
        let index =
          message.value == nil
          ? try rule.index(of: path, at: tree.version + 1, from: head)
          : try tree.indexForPut(path, from: head)
        #expect(index == message.paths)
      }
      source.blocks.append(block)
    }
  }

  @Test func `given names are stored as the reference stores them`() throws {
    for archive in RecordedArchive.all {
      for name in archive.names ?? [] {
        #expect(ArchivePath(name.given).stored == Array(name.stored.utf8), "\(name)")
      }
    }
  }
}

/// The rule by which append-tree 2.4.4 removes, and by which the fixtures' entries were made.
struct ReferenceDeletion {
  let tree: ArchiveTree

  init(_ tree: ArchiveTree) { self.tree = tree }

  func index(of path: ArchivePath, at seq: UInt64, from head: ArchiveNode?) throws -> [UInt8] {
    var near: ArchiveNode?
    for depth in stride(from: path.count, through: 0, by: -1) where near == nil {
      near = try tree.branches(of: path.prefix(depth), from: head)
        .last { $0.path != path && $0.isPut }
    }
    let depth = (near?.path.common(path) ?? 0) + 1
    var lists: [[UInt64]] = []
    for level in 0..<min(depth, path.count + 1) {
      var list = try tree.branches(of: path.prefix(level), from: head)
        .filter { $0.path.component(level) != path.component(level) && $0.path != path }.map(\.seq)
      if level + 1 < depth { list.append(seq) }
      lists.append(list)
    }
    let isPut = !lists.isEmpty && lists.allSatisfy { $0.last == seq }
    if isPut { lists = lists.map { $0.dropLast() } }
    return EntryIndex.encode(lists, omittingOwner: isPut)
  }
}
