import DatCoding
import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Hyperdrive
import Testing

/// The state that the reference recorded of both feeds, of the disk, and of what its imports did.
@Suite(.timeLimit(.minutes(2))) struct RecordedStateTests {
  static let stored = RecordedArchive.all.filter { $0.dir != nil }

  private func open(_ recorded: RecordedArchive) async throws -> (Archive, Any) {
    if recorded.layout != nil {
      let copy = try CopiedWorkFolder(recorded)
      return (try await copy.open(), copy)
    }
    let folder = try TemporaryFolder(copyOf: "archives/\(recorded.dir ?? "")")
    return (try await Archive.open(folder: folder.path), folder)
  }

  @Test(arguments: stored)
  func `keys, lengths and stored blocks of both feeds are those that the reference had`(
    _ recorded: RecordedArchive
  ) async throws {
    let (archive, folder) = try await open(recorded)
    #expect(archive.discoveryKey.hex == recorded.discoveryKey)
    #expect(await archive.secretKey?.hex == recorded.secretKey)
    let content = try #require(await archive.content)
    #expect(content.key?.discoveryKey.hex == recorded.content.discoveryKey)
    for (feed, state) in [(archive.metadata, recorded.metadata), (content, recorded.content)] {
      #expect(await feed.length == state.length)
      #expect(await feed.byteLength == state.byteLength)
      let bits = state.stored.map { $0[0]..<$0[1] }
      for index in 0..<state.length {
        #expect(
          await feed.has(index..<(index + 1)) == bits.contains { $0.contains(index) }, "\(index)")
      }
    }
    try await archive.close()
    withExtendedLifetime(folder) {}
  }

  @Test(arguments: stored)
  func `as many blocks of each entry are here as the reference had, of the recorded sizes`(
    _ recorded: RecordedArchive
  ) async throws {
    let (archive, folder) = try await open(recorded)
    let content = try #require(await archive.content)
    let damaged = Set(recorded.content.damaged ?? [])
    let current = Set((recorded.files ?? []).map(\.seq))
    for entry in recorded.entries {
      guard let stat = entry.stat?.value, stat.kind == .file, let range = stat.blockRange else {
        continue
      }
      if let count = entry.blocksStored {
        #expect(await content.downloaded(in: range) == count, "entry \(entry.seq)")
      }
      // In a folder with the files the bytes of what was replaced are nowhere, whatever the record says.
      if recorded.layout != nil, !current.contains(entry.seq) { continue }
      for (index, size) in zip(range, entry.blockSizes ?? []) where !damaged.contains(index) {
        guard await content.has(index..<(index + 1)) else { continue }
        #expect(try await content.get(index).count == Int(size), "block \(index)")
      }
    }
    try await archive.close()
    withExtendedLifetime(folder) {}
  }

  @Test(arguments: stored.filter { $0.replicaOf != nil })
  func `what a replica read while it was connected it reads from its folder`(
    _ recorded: RecordedArchive
  ) async throws {
    let (archive, folder) = try await open(recorded)
    let origin = try #require(RecordedArchive.all.first { $0.name == recorded.replicaOf })
    #expect(archive.key.hex == origin.key)
    let here = ArchiveReadOptions(wait: false)
    for name in recorded.read ?? [] {
      let bytes = try await archive.read(ArchivePath(recorded: name), options: here).collect()
      let seq = try #require(origin.files?.first { $0.path == name }?.seq)
      #expect(sha256(bytes) == origin.entries.first { $0.seq == seq }?.sha256)
    }
    let missing = origin.files?.first {
      $0.stat.size > 0 && !(recorded.read ?? []).contains($0.path)
    }
    let path = ArchivePath(recorded: try #require(missing).path)
    await #expect(throws: ArchiveError.self) {
      try await archive.read(path, options: here).collect()
    }
    if let visited = recorded.visited {
      var seen: [UInt64] = []
      let tree = recorded.tree()
      _ = try tree.get(
        ArchivePath(recorded: recorded.read?.first ?? ""), from: tree.head(recorded.version)
      ) { seen.append($0) }
      #expect(seen == visited)
    }
    try await archive.close()
    withExtendedLifetime(folder) {}
  }

  @Test(arguments: stored.filter { $0.layout != nil })
  func `the files on the disk are as they were recorded`(_ recorded: RecordedArchive) throws {
    let copy = try CopiedWorkFolder(recorded)
    let contents = try copy.contents()
    let onDisk = try #require(recorded.onDisk)
    #expect(Set(contents.keys).subtracting(onDisk.map(\.path)) == [])
    for file in onDisk {
      let bytes = try #require(contents[file.path], "\(file.path)")
      #expect(bytes.count == file.size)
      #expect(file.sha256.map { sha256(Array(bytes)) == $0 } ?? true, "\(file.path)")
    }
    if let latest = recorded.latest {
      #expect(Hex.encode(Array(try #require(contents[".dat/metadata.latest"]))) == latest)
      #expect(UInt64(latest, radix: 16) == recorded.version)
    }
  }

  /// The recorded folder again: the same files with other bytes, changed in the same way.
  @Test(arguments: stored.filter { $0.imports != nil })
  func `imports put, remove and leave the files that the reference's did`(
    _ recorded: RecordedArchive
  ) async throws {
    let world = try TemporaryFolder()
    let site = world.url.appendingPathComponent("site")
    try FileManager.default.createDirectory(at: site, withIntermediateDirectories: true)
    let archive = try await Archive.open(workFolder: site.path, secretKeys: world.path + "/keys")
    try Data("hidden".utf8).write(to: site.appendingPathComponent(".hidden"))
    for (turn, recordedImport) in (recorded.imports ?? []).enumerated() {
      let paths = Dictionary(grouping: recordedImport.events) { $0[0] }
        .mapValues { Set($0.map { $0[1] }) }
      for name in paths["del"] ?? [] {
        try FileManager.default.removeItem(at: site.appendingPathComponent(name))
      }
      for name in paths["put"] ?? [] {
        let url = site.appendingPathComponent(name)
        try FileManager.default.createDirectory(
          at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        // One block each, of which the recorded ones have more where their size says so.
        let text = name == "/empty" ? "" : "\(name), changed for the import \(turn)"
        try Data(text.utf8).write(to: url)
      }
      let before = await archive.version
      let report = try await archive.importFolder()
      #expect(await archive.version == recordedImport.version)
      var changes: [String: Set<String>] = [:]
      for try await entry in archive.history(before + 1..<recordedImport.version + 1) {
        changes[entry.isDeletion ? "del" : "put", default: []].insert(entry.path.description)
      }
      #expect(changes["put"] == paths["put"])
      #expect(changes["del"] == paths["del"])
      #expect(report.progress.unchanged == UInt64(paths["skip"]?.count ?? 0))
      #expect(
        Set(report.leftOut.map(\.path.description))
          == Set((paths["ignore"] ?? []).filter { $0 == "/.dat" || $0 == "/.hidden" }))
    }
    try await archive.close()
  }
}
