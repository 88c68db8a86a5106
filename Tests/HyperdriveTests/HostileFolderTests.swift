import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hyperdrive

extension Archive {
  fileprivate var steps: UInt64 { tree.steps }
}

/// Entries that an archive's owner may sign, laid out in a folder.
@Suite(.timeLimit(.minutes(2))) struct HostileFolderTests {
  let world: TemporaryFolder
  let copy: String

  init() throws {
    world = try TemporaryFolder()
    copy = world.path + "/copy"
  }

  /// An owner's archive in memory whose entries can be anything.
  private final class Owner {
    let storage = MemoryStorage()
    let pair = KeyPair.generate()
    let codec = ArchiveMessageCodec()
    private let metadata: FeedCore
    private let content: FeedCore
    private let tree: ArchiveTree
    private let source: CoreMetadata

    init() throws {
      metadata = try FeedCore.open(
        in: storage, prefix: "metadata/", options: FeedOptions(keyPair: pair))
      let inner = KeyPair.contentFeed(of: pair.secretKey, context: .hyperdrive)
      content = try FeedCore.open(
        in: storage, prefix: "content/",
        options: FeedOptions(
          key: inner.publicKey, secretKey: inner.secretKey, storeSecretKey: false, holdsLock: true))
      try metadata.append([codec.encode(ArchiveHeader(content: inner.publicKey.bytes))])
      source = CoreMetadata(metadata)
      tree = ArchiveTree(source)
    }

    var nextSeq: UInt64 { metadata.length }

    /// Puts an empty file with an index of any kind.
    func put(_ name: String, index lists: [[UInt64]]) throws {
      let value = codec.encode(StatMessage(file: FileStat(mode: 0o100644)))
      let index = EntryIndex.encode(lists, omittingOwner: false)
      try metadata.append([
        codec.encode(ArchiveMessage(name: Array(name.utf8), value: value, paths: index))
      ])
    }

    /// Puts a file whose stat is changed by `change`.
    func put(_ name: String, _ text: String, _ change: (inout FileStat) -> Void = { _ in }) throws {
      try put(stored: Array(name.utf8), text, change)
    }

    func put(stored name: [UInt8], _ text: String, _ change: (inout FileStat) -> Void = { _ in })
      throws
    {
      let start = (content.length, content.byteLength)
      if !text.isEmpty { try content.append([Array(text.utf8)]) }
      var stat = FileStat(
        mode: 0o100644, size: UInt64(text.utf8.count), blocks: text.isEmpty ? 0 : 1,
        offset: start.0,
        byteOffset: start.1, mtime: 1_530_000_000_000, ctime: 1_530_000_000_000)
      change(&stat)
      let path = ArchivePath(stored: name)
      let index = try tree.indexForPut(path, from: tree.head(tree.version))
      let value = codec.encode(StatMessage(file: stat))
      try metadata.append([codec.encode(ArchiveMessage(name: name, value: value, paths: index))])
    }

    func open() async throws -> Archive {
      try metadata.close()
      try content.close()
      return try await Archive.open(storage: storage)
    }
  }

  private final class CoreMetadata: MetadataSource {
    let core: FeedCore
    init(_ core: FeedCore) { self.core = core }
    var length: UInt64 { core.length }
    func block(at seq: UInt64) throws -> [UInt8]? { try core.block(at: seq) }
  }

  private func lay(
    _ owner: Owner, in folder: String? = nil
  ) async throws -> (reader: Archive, refused: [ArchivePath: String]) {
    let archive = try await owner.open()
    let reader = try await Archive.open(
      workFolder: folder ?? copy, secretKeys: world.path + "/none",
      options: Archive.Options(key: archive.key)
    )
    let connection = try await LiveConnection(archive, reader)
    var events = reader.events().makeAsyncIterator()
    let version = await archive.version
    while await reader.version < version { _ = await events.next() }
    try await reader.untilComplete()
    await connection.end()
    let refused = await reader.refusedFiles
    return (reader, refused)
  }

  private func files() throws -> Set<String> {
    Set(
      try FileManager.default.subpathsOfDirectory(atPath: world.path).filter {
        !$0.hasPrefix("copy/.dat/") && !["copy", "copy/.dat"].contains($0)
      })
  }

  @Test func `names that lead out of the folder or into the archive's own are not laid out`()
    async throws
  {
    let owner = try Owner()
    let names = [
      "/../out", "/a/../../out", "/./x", "/a//b", "/back\\slash", "/nul\0", "/.dat/metadata.key",
      "/.DAT/metadata.key", "/.d\u{200c}at/x", "/.\u{ff44}at/x", "/.dat./x", "/.dat /x", "/.dat:x",
      "/DAT~1/x", "/" + String(repeating: "n", count: 256),
      "/" + String(repeating: String(repeating: "d", count: 99) + "/", count: 42) + "x",
    ]
    for name in names + [String(repeating: "/d", count: 257)] { try owner.put(name, "bad") }
    try owner.put(stored: [0x2f, 0xff, 0xfe], "bad")
    try owner.put("", "bad")
    try owner.put("/good", "good")
    let (reader, refused) = try await lay(owner)
    #expect(try files() == ["copy/good"])
    let key = try Data(contentsOf: URL(fileURLWithPath: copy + "/.dat/metadata.key"))
    #expect(Array(key) == reader.key.bytes)
    #expect(refused.count >= names.count - 1, "\(refused)")
    // They are listed all the same, and can be read by their names.
    #expect(try await reader.entries(recursive: true).collect().count >= names.count)
    try await reader.close()
  }

  @Test func `stats that are not true make no file and allocate nothing`() async throws {
    let owner = try Owner()
    try owner.put("/first", "first")
    try owner.put("/longer", "text") { $0.size = 1 << 50 }
    try owner.put("/huge", "text") { $0.size = 1 << 60 }
    try owner.put("/blocks", "text") { $0.blocks = 1 << 50 }
    try owner.put("/shorter", "text") { $0.size = 2 }
    try owner.put("/shifted", "text") { $0.byteOffset += 1 }
    try owner.put("/other's", "") { ($0.offset, $0.byteOffset, $0.blocks, $0.size) = (0, 0, 1, 5) }
    try owner.put("/setuid", "text") { ($0.mode, $0.mtime) = (0o106777, .max) }
    try owner.put("/link", "text") { $0.mode = 0o120777 }
    let archive = try await owner.open()
    let reader = try await Archive.open(
      workFolder: copy, secretKeys: world.path + "/none", options: Archive.Options(key: archive.key)
    )
    let connection = try await LiveConnection(archive, reader)
    let setuid = copy + "/setuid"
    for path in [setuid, copy + "/first"] {
      while !FileManager.default.fileExists(atPath: path) {
        try await Task.sleep(for: .milliseconds(10))
      }
    }
    await connection.end()
    let laid = try files()
    #expect(laid.isSuperset(of: ["copy/first", "copy/setuid"]))
    #expect(laid.isSubset(of: ["copy/first", "copy/setuid", "copy/shifted"]))
    let mode = try FileManager.default.attributesOfItem(atPath: setuid)[.posixPermissions] as? Int
    #expect(mode == 0o777, "no bit that gives another's rights")
    try await reader.close()
    try await archive.close()
  }

  @Test func `a file that claims the bytes of others leaves them their own`() async throws {
    for isFirst in [true, false] {
      let owner = try Owner()
      let name = "copy-\(isFirst)"
      func claim() throws {
        try owner.put("/all", "a") {
          ($0.offset, $0.byteOffset, $0.blocks, $0.size) = (0, 0, 3, 3)
        }
      }
      if isFirst { try claim() }
      for name in ["/b", "/c"] { try owner.put(name, String(name.last ?? "-")) }
      if !isFirst { try claim() }
      let (reader, refused) = try await lay(owner, in: world.path + "/" + name)
      #expect(refused.keys.map(\.description) == ["/all"])
      let laid = try files().filter { $0.hasPrefix(name + "/") && !$0.contains("/.dat") }
      #expect(laid == [name + "/b", name + "/c"])
      try await reader.close()
    }
  }

  @Test func `links in the folder are not followed`() async throws {
    let owner = try Owner()
    try owner.put("/into/file", "text")
    try owner.put("/file", "text")
    try owner.put("/plain", "text")
    let outside = world.path + "/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
    try Data("precious".utf8).write(to: URL(fileURLWithPath: outside + "/target"))
    try FileManager.default.createSymbolicLink(atPath: copy + "/into", withDestinationPath: outside)
    try FileManager.default.createSymbolicLink(
      atPath: copy + "/file", withDestinationPath: outside + "/target")
    let (reader, refused) = try await lay(owner)
    #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == ["target"])
    #expect(try String(contentsOfFile: outside + "/target", encoding: .utf8) == "precious")
    #expect(try String(contentsOfFile: copy + "/plain", encoding: .utf8) == "text")
    #expect(refused["/into/file"] != nil)
    #expect(await reader.keptFiles == ["/file.kept"], "the user's link has another name now")
    try await reader.close()
  }

  @Test func `a folder wins over a file of its name, which can be read all the same`() async throws
  {
    let owner = try Owner()
    try owner.put("/twin", "file")
    try owner.put("/twin/inside", "inside")
    let (reader, refused) = try await lay(owner)
    #expect(try files() == ["copy/twin", "copy/twin/inside"])
    #expect(refused["/twin"] == "a folder has its name")
    try await reader.close()
  }

  @Test func `an export goes on after files whose names other files' folders have`() async throws {
    let owner = try Owner()
    try owner.put("/twin", "file")
    try owner.put("/twin/inside", "inside")
    try owner.put("/zoo", "zoo")
    // A writer of files may use these names for itself.
    for name in ["/.dat-part", "/.dat-part-2", "/.dat-part/in"] { try owner.put(name, name) }
    let archive = try await owner.open()
    let report = try await archive.export(to: copy, options: ArchiveReadOptions(wait: false))
    #expect(
      try files() == [
        "copy/twin", "copy/twin/inside", "copy/zoo", "copy/.dat-part", "copy/.dat-part/in",
        "copy/.dat-part-2",
      ])
    #expect(report.leftOut.map(\.path) == ["/.dat-part", "/twin"])
    #expect(report.leftOut.allSatisfy { $0.reason == "a folder has its name" })
    #expect(try String(contentsOfFile: copy + "/.dat-part-2", encoding: .utf8) == "/.dat-part-2")
    #expect(report.files == 4)
    try await archive.close()
  }

  @Test func `an export leaves what is in its folder as it is`() async throws {
    let owner = try Owner()
    try owner.put("/a", "a")
    try owner.put("/b/c", "c")
    let archive = try await owner.open()
    try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
    for name in [".dat-part", "b"] {
      try Data("the user's".utf8).write(to: URL(fileURLWithPath: copy + "/" + name))
    }
    let report = try await archive.export(to: copy, options: ArchiveReadOptions(wait: false))
    #expect(try files() == ["copy/a", "copy/b", "copy/.dat-part"])
    for name in [".dat-part", "b"] {
      #expect(try String(contentsOfFile: copy + "/" + name, encoding: .utf8) == "the user's")
    }
    #expect(report.leftOut.map(\.path) == ["/b/c"])
    try await archive.close()
  }

  @Test
  func `a version that leads round in circles is walked once, and opened and served all the same`()
    async throws
  {
    let owner = try Owner()
    for _ in 0..<1000 { try owner.put("/a/\(owner.nextSeq)", index: [[owner.nextSeq]]) }
    let all = Array(1...owner.nextSeq)
    try owner.put(String(repeating: "/b", count: 600), index: (0...600).map { _ in all })
    let archive = try await owner.open()
    func open() async throws -> Archive {
      try await Archive.open(
        workFolder: copy, secretKeys: world.path + "/none",
        options: Archive.Options(key: archive.key))
    }
    let reader = try await open()
    let connection = try await LiveConnection(archive, reader)
    var events = reader.events().makeAsyncIterator()
    while await reader.folderFailure == nil { _ = await events.next() }
    #expect(await reader.folderFailure?.code == .tooManySteps)
    let error = await #expect(throws: ArchiveError.self) { try await reader.untilComplete() }
    #expect(error?.code == .tooManySteps)
    await connection.end()
    try await reader.close()
    let again = try await open()
    #expect(await again.folderFailure?.code == .tooManySteps)
    let steps = await again.steps
    let other = try await Archive.inMemory(options: Archive.Options(key: archive.key))
    let second = try await LiveConnection(again, other)
    _ = try await other.metadata.get(1)
    #expect(await again.steps == steps)
    await second.end()
    for archive in [other, again, archive] { try await archive.close() }
  }

  @Test func `a user's file goes for no entry whose bytes never came`() async throws {
    // The owner has guessed size and time of the user's files, and withdraws its own.
    let source = world.path + "/source"
    func write(_ name: String, _ text: String, in folder: String) throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSince1970: 1_530_000_000)],
        ofItemAtPath: folder + "/" + name)
    }
    for name in ["mine", "gone"] {
      try write(name, "public", in: source)
      try write(name, "secret", in: copy)
    }
    let secrets = world.path + "/secrets"
    let owner = try await Archive.open(workFolder: source, secretKeys: secrets)
    _ = try await owner.importFolder()
    func follow(sparse: Bool) async throws -> Archive {
      var options = Archive.Options(key: owner.key)
      options.sparse = sparse
      let reader = try await Archive.open(
        workFolder: copy, secretKeys: secrets, options: options)
      let connection = try await LiveConnection(owner, reader)
      var events = reader.events().makeAsyncIterator()
      let version = await owner.version
      while await reader.version < version { _ = await events.next() }
      if !sparse { try await reader.untilComplete() }
      await connection.end()
      return reader
    }
    try await follow(sparse: true).close()
    try write("mine", "other text", in: source)
    try FileManager.default.removeItem(atPath: source + "/gone")
    _ = try await owner.importFolder()
    let reader = try await follow(sparse: false)
    for name in ["mine.kept", "gone"] {
      #expect(try String(contentsOfFile: copy + "/" + name, encoding: .utf8) == "secret", "\(name)")
    }
    #expect(try String(contentsOfFile: copy + "/mine", encoding: .utf8) == "other text")
    try await reader.close()
    try await owner.close()
  }
}
