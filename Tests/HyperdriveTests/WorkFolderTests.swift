import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Hyperdrive
import RandomAccessStorage
import Testing

/// Folders whose files are an archive's, as the command of 2018 keeps them.
@Suite(.timeLimit(.minutes(2))) struct WorkFolderTests {
  static let recorded = RecordedArchive.all.filter { $0.layout == "dat-storage" }

  @Test(arguments: recorded)
  func `a recorded folder opens with its files, and nothing in it changes`(
    _ recorded: RecordedArchive
  )
    async throws
  {
    let copy = try CopiedWorkFolder(recorded)
    let before = try copy.contents()
    let archive = try await copy.open()
    #expect(archive.key.hex == recorded.key)
    #expect(await archive.version == recorded.version)
    #expect(await archive.isWritable == recorded.writable)
    let here = ArchiveReadOptions(wait: false)
    for entry in recorded.entries {
      guard let file = recorded.files?.first(where: { $0.seq == entry.seq }) else { continue }
      let path = ArchivePath(recorded: file.path)
      #expect(try await archive.stat(path, options: here) == file.stat.value)
      let bytes = try? await archive.read(path, options: here).collect()
      let damaged = recorded.content.damaged ?? []
      let isWhole = !damaged.contains { file.stat.value.blockRange?.contains($0) == true }
      #expect((bytes.map(sha256) == entry.sha256) == isWhole, "\(path)")
    }
    try await archive.close()
    let after = try copy.contents()
    for (name, bytes) in before { #expect(after[name] == bytes, "\(name)") }
    for name in Set(after.keys).subtracting(before.keys) {
      // Empty files, which the reference never lays out, are created.
      let isEmptyFile =
        recorded.files?.contains { $0.path == "/" + name && $0.stat.size == 0 } == true
      #expect(
        isEmptyFile || [".dat/metadata.marker", ".dat/content.marker"].contains(name), "\(name)")
    }
  }

  @Test func `a file that was edited is not served, and the next import takes it in`() async throws
  {
    let recorded = try #require(Self.recorded.first { $0.writable })
    let copy = try CopiedWorkFolder(recorded)
    let owner = try await copy.open()
    let target = try TemporaryFolder()
    let reader = try await Archive.open(
      workFolder: target.path + "/copy", secretKeys: target.path + "/none",
      options: Archive.Options(key: owner.key))
    let connection = try await LiveConnection(owner, reader)
    // Everything but the damaged file comes, and the connection stays.
    let damaged = try #require(recorded.content.damaged?.first)
    let bad = try #require(
      recorded.files?.first { $0.stat.value.blockRange?.contains(damaged) == true })
    let others = recorded.files?.filter { $0.path != bad.path } ?? []
    for file in others {
      let bytes = try await reader.read(ArchivePath(recorded: file.path)).collect()
      #expect(UInt64(bytes.count) == file.stat.size)
    }
    let report = try await owner.importFolder()
    #expect(report.progress.added == 1 && report.progress.removed == 0)
    let version = recorded.version + 1
    #expect(await owner.version == version)
    var events = reader.events().makeAsyncIterator()
    while await reader.version < version { _ = await events.next() }
    try await reader.untilComplete()
    for file in recorded.files ?? [] {
      let name = String(file.path.dropFirst())
      #expect(
        try Data(contentsOf: target.url.appendingPathComponent("copy/" + name)) == copy.bytes(name))
    }
    await connection.end()
    try await owner.close()
    try await reader.close()
  }

  @Test func `a folder is imported, cloned, changed and followed`() async throws {
    let world = try TemporaryFolder()
    let source = world.url.appendingPathComponent("source")
    func write(_ name: String, _ text: String) throws {
      let url = source.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    try write("a/one.txt", "one")
    try write("a/b/two.txt", "two")
    try write("empty", "")
    try write("big", String(repeating: "0123456789", count: 50_000))
    try write(".hidden", "no")
    let owner = try await Archive.open(workFolder: source.path, secretKeys: world.path + "/secrets")
    let report = try await owner.importFolder()
    #expect(report.progress.added == 4)
    #expect(report.leftOut.map(\.path.description).sorted() == ["/.dat", "/.hidden"])
    #expect(try await owner.importFolder().progress.unchanged == 4)
    #expect(await owner.version == 4)
    #expect(try await owner.read("/big").collect().count == 500_000)

    let copyPath = world.path + "/copy"
    let reader = try await Archive.open(
      workFolder: copyPath, secretKeys: world.path + "/secrets",
      options: Archive.Options(key: owner.key))
    #expect(await !reader.isWritable, "a second folder of one account stays a reader's")
    let connection = try await LiveConnection(owner, reader)
    var events = reader.events().makeAsyncIterator()
    while await reader.version < 4 { _ = await events.next() }
    try await reader.untilComplete()
    try expectSame(source, copyPath, ["a/one.txt", "a/b/two.txt", "empty", "big"])

    try FileManager.default.removeItem(at: source.appendingPathComponent("a/b"))
    try write("a/one.txt", "one more")
    try write("big", "small now")
    let second = try await owner.importFolder()
    #expect(second.progress.added == 2 && second.progress.removed == 1)
    while await reader.version < 7 { _ = await events.next() }
    try await reader.untilComplete()
    try expectSame(source, copyPath, ["a/one.txt", "empty", "big"])
    #expect(!FileManager.default.fileExists(atPath: copyPath + "/a/b"))
    #expect(await reader.keptFiles == [])
    #expect(await reader.refusedFiles == [:])
    await connection.end()
    try await reader.close()
    try await owner.close()
    #expect(try FileManager.default.contentsOfDirectory(atPath: copyPath + "/.dat/incoming") == [])

    let again = try await Archive.open(workFolder: copyPath, secretKeys: world.path + "/secrets")
    #expect(await again.isComplete)
    try await again.close()
  }

  @Test func `links stand for files, but not for hidden ones, and no secret key is taken in`()
    async throws
  {
    let world = try TemporaryFolder()
    let source = world.path + "/source"
    for folder in ["/source/sub", "/source/room", "/.private", "/outer"] {
      try FileManager.default.createDirectory(
        atPath: world.path + folder, withIntermediateDirectories: true)
    }
    func write(_ name: String, _ text: String) throws {
      try Data(text.utf8).write(to: URL(fileURLWithPath: world.path + name))
    }
    try write("/source/sub/plain", "plain")
    try write("/source/.hidden", "hidden")
    try write("/.private/id", "private")
    try write("/outer/data", "data")
    try write("/source/room/secret_key", String(repeating: "k", count: 64))
    try write("/source/room/content.secret_key", String(repeating: "k", count: 64))
    try write("/outer/secret_key", String(repeating: "k", count: 64))
    for (name, target) in [
      ("inside", "sub/plain"), ("outside", "../outer/data"), ("hidden", ".hidden"),
      ("private", "../.private/id"), ("own", ".dat/metadata.key"), ("key", "../outer/secret_key"),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: source + "/" + name, withDestinationPath: target)
    }
    let secrets = world.path + "/secrets"
    let owner = try await Archive.open(workFolder: source, secretKeys: secrets)
    let report = try await owner.importFolder()
    let taken: [ArchivePath] = ["/inside", "/outside", "/sub/plain"]
    #expect(
      try await owner.entries(recursive: true).collect().filter { $0.seq != nil }.map(\.path)
        == taken)
    #expect(
      Set(report.leftOut.map(\.path)) == [
        "/.dat", "/.hidden", "/hidden", "/key", "/own", "/private", "/room/content.secret_key",
        "/room/secret_key",
      ])
    // A link's file is read and served, and is the same at the next import.
    #expect(try await owner.importFolder().progress.unchanged == 3)
    let reader = try await Archive.open(
      workFolder: world.path + "/copy", secretKeys: secrets,
      options: Archive.Options(key: owner.key))
    let connection = try await LiveConnection(owner, reader)
    var events = reader.events().makeAsyncIterator()
    while await reader.version < 3 { _ = await events.next() }
    try await reader.untilComplete()
    for (name, text) in [("inside", "plain"), ("outside", "data")] {
      #expect(
        try String(contentsOfFile: world.path + "/copy/" + name, encoding: .utf8) == text, "\(name)"
      )
    }
    await connection.end()
    try await reader.close()
    try await owner.close()
  }

  @Test func `what a user wrote where an archive's file belongs is kept under another name`()
    async throws
  {
    let world = try TemporaryFolder()
    let source = world.path + "/source"
    try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
    let owner = try await Archive.open(workFolder: source, secretKeys: world.path + "/secrets")
    try await owner.write("/note", Array("first".utf8))
    #expect(try String(contentsOfFile: source + "/note", encoding: .utf8) == "first")
    let copyPath = world.path + "/copy"
    let reader = try await Archive.open(
      workFolder: copyPath, secretKeys: world.path + "/none",
      options: Archive.Options(key: owner.key))
    let connection = try await LiveConnection(owner, reader)
    var events = reader.events().makeAsyncIterator()
    while await reader.version < 1 { _ = await events.next() }
    try await reader.untilComplete()
    try Data("mine!".utf8).write(to: URL(fileURLWithPath: copyPath + "/note"))
    // Written at another moment than the archive's, also if a file's time is no more exact than some
    // milliseconds.
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1_530_000_000)],
      ofItemAtPath: copyPath + "/note")
    try await owner.write("/note", Array("second".utf8))
    while await reader.version < 2 { _ = await events.next() }
    try await reader.untilComplete()
    #expect(try String(contentsOfFile: copyPath + "/note", encoding: .utf8) == "second")
    #expect(try String(contentsOfFile: copyPath + "/note.kept", encoding: .utf8) == "mine!")
    #expect(await reader.keptFiles == ["/note.kept"])
    await connection.end()
    try await reader.close()
    try await owner.close()
  }

  private func expectSame(_ source: URL, _ copy: String, _ names: [String]) throws {
    for name in names {
      let one = source.appendingPathComponent(name)
      let other = URL(fileURLWithPath: copy).appendingPathComponent(name)
      #expect(try Data(contentsOf: one) == Data(contentsOf: other), "\(name)")
      let modes = try [one, other].map {
        try FileManager.default.attributesOfItem(atPath: $0.path)[.posixPermissions] as? Int
      }
      #expect(modes[0] == modes[1], "\(name)")
    }
  }
}

/// A copy of a recorded folder, with the times and empty folders that git does not keep.
struct CopiedWorkFolder {
  let world: TemporaryFolder
  let url: URL
  let secrets: String?

  init(_ recorded: RecordedArchive) throws {
    world = try TemporaryFolder()
    url = world.url.appendingPathComponent("site")
    try FileManager.default.copyItem(at: Fixtures.url("archives/\(recorded.dir ?? "")"), to: url)
    if let keys = recorded.secretKeys {
      secrets = world.path + "/secrets"
      try FileManager.default.copyItem(
        at: Fixtures.url("archives/\(keys)"), to: world.url.appendingPathComponent("secrets"))
    } else {
      secrets = world.path + "/none"
    }
    for folder in recorded.emptyFolders ?? [] {
      try FileManager.default.createDirectory(
        at: url.appendingPathComponent(folder), withIntermediateDirectories: true)
    }
    for file in recorded.onDisk ?? [] {
      guard let mtime = file.mtime else { continue }
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSince1970: mtime / 1000)],
        ofItemAtPath: url.appendingPathComponent(file.path).path)
    }
  }

  func open() async throws -> Archive {
    try await Archive.open(workFolder: url.path, secretKeys: secrets)
  }

  func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: url.appendingPathComponent(name))
  }

  /// Returns every file by its name.
  func contents() throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: url.path) {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: url.path + "/" + name, isDirectory: &isFolder)
      if !isFolder.boolValue { contents[name] = try bytes(name) }
    }
    return contents
  }
}
