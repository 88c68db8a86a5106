import DatTesting
import Foundation
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// `dat host --json` as a process.
struct HostProcess {
  let process: DatProcess
  let dir: String
  let address: String

  init(_ dir: String, _ arguments: [String] = []) async throws {
    self.dir = dir
    process = try await DatProcess(
      ["host", dir, "--json", "--listen", "127.0.0.1:0"] + arguments)
    let listening = try ChatProcess.event(
      try await process.line(containing: #""event":"listening""#))
    address = "127.0.0.1:\(listening["port"] as? Int ?? 0)"
    try await process.line(containing: #""event":"ready""#)
  }

  /// Runs `dat host COMMAND --dir DIR …`; returns its status, its lines as values, and its complaints.
  func ask(_ command: String, _ arguments: [String] = []) async throws -> (
    status: Int32, replicas: [[String: Any]], problem: String
  ) {
    let result = try await DatProcess.run(["host", command, "--dir", dir, "--json"] + arguments)
    let objects = try result.lines.map {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
    }
    let problem = objects.first { $0["event"] as? String == "error" }?["message"] as? String
    return (result.status, objects.filter { $0["key"] != nil }, problem ?? "")
  }

  func end() async -> Int32 {
    await process.signal(SIGTERM)
    return await process.status()
  }
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct HostCommandTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  @Test func `two people who are never online together talk through a host, across its restart`()
    async throws
  {
    var host = try await HostProcess(dir("host"))
    var ana = try await ChatProcess(dir("ana"), name: "ana", connect: [host.address])
    #expect(try await host.ask("add", ["room:\(ana.key)"]).status == 0)
    // What is written after the host was authorized reaches it.
    try await ana.event("join", "username", "host")
    await ana.process.send("for bea")
    try await ana.event("message", "message", "for bea")
    // Leaves once the host has it.
    await ana.process.closeInput()
    #expect(await ana.process.status() == 0)
    #expect(await host.end() == 0)

    host = try await HostProcess(dir("host"))
    let bea = try await ChatProcess(
      dir("bea"), key: ana.key, name: "bea", connect: [host.address])
    try await bea.event("message", "message", "for bea")
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("for ana")
    await bea.process.closeInput()
    #expect(await bea.process.status() == 0)

    ana = try await ChatProcess(dir("ana"), name: "ana", connect: [host.address])
    try await ana.event("message", "message", "for ana")
    #expect(await ana.leave() == 0)
    #expect(await host.end() == 0)
  }

  @Test func `keys are added, listed and removed while it runs, and kept when it is killed`()
    async throws
  {
    var host = try await HostProcess(dir("host"), ["feed:" + String(repeating: "ab", count: 32)])
    let key = String(repeating: "cd", count: 32)
    let added = try await host.ask("add", ["room:\(key)"])
    #expect(added.status == 0)
    #expect(added.replicas.first?["kind"] as? String == "room")
    #expect(try await host.ask("list").replicas.count == 2)
    await host.process.signal(SIGKILL)
    _ = await host.process.status()

    host = try await HostProcess(dir("host"))
    #expect(try await host.ask("list").replicas.count == 2)
    #expect(try await host.ask("remove", ["--delete", key]).status == 0)
    #expect(try await host.ask("list").replicas.count == 1)
    let unknown = try await host.ask("remove", [key])
    #expect(unknown.status == 1)
    #expect(unknown.problem.contains("not hosted"))
    let wrong = try await host.ask("add", ["abc"])
    #expect(wrong.status == 1)
    #expect(wrong.problem.contains("no key"))
    #expect(await host.end() == 0)
    #expect(!FileManager.default.fileExists(atPath: dir("host/control")))
  }

  @Test func `the page of metrics tells what it hosts`() async throws {
    let host = try await HostProcess(
      dir("host"), ["room:" + String(repeating: "ab", count: 32), "--metrics", "0"])
    let line = try ChatProcess.event(
      try await host.process.line(containing: #""event":"metrics""#))
    let port = try #require(line["port"] as? Int)
    let (data, _) = try await URLSession.shared.data(
      from: try #require(URL(string: "http://127.0.0.1:\(port)/metrics")))
    let page = try PrometheusPage(String(decoding: data, as: UTF8.self))
    #expect(page.values["dat_host_replicas{kind=room}"] == 1)
    #expect(page.values["dat_host_connections"] == 0)
    #expect(await host.end() == 0)
  }

  @Test(arguments: [
    (["not-a-key"], "no key"),
    (["--listen", "nowhere"], "host:port"),
    (["--fleet", "/nonexistent", "--self", "a"], "There is no file"),
    (["--fleet", "/dev/null"], "--self NAME"),
    (["--fleet", "/dev/null", "--self", "a"], "new-fleet-key"),
    (["--fleet", "/dev/null", "--self", "a", "--fleet-key", "/dev/null"], "no fleet key"),
    (["--fleet", "srv:a..b", "--self", "a"], "no SRV records"),
    (["--fleet", "srv:_dat._tcp.example.org@dns", "--self", "a"], "no address of a DNS server"),
  ])
  func `what is wrong is said in one sentence`(arguments: [String], words: String) async throws {
    let result = try await DatProcess.run(["host", dir("bad")] + arguments)
    #expect(result.status == 1)
    #expect(result.lines.isEmpty)
    #expect(result.errors.contains(words), "\(result.errors)")
  }

  @Test func `a second host in one folder is told about the first`() async throws {
    let host = try await HostProcess(dir("host"))
    let result = try await DatProcess.run(["host", dir("host"), "--listen", "127.0.0.1:0"])
    #expect(result.status == 1)
    #expect(result.errors.contains("process"), "\(result.errors)")
    #expect(try await host.ask("list").status == 0)
    #expect(await host.end() == 0)
  }
}

extension HostCommandTests {
  @Test func `two hosts of a fleet share what is added on one, and a new key overwrites none`()
    async throws
  {
    let key = folder.path + "/fleet.key"
    #expect(try await DatProcess.run(["host", "new-fleet-key", key]).status == 0)
    let mode = try FileManager.default.attributesOfItem(atPath: key)[.posixPermissions]
    #expect(mode as? Int == 0o600)
    let again = try await DatProcess.run(["host", "new-fleet-key", key])
    #expect(again.status == 1 && again.errors.contains("is there already"), "\(again.errors)")
    let hosts = folder.path + "/hosts.txt"
    try Data("a\n".utf8).write(to: URL(fileURLWithPath: hosts))
    func start(_ name: String) async throws -> HostProcess {
      try await HostProcess(
        folder.path + "/" + name, ["--fleet", hosts, "--fleet-key", key, "--self", name])
    }
    let (a, b) = (try await start("a"), try await start("b"))
    try Data("a \(a.address)\nb \(b.address)\n".utf8).write(to: URL(fileURLWithPath: hosts))
    let added = String(repeating: "ab", count: 32)
    #expect(try await a.ask("add", ["feed:\(added)"]).status == 0)
    while try await b.ask("list").replicas.first?["key"] as? String != added {}
    let screen = try await DatProcess.run(["host", "status", "--dir", b.dir])
    #expect(screen.lines.contains { $0.contains("2 members, 1 connected") }, "\(screen.lines)")
    #expect(try await b.ask("remove", [added]).status == 0)
    while try await !a.ask("list").replicas.isEmpty {}
    for host in [a, b] { #expect(await host.end() == 0) }
  }
}
