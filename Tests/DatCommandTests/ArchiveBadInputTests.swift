import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Folders and links that are not an archive, or a damaged one, given to commands about archives: one sentence that
/// says what they are, and nothing overwritten.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ArchiveBadInputTests {
  private let world: TemporaryFolder
  private var environment: [String: String] { ["HOME": world.path] }

  init() throws { world = try TemporaryFolder() }

  private func path(_ name: String) -> String { world.path + "/" + name }

  private func write(_ name: String, _ bytes: [UInt8]) throws {
    let url = world.url.appendingPathComponent(name)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
  }

  private func dat(_ arguments: [String]) async throws -> (
    status: Int32, lines: [String], errors: String
  ) {
    try await DatProcess.run(arguments, environment: environment)
  }

  /// Runs a command that has to fail with one sentence.
  private func fails(_ arguments: String..., with word: String) async throws {
    let result = try await dat(arguments)
    #expect(result.status == 1, "\(arguments)")
    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    #expect(result.errors.contains(word), "\(arguments): \(result.errors)")
  }

  private func contents(_ folder: String) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      contents[name] = FileManager.default.contents(atPath: folder + "/" + name)
    }
    return contents
  }

  /// Every command that takes an archive, on something that is none.
  private func allFail(on folder: String, with word: String) async throws {
    let before = try contents(folder)
    for command in [
      ["ls"], ["status"], ["log"], ["cat", "x"], ["find", "x"], ["diff", "0"], ["keys"], ["pull"],
      ["sync"], ["checkout", "1", path("new")], ["recover", path("new")], ["serve", "--http", "0"],
    ] {
      let arguments = [command[0], folder] + command.dropFirst()
      let result = try await dat(arguments)
      #expect(result.status == 1, "\(arguments)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(arguments): \(result.errors)")
      #expect(result.errors.contains(word), "\(arguments): \(result.errors)")
    }
    #expect(try contents(folder) == before)
    #expect(!FileManager.default.fileExists(atPath: path("new")))
  }

  @Test func `a feed and a database are not taken for archives`() async throws {
    let feed = try await Feed.open(folder: path("feed"))
    try await feed.append("hello", as: .utf8)
    try await feed.close()
    try await allFail(on: path("feed"), with: "no archive")
    let database = try await HyperDB.open(FolderStorage(path: path("db")))
    try await database.put("key", Array("value".utf8))
    await database.close()
    try await allFail(on: path("db"), with: "no archive")
  }

  @Test func `an archive of before May 2017 is said to be one, and its files stay`() async throws {
    try write("old/file", Array("text".utf8))
    try write("old/.dat/CURRENT", Array("MANIFEST-000001".utf8))
    try write("old/.dat/000003.log", [1, 2, 3])
    try await allFail(on: path("old"), with: "before May 2017")
    try await fails("share", path("old"), with: "before May 2017")
    try await fails("create", path("old"), with: "before May 2017")
  }

  @Test func `an archive of hyperdrive 10 is refused by folder and by link`() async throws {
    let feed = try await Feed.open(folder: path("ten/metadata"))
    try await feed.append([0x0a, 9] + Array("hypertrie".utf8) + [0x12, 0])
    let key = try #require(feed.key?.hex)
    try await feed.close()
    try await fails("ls", path("ten"), with: "hyperdrive 10")
    let serving = try await DatProcess(
      ["feed", "serve", path("ten/metadata"), "--json", "--listen", "127.0.0.1:0"],
      environment: environment)
    let listening = try await serving.line(containing: "\"listening\"")
    let object = try JSONSerialization.jsonObject(with: Data(listening.utf8)) as? [String: Any]
    let address = "127.0.0.1:\(try #require(object?["port"] as? Int))"
    try await fails("ls", "dat://\(key)", "--connect", address, with: "hyperdrive 10")
    try await fails(
      "clone", "dat://\(key)", path("copy"), "--connect", address, "--timeout", "60",
      with: "hyperdrive 10")
    serving.signalSoon()
    #expect(await serving.status() == 0)
  }

  @Test func `damaged entries and damaged files are told, and the rest is read`() async throws {
    for name in ["a", "b", "c"] { try write("site/\(name)", Array("text of \(name)".utf8)) }
    #expect(try await dat(["create", path("site")]).status == 0)
    try write("site/b", Array("TEXT OF b".utf8))
    let cat = try await dat(["cat", path("site"), "b"])
    #expect(cat.status == 1 && cat.errors.split(separator: "\n").count == 1, "\(cat)")
    #expect(try await dat(["cat", path("site"), "c"]).lines == ["text of c"])
    // The first entry's block is not an entry any more.
    var data = try #require(FileManager.default.contents(atPath: path("site/.dat/metadata.data")))
    for index in 46..<60 { data[index] = 0xff }
    try data.write(to: URL(fileURLWithPath: path("site/.dat/metadata.data")))
    let before = try contents(path("site"))
    let list = try await dat(["ls", path("site")])
    #expect(list.status != 139 && !list.lines.contains { $0.contains("\u{fffd}") })
    let doctor = try await dat(["doctor", path("site")])
    #expect(doctor.status == 1, "\(doctor)")
    #expect(try contents(path("site")) == before, "nothing is mended unasked")
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `a disk that can't be written is read from, and refused where something is to be written`()
    async throws
  {
    let disk = try SmallDisk(bytes: 4 << 20)
    let site = disk.path + "/site"
    try FileManager.default.createDirectory(atPath: site, withIntermediateDirectories: true)
    try Data("text".utf8).write(to: URL(fileURLWithPath: site + "/file"))
    #expect(try await dat(["create", site]).status == 0)
    try #require(disk.makeReadOnly())
    #expect(try await dat(["cat", site, "file"]).lines == ["text"])
    #expect(try await dat(["status", site]).lines.contains("Version: 1"))
    #expect(try await dat(["doctor", site]).status == 0)
    let key = String(repeating: "ab", count: 32)
    for arguments in [
      ["clone", key, disk.path + "/copy"], ["create", disk.path], ["share", site],
      ["checkout", site, "1", disk.path + "/out"],
    ] {
      let result = try await dat(arguments + (arguments[0] == "clone" ? ["--timeout", "1"] : []))
      #expect(result.status == 1, "\(arguments)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(arguments): \(result.errors)")
    }
  }

  @Test func `one archive in two folders is written in one at a time`() async throws {
    try write("site/a", [1])
    #expect(try await dat(["create", path("site")]).status == 0)
    try FileManager.default.copyItem(atPath: path("site"), toPath: path("second"))
    let share = try await DatProcess(
      ["share", path("site"), "--json", "--listen", "127.0.0.1:0"], environment: environment)
    _ = try await share.line(containing: "\"imported\"")
    try await fails("share", path("second"), "--listen", "127.0.0.1:0", with: "is in use: process")
    share.signalSoon()
    #expect(await share.status() == 0)
  }

  @Test func `targets that are not free are refused, and stay as they are`() async throws {
    try write("site/a", [1])
    #expect(try await dat(["create", path("site")]).status == 0)
    try write("full/file", [2])
    try write("plain", [3])
    let key = String(repeating: "ab", count: 32)
    try await fails("checkout", path("site"), "1", path("full"), with: "not empty")
    try await fails("recover", path("site"), path("full"), with: "not empty")
    try await fails("clone", key, path("full"), with: "not empty")
    try await fails("clone", key, path("site"), with: "already")
    try await fails("checkout", path("site"), "1", path("no/such"), with: "make it first")
    let plain = try await dat(["clone", key, path("plain"), "--timeout", "1"])
    #expect(plain.status == 1, "\(plain)")
    #expect(FileManager.default.contents(atPath: path("full/file")) == Data([2]))
    #expect(FileManager.default.contents(atPath: path("plain")) == Data([3]))
  }
}
