import DatTesting
import Foundation
import Testing

/// `dat doctor`, as processes.
@Suite struct DoctorCommandTests {
  private func json(_ lines: [String]) throws -> [String: Any] {
    let line = try #require(lines.first)
    return try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  private func damage(_ path: String, at offset: UInt64) throws {
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try file.seek(toOffset: offset)
    try file.write(contentsOf: Data([0, 1, 2]))
    try file.close()
  }

  @Test func `a feed is checked, mended and healthy again`() async throws {
    let folder = try TemporaryFolder()
    let dir = folder.path + "/feed"
    _ = try await DatProcess.run(["feed", "append", dir], input: "one\ntwo\nthree\nfour\n")
    let sound = try await DatProcess.run(["doctor", dir])
    #expect(sound.status == 0 && sound.lines.last == "healthy", "\(sound)")
    try damage(dir + "/tree", at: 32 + 40)
    let sick = try await DatProcess.run(["doctor", dir])
    #expect(sick.status == 1)
    #expect(sick.lines.contains { $0.contains("wrong: ") && $0.contains("--repair mends it") })
    let told = try json(try await DatProcess.run(["doctor", dir, "--json"]).lines)
    #expect(told["healthy"] as? Bool == false && told["kind"] as? String == "feed")
    let feeds = try #require(told["feeds"] as? [[String: Any]])
    let problems = try #require(feeds[0]["problems"] as? [[String: Any]])
    #expect(problems.map { $0["code"] as? String } == ["damagedNodes"])
    let mended = try await DatProcess.run(["doctor", dir, "--repair"])
    #expect(mended.status == 0 && mended.lines.contains { $0.contains("mended: ") }, "\(mended)")
    #expect(try await DatProcess.run(["doctor", dir]).status == 0)
  }

  @Test func `a database is checked with its entries`() async throws {
    let folder = try TemporaryFolder()
    let dir = folder.path + "/db"
    for number in 0..<3 {
      let put = try await DatProcess.run(["db", "put", dir, "key/\(number)", "\(number)"])
      #expect(put.status == 0, "\(put)")
    }
    let silent = String(repeating: "ab", count: 32)
    #expect(try await DatProcess.run(["db", "authorize", dir, silent]).status == 0)
    let result = try await DatProcess.run(["doctor", dir, "--json"])
    #expect(result.status == 0, "\(result)")
    let told = try json(result.lines)
    #expect(told["kind"] as? String == "database" && told["healthy"] as? Bool == true)
    #expect(told["entries"] as? Int == 4)
    #expect(told["silentWriters"] as? [String] == [silent])
    let people = try await DatProcess.run(["doctor", dir])
    #expect(people.lines.contains { $0.contains("nothing of it ever came") })
  }

  @Test func `a room's folder is checked as a database, and stays as it is`() async throws {
    struct Rooms: Decodable {
      struct Replica: Decodable { var dir: String }
      var replicas: [String: Replica]
    }
    let rooms: Rooms = try Fixtures.json("rooms/manifest.json")
    let dir = try #require(rooms.replicas.values.map(\.dir).min())
    let room = try TemporaryFolder(copyOf: dir)
    for arguments in [[], ["--repair"], []] as [[String]] {
      let result = try await DatProcess.run(["doctor", room.path] + arguments)
      #expect(result.status == 0 && result.lines.last == "healthy", "\(result)")
      #expect(!result.lines.contains { $0.contains("mended") })
    }
    let told = try json(try await DatProcess.run(["doctor", room.path, "--json"]).lines)
    #expect((told["badEntries"] as? [Any])?.isEmpty == true)
  }

  @Test func `nothing to check is one sentence`() async throws {
    let folder = try TemporaryFolder()
    let result = try await DatProcess.run(["doctor", folder.path])
    #expect(result.status == 1 && result.lines.isEmpty)
    #expect(result.errors.hasPrefix("dat: Neither a feed nor a database"))
  }
}
