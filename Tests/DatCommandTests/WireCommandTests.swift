import DatSwarm
import DatTesting
import Foundation
import HypercoreCrypto
import Testing

@testable import dat

@Suite(.serialized, .timeLimit(.minutes(2))) struct WireCommandTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func path(_ name: String) -> String { folder.path + "/" + name }

  private func objects(_ lines: [String]) throws -> [[String: Any]] {
    try lines.map {
      try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  /// Writes a key to a file of its own.
  private func keyFile(_ key: String) throws -> String {
    let path = path("key-\(key.prefix(8))")
    try Data((key + "\n").utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func listening(_ process: DatProcess) async throws -> String {
    let line = try await process.line(containing: #""event":"listening""#)
    let object = try ChatProcess.event(line)
    return "127.0.0.1:\(object["port"] as? Int ?? 0)"
  }

  @Test func `a feed's replication is recorded at both ends, and decoded message by message`()
    async throws
  {
    let input = (0..<5).map { "line \($0)\n" }.joined()
    let written = try await DatProcess.run(["feed", "append", path("log"), "--json"], input: input)
    let info = try await DatProcess.run(["feed", "info", path("log"), "--json"])
    let key = try #require(try objects(info.lines).first?["key"] as? String)
    #expect(written.status == 0)
    let server = try await DatProcess([
      "feed", "serve", path("log"), "--listen", "127.0.0.1:0", "--json", "--record", path("server"),
    ])
    let address = try await listening(server)
    let clone = try await DatProcess.run([
      "feed", "clone", path("copy"), key, "--connect", address, "--record", path("client"),
    ])
    #expect(clone.status == 0, "\(clone.errors)")
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
    let mode = try FileManager.default.attributesOfItem(atPath: path("client"))[.posixPermissions]
    #expect(mode as? Int == 0o600)

    for (file, sender) in [("client", "there"), ("server", "here")] {
      let shown = try await DatProcess.run([
        "wire", path(file), "--key-file", try keyFile(key), "--json",
      ])
      #expect(shown.status == 0, "\(shown.errors)")
      let objects = try objects(shown.lines)
      let began = try #require(objects.first)
      #expect(began["event"] as? String == "began")
      #expect(began["inbound"] as? Bool == (file == "server"))
      #expect(objects.filter { $0["type"] as? String == "Feed" }.count == 2)
      #expect(objects.filter { $0["type"] as? String == "Handshake" }.count == 2)
      let data = objects.filter {
        $0["type"] as? String == "Data" && $0["from"] as? String == sender
      }
      #expect(Set(data.compactMap { $0["index"] as? Int }) == [0, 1, 2, 3, 4])
      #expect(data.allSatisfy { $0["value"] as? Int == 6 })
      #expect(objects.contains { $0["event"] as? String == "ended" })
    }

    let text = try await DatProcess.run(["wire", path("client")])
    #expect(text.status == 0)
    #expect(text.lines.contains { $0.contains("Feed") && $0.contains("discoveryKey") })
    #expect(text.lines.contains { $0.contains("--key-file") })
    #expect(!text.lines.contains { $0.contains("Handshake") || $0.contains("\u{1b}") })
    #expect(!text.lines.contains { $0.contains(key) })
  }

  @Test func `a room and a database are recorded`() async throws {
    let ana = try await ChatProcess(
      path("ana"), name: "ana", listen: true, options: ["--record", path("room")])
    let bea = try await ChatProcess(
      path("bea"), key: ana.key, name: "bea", connect: [try #require(ana.address)])
    try await bea.process.line(containing: #""event":"authorized""#)
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
    let room = try await DatProcess.run([
      "wire", path("room"), "--key-file", try keyFile(ana.key), "--json",
    ])
    #expect(room.status == 0, "\(room.errors)")
    let messages = try objects(room.lines)
    #expect(messages.contains { ($0["userData"] as? String)?.contains("bea") == true })

    _ = try await DatProcess.run(["db", "put", path("db"), "a", "1"])
    let server = try await DatProcess([
      "db", "serve", path("db"), "--listen", "127.0.0.1:0", "--json",
    ])
    let ready = try ChatProcess.event(try await server.line(containing: #""event":"ready""#))
    let key = try #require(ready["key"] as? String)
    let address = try await listening(server)
    let synced = try await DatProcess.run([
      "db", "sync", path("copy"), key, "--connect", address, "--record", path("sync"),
    ])
    #expect(synced.status == 0, "\(synced.errors)")
    await server.signal(SIGTERM)
    _ = await server.status()
    let sync = try await DatProcess.run([
      "wire", path("sync"), "--key-file", try keyFile(key), "--json",
    ])
    #expect(sync.status == 0, "\(sync.errors)")
    #expect(try objects(sync.lines).contains { $0["type"] as? String == "Data" })
  }

  @Test func `the bytes of one end of the reference's are decoded`() async throws {
    let session = try RecordedSession("hyperdb-two-writers-1")
    let key = try keyFile(session.key.hex)
    for side in RecordedSession.Side.allCases {
      let bytes = session.chunks.filter { $0.from == side }.flatMap(\.bytes)
      try Data(bytes).write(to: URL(fileURLWithPath: path("bytes")))
      let shown = try await DatProcess.run(["wire", path("bytes"), "--key-file", key, "--json"])
      #expect(shown.status == 0, "\(shown.errors)")
      let count = try objects(shown.lines).filter { $0["type"] as? String != "KeepAlive" }.count
      #expect(count == session.said(by: side).count)
    }
  }

  @Test func `no file is overwritten by a recording, and nothing is made without one`() async throws
  {
    try Data("mine".utf8).write(to: URL(fileURLWithPath: path("taken")))
    let key = String(repeating: "ab", count: 32)
    let result = try await DatProcess.run([
      "feed", "clone", path("copy"), key, "--connect", "127.0.0.1:1", "--record", path("taken"),
    ])
    #expect(result.status == 1)
    #expect(result.errors.contains("name a new file"), "\(result.errors)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: path("taken"))) == Data("mine".utf8))
    #expect(!FileManager.default.fileExists(atPath: path("copy")))
  }

  @Test func `what can't be decoded is named, and ends with 1`() async throws {
    let cases: [([UInt8], String)] = [
      ([0xff, 0xff, 0xff, 0xff, 0xff], "could not be decoded"), ([], "empty"),
      (Array("{\"dat\":\"recording\",\"version\":1}\nno\n".utf8), "ine 2"),
    ]
    for (bytes, words) in cases {
      try Data(bytes).write(to: URL(fileURLWithPath: path("bad")))
      let result = try await DatProcess.run(["wire", path("bad")])
      #expect(result.status == 1)
      #expect(result.errors.contains(words), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    }
  }

  @Test func `a recording ends at its limit with a word`() throws {
    let problems = Problems()
    let recorder = try Recorder(path("small"), limit: 4_000, now: { 5 }) { problems.add($0) }
    let tap = recorder.tap(.init(host: "192.0.2.7", port: 1), isInbound: true, nil)
    for _ in 0..<100 { tap.received([UInt8](repeating: 7, count: 100)) }
    tap.ended()
    let lines = try String(contentsOfFile: path("small"), encoding: .utf8).split(separator: "\n")
    #expect(lines.last?.contains("stopped") == true)
    #expect(lines.joined().utf8.count < 4_400)
    #expect(problems.all.count == 1)
  }
}

/// Sentences, collected from any thread.
private final class Problems: Sendable {
  private let lock = NSLock()
  nonisolated(unsafe) private var sentences: [String] = []

  func add(_ sentence: String) { lock.withLock { sentences.append(sentence) } }
  var all: [String] { lock.withLock { sentences } }
}
