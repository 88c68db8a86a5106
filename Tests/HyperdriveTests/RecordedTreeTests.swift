import DatTesting
import Foundation
import Hyperdrive
import Testing

/// Look-ups, listings, versions and differences as the reference recorded them.
@Suite struct RecordedTreeTests {
  @Test(arguments: RecordedArchive.whole)
  func `look-ups visit the entries that the reference visits and find what it finds`(
    _ archive: RecordedArchive
  ) throws {
    let tree = archive.tree()
    #expect(tree.version == archive.version)
    let head = try tree.head(archive.version)
    for lookup in archive.lookups ?? [] {
      let path = ArchivePath(recorded: lookup.path)
      var visited: [UInt64] = []
      let found = try tree.get(path, from: head) { visited.append($0) }
      #expect(visited == lookup.visited, "\(lookup.path)")
      #expect(found?.seq == lookup.seq, "\(lookup.path)")
      #expect(found.map { $0.isPut ? "put" : "del" } == lookup.change)
      #expect((try? tree.stat(path, from: head)) == lookup.stat?.value, "\(lookup.path)")
      let names = try? tree.names(in: path, from: head)
      #expect(names == lookup.readdir.map { $0.map { Array($0.utf8) } }, "\(lookup.path)")
      if let message = lookup.statError {
        let error = #expect(throws: ArchiveError.self) { _ = try tree.stat(path, from: head) }
        #expect(error?.reason == message)
      }
      if let message = lookup.readdirError {
        let error = #expect(throws: ArchiveError.self) { _ = try tree.names(in: path, from: head) }
        #expect(error?.reason == message)
      }
    }
  }

  @Test(arguments: RecordedArchive.whole)
  func `folders and files are listed as the reference lists them, in every version`(
    _ archive: RecordedArchive
  ) throws {
    let tree = archive.tree()
    try expect(tree, archive.version, archive.directories ?? [:], at: archive)
    let files = try tree.files(archive.version).filter { $0.stat?.kind == .file }
    let recorded = (archive.files ?? []).map {
      ArchiveEntry(seq: $0.seq, path: ArchivePath(recorded: $0.path), stat: $0.stat.value)
    }
    .filter { $0.stat?.kind == .file }
    // The reference's walk shows no file with the name of the root.
    #expect(
      files.filter { $0.path.count > 0 }
        == recorded.filter { $0.path.count > 0 }.sorted { $0.path < $1.path })
    for version in archive.versions ?? [] {
      try expect(tree, version.version, version.directories, at: archive)
      let files = try tree.files(version.version).filter {
        $0.stat?.kind == .file && $0.path.count > 0
      }
      let recorded = Set(version.files.map { Array($0.path.utf8) + [0] + Array("\($0.seq)".utf8) })
      #expect(
        Set(files.map { $0.path.stored + [0] + Array("\($0.seq)".utf8) }) == recorded,
        "version \(version.version)")
    }
  }

  private func expect(
    _ tree: ArchiveTree, _ version: UInt64, _ directories: [String: [String]],
    at archive: RecordedArchive
  ) throws {
    let head = try tree.head(version)
    for (folder, names) in directories {
      let listed = try tree.names(in: ArchivePath(recorded: folder), from: head)
      #expect(listed == names.map { Array($0.utf8) }, "\(folder) in version \(version)")
    }
  }

  @Test(arguments: RecordedArchive.whole)
  func `the history is every entry in order`(_ archive: RecordedArchive) throws {
    let tree = archive.tree()
    for (index, recorded) in (archive.history ?? []).enumerated() {
      let node = try #require(try tree.node(UInt64(index + 1)))
      #expect(recorded[0] == .number(Double(node.seq)))
      #expect(recorded[1] == .string(node.isPut ? "put" : "del"))
      guard case .string(let name) = recorded[2] else { continue }
      #expect(Array(name.utf8) == node.path.stored)
    }
  }

  /// The reference is wrong if a file has files below its own name.
  @Test(arguments: RecordedArchive.whole)
  func `differences are those that the reference tells`(_ archive: RecordedArchive) throws {
    let tree = archive.tree()
    for diff in archive.diffs ?? [] {
      let paths = Set(try (tree.files(diff.from) + tree.files(diff.to)).map(\.path))
      let hasFilesBelowFiles = paths.contains { path in
        path.count > 0 && paths.contains { $0 != path && $0.isWithin(path) }
      }
      if hasFilesBelowFiles { continue }
      // The reference never reports a file with the name of the root.
      let changes = try tree.diff(from: diff.from, to: diff.to).filter { $0.entry.path.count > 0 }
        .map {
          RecordedArchive.Change(
            change: $0.kind == .put ? "put" : "del", path: $0.entry.path.description,
            seq: $0.entry.seq)
        }
      #expect(Set(changes) == Set(diff.changes), "\(diff.from) to \(diff.to)")
    }
  }

  @Test(arguments: RecordedArchive.whole)
  func `differences lead from every version to every other`(_ archive: RecordedArchive) throws {
    let tree = archive.tree()
    var random = SeededRandom(seed: 1)
    for _ in 0..<40 {
      let from = UInt64.random(in: 0...archive.version, using: &random)
      let to = UInt64.random(in: 0...archive.version, using: &random)
      var files = Set(try tree.files(from))
      for change in try tree.diff(from: from, to: to) {
        if change.kind == .deletion { #expect(files.remove(change.entry) != nil) }
        if change.kind == .put { #expect(files.insert(change.entry).inserted) }
      }
      #expect(files == Set(try tree.files(to)))
    }
  }
}
