import DatTesting
import Foundation
import Testing

/// Folders that earlier versions wrote, as `Fixtures/versions` keeps them: a copy of each opens, reads right, and
/// goes on being written.
@Suite(.serialized, .timeLimit(.minutes(3))) struct EarlierVersionTests {
  /// The repository's own fixtures: other sets have no versions.
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/versions", isDirectory: true)

  static func versions() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root.path).sorted()
  }

  private struct Manifest: Decodable {
    struct Feed: Decodable { var key: String, lines: [String] }
    struct Room: Decodable { var key: String, users: [String], messages: [[String]] }
    struct Archive: Decodable { var key: String, files: [String: String] }
    struct Host: Decodable { var room: String, feed: String }
    var version: String
    var feed: Feed
    var room: Room
    var archive: Archive
    var host: Host
  }

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  /// Copies all folders of a version.
  private func copy(_ version: String) throws -> Manifest {
    for name in try FileManager.default.contentsOfDirectory(atPath: Self.root.path + "/" + version)
    {
      try FileManager.default.copyItem(
        atPath: "\(Self.root.path)/\(version)/\(name)", toPath: dir(name))
    }
    return try JSONDecoder().decode(
      Manifest.self, from: Data(contentsOf: URL(fileURLWithPath: dir("manifest.json"))))
  }

  private func run(
    _ arguments: String..., input: String = "", environment: [String: String] = [:]
  ) async throws -> [String] {
    let result = try await DatProcess.run(arguments, input: input, environment: environment)
    #expect(result.status == 0, "\(arguments): \(result.errors)")
    return result.lines
  }

  /// Checks that nothing is the matter with a folder but that it is a copy, as these are.
  private func checkIsSound(_ name: String) async throws {
    let doctor = try await DatProcess.run(["doctor", dir(name)])
    let wrong = doctor.lines.filter { $0.contains("wrong: ") || $0.contains("left out: ") }
    #expect(!doctor.lines.isEmpty)
    #expect(wrong.allSatisfy { $0.contains("copied or restored") }, "\(name): \(wrong)")
  }

  @Test(arguments: try Self.versions())
  func `a feed and a database are read and written on`(version: String) async throws {
    let manifest = try copy(version)
    #expect(manifest.version == version)
    #expect(try await run("feed", "cat", dir("feed")) == manifest.feed.lines)
    _ = try await run("feed", "append", dir("feed"), input: "one more\n")
    #expect(try await run("feed", "cat", dir("feed")) == manifest.feed.lines + ["one more"])

    #expect(try await run("db", "get", dir("database"), "people/ana/city") == [#""Lima""#])
    #expect(try await run("db", "get", dir("database"), "count") == ["3"])
    let missing = try await DatProcess.run(["db", "get", dir("database"), "people/cyd/city"])
    #expect(missing.lines.isEmpty)
    _ = try await run("db", "put", dir("database"), "people/dan/city", #""Bern""#)
    let list = try await run("db", "list", dir("database"), "people", "--json")
    #expect(list.count == 3)
    for name in ["feed", "database"] { try await checkIsSound(name) }
  }

  @Test(arguments: try Self.versions())
  func `a room opens with its index, and both of its users go on`(version: String) async throws {
    let manifest = try copy(version)
    for user in manifest.room.users {
      try await checkIsSound("room/\(user)")
      let doctor = try await DatProcess.run(["doctor", dir("room/\(user)"), "--json"])
      #expect(doctor.lines.last?.contains(#""index":"usable""#) == true, "\(doctor)")
    }
    let ana = try await ChatProcess(dir("room/ana"), name: "ana", listen: true)
    #expect(ana.key == manifest.room.key)
    for message in manifest.room.messages { try await ana.event("message", "message", message[1]) }
    let bea = try await ChatProcess(
      dir("room/bea"), name: "bea", connect: [try #require(ana.address)])
    await ana.process.send("from ana, later")
    try await bea.event("message", "message", "from ana, later")
    await bea.process.send("from bea, later")
    try await ana.event("message", "message", "from bea, later")
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
  }

  @Test(arguments: try Self.versions())
  func `an archive's files are read, and more are added`(version: String) async throws {
    let manifest = try copy(version)
    try FileManager.default.createDirectory(
      atPath: dir("home/.dat"), withIntermediateDirectories: true)
    try FileManager.default.moveItem(
      atPath: dir("secret_keys"), toPath: dir("home/.dat/secret_keys"))
    for (name, text) in manifest.archive.files {
      let lines = try await run("cat", dir("archive"), name)
      #expect(lines == text.split(separator: "\n").map(String.init))
    }
    try Data("later\n".utf8).write(to: URL(fileURLWithPath: dir("archive/later.txt")))
    let sharing = try await DatProcess(
      ["share", dir("archive"), "--no-lan", "--listen", "127.0.0.1:0", "--json"],
      environment: ["HOME": dir("home")])
    _ = try await sharing.line(containing: "later.txt")
    await sharing.signal(SIGTERM)
    _ = await sharing.status()
    #expect(try await run("cat", dir("archive"), "later.txt") == ["later"])
  }

  @Test(arguments: try Self.versions())
  func `a host serves what it held, and takes more`(version: String) async throws {
    let manifest = try copy(version)
    let host = try await HostProcess(dir("host"))
    let list = try await host.ask("list").replicas
    let kinds = Dictionary(
      uniqueKeysWithValues: list.map { ($0["key"] as? String ?? "", $0["kind"] as? String ?? "") })
    #expect(kinds == [manifest.host.room: "room", manifest.host.feed: "feed"])
    #expect(
      list.allSatisfy { $0["stored"] as? Int == $0["length"] as? Int && $0["length"] as? Int != 0 })
    let reader = try await ChatProcess(
      dir("reader"), key: manifest.host.room, name: "rey", connect: [host.address])
    for message in manifest.room.messages {
      try await reader.event("message", "message", message[1])
    }
    try await reader.process.line(containing: #""event":"authorized""#)
    #expect(await reader.leave() == 0)
    let clone = try await run(
      "feed", "clone", dir("copy"), manifest.host.feed, "--connect", host.address)
    #expect(clone.last?.contains("5 blocks") == true, "\(clone)")
    #expect(await host.end() == 0)
  }
}
