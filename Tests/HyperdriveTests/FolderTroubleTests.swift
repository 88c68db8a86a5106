import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hyperdrive

extension Archive {
  fileprivate func fail(_ error: ArchiveError) { reconciliation.failure = error }
  fileprivate func noteEndOfPause() { contentChanged(.resumed) }
}

/// Folders on full disks, files that change while they are read, names that fold, and owners of one key.
@Suite(.timeLimit(.minutes(3))) struct FolderTroubleTests {
  let world: TemporaryFolder

  init() throws { world = try TemporaryFolder() }

  private func owner(_ name: String = "source") async throws -> Archive {
    let path = world.path + "/" + name
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return try await Archive.open(workFolder: path, secretKeys: world.path + "/secrets")
  }

  private func write(_ name: String, _ bytes: [UInt8]) throws {
    let url = world.url.appendingPathComponent("source/" + name)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
  }

  private func reader(of archive: Archive, in path: String) async throws -> Archive {
    try await Archive.open(
      workFolder: path, secretKeys: world.path + "/none",
      options: Archive.Options(key: archive.key))
  }

  private func untilVersion(_ version: UInt64, _ reader: Archive) async {
    var events = reader.events().makeAsyncIterator()
    while await reader.version < version { _ = await events.next() }
  }

  /// The files of a folder but for those of `.dat`.
  private func files(_ path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path)
    where name != ".dat" && !name.hasPrefix(".dat/") {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: path + "/" + name, isDirectory: &isFolder)
      if !isFolder.boolValue {
        files[name] = try Data(contentsOf: URL(fileURLWithPath: path + "/" + name))
      }
    }
    return files
  }

  // MARK: Full disks

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `a clone on a full disk says so, has no file in part, and goes on once there is room`()
    async throws
  {
    var random = SeededRandom(seed: 11)
    for number in 0..<40 { try write("\(number % 4)/\(number)", random.bytes(60_000)) }
    let owner = try await owner()
    _ = try await owner.importFolder()
    let version = await owner.version
    let disk = try SmallDisk(bytes: 4 << 20)
    try disk.fill(leaving: 1 << 20)
    let copy = disk.path + "/copy"
    let source = try files(world.path + "/source")
    do {
      let reader = try await reader(of: owner, in: copy)
      let connection = try await LiveConnection(owner, reader)
      let error = await #expect(throws: ArchiveError.self) { try await reader.untilComplete() }
      #expect(error?.code == .folder)
      #expect(error?.reason.contains("space") == true, "\(String(describing: error))")
      await connection.end()
      try? await reader.close()
    }
    for (name, bytes) in try files(copy) { #expect(bytes == source[name], "\(name)") }
    try disk.empty()
    let again = try await reader(of: owner, in: copy)
    let connection = try await LiveConnection(owner, again)
    await untilVersion(version, again)
    try await again.untilComplete()
    #expect(try files(copy) == source)
    await connection.end()
    try await again.close()
    try await owner.close()
  }

  @Test func `a failure in a folder lasts when a pause of the download ends`() async throws {
    let owner = try await owner()
    let reader = try await reader(of: owner, in: world.path + "/copy")
    #expect(await reader.folderFailure == nil)
    await reader.fail(ArchiveError(.feed, "Something of the record can't be written."))
    await reader.noteEndOfPause()
    #expect(await reader.folderFailure?.code == .feed)
    try await reader.close()
    try await owner.close()
  }

  @Test func `a clone that brings each block to the disk has every file`() async throws {
    var random = SeededRandom(seed: 12)
    for number in 0..<60 { try write("\(number % 3)/\(number)", random.bytes(number * 3000)) }
    let owner = try await owner()
    _ = try await owner.importFolder()
    var options = Archive.Options(key: owner.key)
    options.durability = .grouped(blocks: 7)
    let copy = world.path + "/copy"
    let reader = try await Archive.open(
      workFolder: copy, secretKeys: world.path + "/none", options: options)
    let connection = try await LiveConnection(owner, reader)
    await untilVersion(await owner.version, reader)
    try await reader.untilComplete()
    #expect(try files(copy) == files(world.path + "/source"))
    await connection.end()
    try await reader.close()
    try await owner.close()
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `an import on a full disk says so, and the next one goes on without a fork`() async throws {
    let disk = try SmallDisk(bytes: 3 << 20)
    let site = disk.path + "/site"
    try FileManager.default.createDirectory(atPath: site, withIntermediateDirectories: true)
    for number in 0..<400 {
      try Data("file \(number)".utf8).write(to: URL(fileURLWithPath: "\(site)/\(number)"))
    }
    func open() async throws -> Archive {
      try await Archive.open(workFolder: site, secretKeys: world.path + "/secrets")
    }
    let archive = try await open()
    let key = archive.key
    try disk.fill(leaving: 8192)
    await #expect(throws: (any Error).self) { _ = try await archive.importFolder() }
    try? await archive.close()
    try disk.empty()
    let again = try await open()
    #expect(again.key == key)
    #expect(await again.isWritable)
    _ = try await again.importFolder()
    #expect(await again.version == 400, "each file is put once")
    let copy = try await Archive.inMemory(options: Archive.Options(key: key))
    try await sync(again, copy)
    for number in [0, 7, 399] {
      let bytes = try await copy.read(ArchivePath("/\(number)")).collect()
      #expect(bytes == Array("file \(number)".utf8))
    }
    try await copy.close()
    try await again.close()
  }

  // MARK: Files that change while they are read

  @Test(arguments: [0, 1_000_000, 9_000_000, 20_000_000])
  func `a file that changes while it is read is in the archive as it is in the end`(size: Int)
    async throws
  {
    var random = SeededRandom(seed: UInt64(size))
    try write("a", random.bytes(12_000_000))
    try write("b", Array("still".utf8))
    let final = random.bytes(size)
    let owner = try await owner()
    let url = world.url.appendingPathComponent("source/a")
    let isChanged = Flag()
    // The first pieces are in the archive by the time that anything is told.
    let report = try await owner.importFolder { progress in
      guard progress.bytes > 1_000_000, isChanged.set() else { return }
      // In place, so that the file that is being read is the one that changes.
      guard let file = try? FileHandle(forWritingTo: url) else { return }
      try? file.truncate(atOffset: 0)
      try? file.write(contentsOf: final)
      try? file.close()
    }
    #expect(isChanged.isSet)
    #expect(report.progress.added == 2)
    // What was read meanwhile is not what is there: it is not served, and the next import puts it right.
    _ = try await owner.importFolder()
    #expect(try await owner.importFolder().progress.unchanged == 2)
    #expect(try await owner.read("/a").collect() == final)
    let copyPath = world.path + "/copy"
    let reader = try await reader(of: owner, in: copyPath)
    let connection = try await LiveConnection(owner, reader)
    await untilVersion(await owner.version, reader)
    try await reader.untilComplete()
    #expect(try files(copyPath) == ["a": Data(final), "b": Data("still".utf8)])
    await connection.end()
    try await reader.close()
    try await owner.close()
  }

  @Test func `a file that goes while it is read is no file, and the rest is taken in`() async throws
  {
    for name in ["a", "b", "c"] { try write(name, Array("text of \(name)".utf8)) }
    try write("0", [UInt8](repeating: 1, count: 6_000_000))
    let owner = try await owner()
    let source = world.path + "/source"
    let report = try await owner.importFolder { progress in
      // The scan has seen it.
      try? FileManager.default.removeItem(atPath: source + "/b")
    }
    #expect(report.progress.added == 3)
    #expect(report.leftOut.contains { $0.path == "/b" && $0.reason.contains("can't be read") })
    #expect(try await owner.importFolder().progress.added == 0)
    await #expect(throws: ArchiveError.self) { _ = try await owner.stat("/b") }
    try await owner.close()
  }

  // MARK: The hidden wipe

  @Test(arguments: WorkFolderTests.recorded)
  func `serving and cloning a folder leaves the record of its content byte for byte`(
    _ recorded: RecordedArchive
  ) async throws {
    for isEmptied in [false, true] {
      let copy = try CopiedWorkFolder(recorded)
      if isEmptied {
        for name in try copy.contents().keys where !name.hasPrefix(".dat/") {
          try FileManager.default.removeItem(at: copy.url.appendingPathComponent(name))
        }
      }
      let names = ["bitfield", "tree", "signatures", "key"].map { ".dat/content." + $0 }
      let before = try names.map { try copy.bytes($0) }
      let archive = try await copy.open()
      let target = world.path + "/copy of \(recorded.name) \(isEmptied)"
      let reader = try await reader(of: archive, in: target)
      let connection = try await LiveConnection(archive, reader)
      await untilVersion(recorded.version, reader)
      if !isEmptied {
        let whole = recorded.files?.filter { file in
          !(recorded.content.damaged ?? []).contains {
            file.stat.value.blockRange?.contains($0) == true
          }
        }
        for file in whole ?? [] {
          _ = try await reader.read(ArchivePath(recorded: file.path)).collect()
        }
      }
      await connection.end()
      try await reader.close()
      try await archive.close()
      #expect(try names.map { try copy.bytes($0) } == before, "emptied: \(isEmptied)")
    }
  }

  // MARK: Names

  @Test func `names of every kind go into a folder and come out of it as they were`() async throws {
    // Composed and decomposed, spaces at the ends, controls, quotes, other scripts, and what Windows forbids.
    let names = [
      "/é", "/e\u{301}", "/ lead", "/trail ", "/tab\tnew\nline", "/quote'\"", "/日本語/ファイル",
      "/C:/win", "/CON", "/dot.", "/Case", "/case", "/-rf", "/~", "/$HOME", "/a*b?", "/\u{202e}exe",
      "/" + String(repeating: "n", count: 255),
      "/deep/" + String(repeating: "d/", count: 100) + "x",
    ]
    let owner = try await owner()
    for name in names { try await owner.write(ArchivePath(name), Array(name.utf8)) }
    #expect(try await owner.importFolder().progress.unchanged == UInt64(names.count))
    let copyPath = world.path + "/copy"
    let reader = try await reader(of: owner, in: copyPath)
    let connection = try await LiveConnection(owner, reader)
    await untilVersion(UInt64(names.count), reader)
    try await reader.untilComplete()
    #expect(await reader.refusedFiles == [:])
    for name in names {
      let bytes = try await reader.read(ArchivePath(name)).collect()
      #expect(bytes == Array(name.utf8), "\(name)")
    }
    await connection.end()
    let out = world.path + "/out"
    let report = try await reader.export(to: out)
    #expect(report.files == UInt64(names.count) && report.leftOut.isEmpty)
    try await reader.close()
    try await owner.close()
  }

  @Test func `the recorded names are exported as far as a file system has them`() async throws {
    let recorded = try #require(RecordedArchive.all.first { $0.name == "names" })
    let folder = try TemporaryFolder(copyOf: "archives/\(recorded.dir ?? "")")
    let archive = try await Archive.open(folder: folder.path)
    let report = try await archive.export(to: world.path + "/out")
    // The reference's walk shows no file whose name is that of the root.
    let whole = recorded.files?.filter { $0.stat.value.kind == .file && $0.path != "/" } ?? []
    let named = report.leftOut.filter { $0.path.count > 0 }
    #expect(report.files + UInt64(named.count) == UInt64(whole.count))
    for (path, reason) in report.leftOut { #expect(!reason.isEmpty, "\(path)") }
    try await archive.close()
  }

  @Test func `of names that differ by case alone one is laid out where the file system folds them`()
    async throws
  {
    let owner = try await owner()
    for name in ["/File", "/file", "/other"] {
      try await owner.write(ArchivePath(name), Array(name.utf8))
    }
    let copyPath = world.path + "/copy"
    try FileManager.default.createDirectory(
      atPath: copyPath + "/.DAT", withIntermediateDirectories: true)
    // A second name of the archive's own folder is how one that folds names is known.
    let reader = try await reader(of: owner, in: copyPath)
    let connection = try await LiveConnection(owner, reader)
    await untilVersion(3, reader)
    try await reader.untilComplete()
    let refused = await reader.refusedFiles
    #expect(refused.count == 1 && refused.values.first?.contains("case") == true, "\(refused)")
    #expect(try files(copyPath).count == 2)
    await connection.end()
    try await reader.close()
    try await owner.close()
  }

  // MARK: Owners

  @Test func `two folders of one owner are not written at once`() async throws {
    try write("a", Array("a".utf8))
    let owner = try await owner()
    _ = try await owner.importFolder()
    let second = world.url.appendingPathComponent("second")
    try FileManager.default.copyItem(at: world.url.appendingPathComponent("source"), to: second)
    let error = await #expect(throws: StorageError.self) {
      _ = try await Archive.open(workFolder: second.path, secretKeys: world.path + "/secrets")
    }
    #expect(error?.code == .locked, "\(String(describing: error))")
    try await owner.close()
    let later = try await Archive.open(
      workFolder: second.path, secretKeys: world.path + "/secrets")
    #expect(await later.isWritable)
    try await later.close()
  }
}

/// Something that is set once, from wherever.
private final class Flag: @unchecked Sendable {
  private let lock = NSLock()
  private var value = false
  var isSet: Bool { lock.withLock { value } }

  /// Sets it; true for the call that was the first.
  func set() -> Bool {
    lock.withLock {
      defer { value = true }
      return !value
    }
  }
}
