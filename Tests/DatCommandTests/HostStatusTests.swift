import DatCoding
import DatHost
import DatTesting
import Foundation
import Testing

@testable import dat

@Suite(.serialized, .timeLimit(.minutes(2))) struct HostStatusTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func `one screen shows how a running host does, and programs get an object`() async throws {
    let dir = folder.path + "/host"
    let host = try await HostProcess(dir, ["feed:" + String(repeating: "ab", count: 32)])
    let text = try await DatProcess.run(["host", "status", "--dir", dir])
    #expect(text.status == 0)
    #expect(text.lines.count <= 24)
    #expect(text.lines.allSatisfy { !$0.contains("\u{1b}") && $0.count <= 79 })
    for label in ["keys ", "state ", "complete ", "peers ", "disk ", "files ", "warnings "] {
      #expect(text.lines.contains { $0.hasPrefix(label) }, "\(label)")
    }
    #expect(text.lines.contains { $0.contains("1: 1 feed") }, "\(text.lines)")

    let json = try await DatProcess.run(["host", "status", "--dir", dir, "--json"])
    #expect(json.lines.count == 1)
    let object = try #require(
      JSONSerialization.jsonObject(with: Data(json.lines[0].utf8)) as? [String: Any])
    #expect((object["keys"] as? [String: Int])?["feed"] == 1)
    #expect(object["version"] as? String == Version.number)
    #expect(object["warningCount"] as? Int == 0)
    #expect((object["disk"] as? [String: Any])?["used"] is Int)
    #expect(await host.end() == 0)
  }

  @Test func `where no host runs, one sentence names the next command`() async throws {
    let dir = folder.path + "/host"
    let host = try await HostProcess(dir, ["feed:" + String(repeating: "ab", count: 32)])
    #expect(await host.end() == 0)
    let ended = try await DatProcess.run(["host", "status", "--dir", dir])
    #expect(ended.status == 1 && ended.lines.isEmpty)
    #expect(ended.errors.contains("dat host \(dir)"), "\(ended.errors)")
    let none = try await DatProcess.run(["host", "status", "--dir", folder.path])
    #expect(none.status == 1)
    #expect(none.errors.contains("dat host FOLDER"), "\(none.errors)")
  }

  @Test func `a report of any size and any text stays on one screen`() throws {
    let evil = "\u{1b}[2J\u{202e}x" + String(repeating: "wide ", count: 400)
    let key = "room:" + String(repeating: "ab", count: 32)
    let max = UInt64.max
    let fields: [String: Any] = [
      "version": evil, "folder": evil, "process": Int.max, "seconds": 1e300,
      "kinds": ["room": Int.max / 8, "db": 5, "feed": 2, "archive": 1, "any": 3, evil: 9],
      "states": ["hosting": Int.max, "queued": 5, "waiting": 1, "failed": 2, "elsewhere": 9],
      "feeds": Int.max, "length": max, "stored": max, "complete": 3,
      "incomplete": (0..<100).map { _ in ["key": key, "stored": 1, "length": max] as [String: Any]
      },
      "connections": Int.max, "addresses": Int.max,
      "peers": (0..<100).map { _ in ["address": evil, "connections": 7, "keys": 2] as [String: Any]
      },
      "received": max, "sent": max, "diskUsed": max, "quota": max, "diskAvailable": max,
      "diskTotal": max, "diskReserve": max, "memory": max, "ownMemory": max,
      "descriptors": Int.max, "descriptorLimit": Int.max,
      "warnings": (0..<100).map { _ in ["key": key, "sentence": evil] }, "warningCount": Int.max,
      "fleet": [
        "name": evil, "members": Int.max, "missing": (0..<100).map { _ in evil },
        "missingCount": Int.max, "connected": Int.max, "keys": Int.max, "owned": Int.max,
        "leaving": Int.max, "kept": Int.max, "fetching": Int.max, "lostCount": Int.max,
        "lost": (0..<100).map { _ in ["key": evil, "hosts": [evil]] as [String: Any] },
        "trouble": evil,
      ] as [String: Any],
    ]
    let data = try JSONSerialization.data(withJSONObject: fields)
    let report = try JSONDecoder().decode(HostReport.self, from: data)
    let lines = HostScreen(report, Output(json: true)).lines
    #expect(lines.count <= 36)
    #expect(lines.contains { $0.hasPrefix("fleet ") })
    for line in lines {
      #expect(line.count <= 79 && !line.contains("\u{1b}") && !line.contains("\u{202e}"), "\(line)")
    }
    #expect(!report.json.text.contains("\u{1b}"))
  }

  @Test func `ages are shown in days and hours`() {
    #expect(HostScreen.age(7) == "0:07")
    #expect(HostScreen.age(86_400 + 3_661) == "1 day, 1:01:01")
    #expect(HostScreen.age(-1) == "0:00")
    #expect(HostScreen.age(.nan) == "0:00")
    #expect(HostScreen.age(.infinity) == "0:00")
  }
}
