import DatTesting
import Foundation
import Testing

/// `dat signal --json` as a process.
struct SignalProcess {
  let process: DatProcess
  let port: Int
  let url: String
  let page: String?

  init(_ arguments: [String] = [], port: Int = 0) async throws {
    process = try await DatProcess(
      ["signal", "--json", "--listen", "127.0.0.1:\(port)"] + arguments)
    let listening = try ChatProcess.event(
      try await process.line(containing: #""event":"listening""#))
    self.port = listening["port"] as? Int ?? 0
    url = listening["url"] as? String ?? ""
    page = listening["page"] as? String
  }

  func end() async -> Int32 {
    await process.signal(SIGINT)
    return await process.status()
  }
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct SignalCommandTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  /// Returns the options that keep a chat on this machine, and on the hub.
  private func meeting(_ hub: SignalProcess, _ more: String...) -> [String] {
    ["--signal", hub.url] + more
  }

  @Test func `two peers that name one hub share a room, and talk on when it ends`() async throws {
    let hub = try await SignalProcess()
    // They listen on loopback, so their candidates are there; neither knows the other's port.
    let ana = try await ChatProcess(
      dir("ana"), name: "ana", listen: true, options: meeting(hub))
    await ana.process.send("before anybody came")
    let bea = try await ChatProcess(
      dir("bea"), key: ana.key, name: "bea", listen: true, options: meeting(hub))
    try await bea.event("message", "message", "before anybody came")
    try await ana.event("join", "username", "bea")
    try await bea.process.line(containing: #""event":"authorized""#)
    #expect(await hub.end() == 0)
    await bea.process.send("without a hub")
    try await ana.event("message", "message", "without a hub")
    // The loss of the hub is reported once, as a problem.
    try await ana.process.line(containing: "signal hub \(hub.url)")
    // It comes back at the same address, and peers that join then are found.
    let again = try await SignalProcess(port: hub.port)
    let cem = try await ChatProcess(
      dir("cem"), key: ana.key, name: "cem", listen: true, options: meeting(again))
    try await cem.event("message", "message", "without a hub")
    for peer in [cem, bea, ana] { #expect(await peer.leave() == 0) }
    #expect(await again.end() == 0)
  }

  @Test func `a host with a hub of its own keeps the room of those who meet there`() async throws {
    let host = try await HostProcess(dir("host"), ["--signal-listen", "127.0.0.1:0"])
    let signal = try ChatProcess.event(
      try await host.process.line(containing: #""event":"signal""#))
    let url = "http://127.0.0.1:\(try #require(signal["port"] as? Int))"
    let ana = try await ChatProcess(
      dir("ana"), name: "ana", listen: true, options: ["--signal", url])
    #expect(try await host.ask("add", ["room:\(ana.key)"]).status == 0)
    try await ana.event("join", "username", "host")
    await ana.process.send("kept")
    await ana.process.closeInput()
    #expect(await ana.process.status() == 0)
    let bea = try await ChatProcess(
      dir("bea"), key: ana.key, name: "bea", listen: true, options: ["--signal", url])
    try await bea.event("message", "message", "kept")
    #expect(await bea.leave() == 0)
    #expect(await host.end() == 0)
  }

  @Test func `a page beside the hub is served, and its room's link is told`() async throws {
    try FileManager.default.createDirectory(
      atPath: dir("page"), withIntermediateDirectories: true)
    try Data("<h1>the page</h1>".utf8).write(to: URL(fileURLWithPath: dir("page/index.html")))
    let hub = try await SignalProcess(["--page", dir("page")])
    let page = try #require(hub.page)
    let (status, lines, _) = try await DatProcess.run(
      ["chat", "--memory", dir("none"), "--name", "ana", "--page-url", page], input: "")
    #expect(status == 0)
    let key = try #require(lines.first { $0.hasPrefix("dat://") }?.dropFirst(6))
    #expect(lines.contains("\(page)?key=\(key)"))
    #expect(await hub.end() == 0)
  }

  @Test(arguments: [
    (["--signal", "hub.example.org"], "names no signal hub"),
    (["--signal", "ftp://hub.example.org"], "names no signal hub"),
    (["--stun", "192.0.2.1:3478"], "add --signal URL"),
    (["--no-host-candidates", "--signal", "ws://127.0.0.1:1"], "--stun or --turn"),
    (["--signal", "ws://127.0.0.1:1", "--turn", "/nothing/here"], "/nothing/here"),
    (["--signal", "ws://127.0.0.1:1", "--stun", "192.0.2.1"], "write host:port"),
    (["--page-url", "hub.example.org"], "--page-url takes"),
  ])
  func `an option that can't be meant is refused in a sentence`(
    arguments: [String], sentence: String
  ) async throws {
    let (status, _, errors) = try await DatProcess.run(
      ["chat", "--memory", dir("none"), "--name", "ana", "--no-lan"] + arguments, input: "")
    #expect(status != 0)
    #expect(errors.contains(sentence), "\(errors)")
  }

  @Test func `a hub that is none, or can't be reached, is told of and keeps nobody from the rest`()
    async throws
  {
    let ana = try await ChatProcess(
      dir("ana"), name: "ana", listen: true, options: ["--signal", "ws://127.0.0.1:1"])
    try await ana.process.line(containing: "ws://127.0.0.1:1")
    let bea = try await ChatProcess(
      dir("bea"), key: ana.key, name: "bea", connect: [try #require(ana.address)])
    await bea.process.send("over TCP")
    try await ana.event("message", "message", "over TCP")
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
  }

  @Test func `a port that is taken, and a certificate that isn't one, are told in a sentence`()
    async throws
  {
    let hub = try await SignalProcess()
    let taken = try await DatProcess.run(["signal", "--listen", "127.0.0.1:\(hub.port)"])
    #expect(taken.status == 1)
    #expect(taken.errors.contains("another program uses the port"))
    let file = dir("none.pem")
    let wrong = try await DatProcess.run([
      "signal", "--listen", "127.0.0.1:0", "--cert", file, "--key", file,
    ])
    #expect(wrong.status == 1)
    #expect(wrong.errors.contains("can't be used"))
    #expect(await hub.end() == 0)
  }
}
