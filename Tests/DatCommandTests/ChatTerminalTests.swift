import DatSwarm
import DatTesting
import Foundation
import HyperDB
import HypercoreCrypto
import RandomAccessStorage
import Saga
import Testing

/// `dat chat` at a terminal.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ChatTerminalTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  /// Returns Ana at a terminal, with the key and address of her room.
  private func ana(
    _ options: [String] = [], environment: [String: String] = [:], columns: Int = 80, rows: Int = 24
  ) async throws -> (terminal: TerminalProcess, key: String, address: String) {
    let terminal = try await TerminalProcess(
      ["chat", dir("ana"), "--name", "ana", "--listen", "127.0.0.1:0"] + options,
      environment: ["HOME": folder.path].merging(environment) { $1 }, columns: columns, rows: rows)
    try await terminal.row(containing: "listening on ")
    try await terminal.prompt(">")
    let rows = await terminal.screen.allRows.joined()
    let link = try #require(rows.firstRange(of: /dat:\/\/[0-9a-f]{64}/))
    let place = try #require(rows.firstRange(of: /127\.0\.0\.1:[0-9]+/))
    return (terminal, String(rows[link]), String(rows[place]))
  }

  private func bea(
    _ key: String, _ address: String, name: String = "bea", as folder: String = "bea"
  )
    async throws -> ChatProcess
  {
    let bea = try await ChatProcess(dir(folder), key: key, name: name, connect: [address])
    try await bea.process.line(containing: #""event":"authorized""#)
    return bea
  }

  @Test func `what is being typed survives the messages that arrive`() async throws {
    let (ana, key, address) = try await ana()
    await ana.type("Grüße an al")
    try await ana.prompt("> Grüße an al")
    let bea = try await bea(key, address)
    await bea.process.send("hello from bea")
    try await ana.row(containing: "bea: hello from bea")
    try await ana.prompt("> Grüße an al")
    // Keys that move the cursor work within the line, and nothing is sent before Enter.
    await ana.type("le\u{1}liebe \u{5}!\r")
    try await bea.event("message", "message", "liebe Grüße an alle!")
    try await ana.row(containing: "ana: liebe Grüße an alle!")
    try await ana.prompt(">")
    // The typed line has become the message.
    #expect(await !ana.screen.allRows.contains { $0.hasPrefix("> ") })
    for number in 0..<40 { await bea.process.send("burst \(number)") }
    await ana.type("typed in the mid")
    try await ana.row(containing: "burst 39")
    try await ana.prompt("> typed in the mid")
    let shown = await ana.screen.allRows.filter { $0.contains("burst") }
    #expect(shown.count == 40 && shown.allSatisfy { $0.contains("bea: burst") }, "\(shown)")
    #expect(await bea.leave() == 0)
    await ana.type("\u{3}")
    #expect(await ana.status() == 0)
  }

  @Test func `a line of several rows survives messages and another window`() async throws {
    let (ana, key, address) = try await ana(columns: 40, rows: 12)
    let words = (1...20).map { "word\($0)" }.joined(separator: " ")
    let line = "> " + words
    @Sendable func isWhole(_ screen: TerminalScreen) -> Bool {
      // The rows of a wrapped text, joined again; a row's last space is not visible.
      let flat = screen.rows.joined().filter { $0 != " " }
      return flat.hasSuffix(line.filter { $0 != " " })
    }
    await ana.type(words)
    try await ana.until("line that is whole", isWhole)
    let bea = try await bea(key, address)
    await bea.process.send("hello")
    try await ana.row(containing: "bea: hello")
    try await ana.until("line that is whole", isWhole)
    await ana.resize(columns: 60, rows: 15)
    await bea.process.send("after the window grew")
    try await ana.row(containing: "bea: after the window grew")
    try await ana.until { isWhole($0) && $0.rows.last == String(line.suffix(line.count % 60)) }
    await ana.resize(columns: 25, rows: 15)
    try await ana.until("line that is whole", isWhole)
    // The cursor is in the first of several rows.
    await ana.type("\u{1}")
    await bea.process.send("again")
    try await ana.row(containing: "bea: again")
    await ana.type("start ")
    await ana.type("\r")
    try await bea.event("message", "message", "start " + words)
    try await ana.prompt(">")
    #expect(await bea.leave() == 0)
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
  }

  @Test(arguments: ["\u{3}", "\u{4}", "/leave\r"])
  func `Ctrl-C, Ctrl-D and leaving give the terminal back as it was`(keys: String) async throws {
    let (ana, _, _) = try await ana()
    // Between one line and the next it has the terminal as programs leave it.
    while await ana.isCooked { try await Task.sleep(for: .milliseconds(5)) }
    await ana.type(keys)
    #expect(await ana.status() == 0)
    #expect(await ana.isCooked)
    #expect(await ana.hasEndOfFile)
    #expect(await ana.screen.rows.last != ">")
    #expect(await !ana.screen.rows.contains { $0.contains("Fatal") || $0.contains("rror") })
  }

  @Test func `Ctrl-D right behind a line is not lost`() async throws {
    let (ana, _, _) = try await ana()
    let lines = String(repeating: "/who\r", count: 20)
    // On a machine that is busy the moment may not be met.
    if await !ana.type(lines, thenBetweenLines: "\u{4}") { await ana.type("\u{4}") }
    #expect(await ana.status() == 0)
    #expect(await ana.isCooked)
    #expect(await ana.hasEndOfFile)
  }

  @Test func `Ctrl-Space at an empty line leaves nothing`() async throws {
    let (ana, _, _) = try await ana()
    for line in ["still here", "and here"] {
      await ana.type("\0")
      await ana.type(line + "\r")
      try await ana.row(containing: "ana: " + line)
      try await ana.prompt(">")
    }
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
  }

  @Test func `Ctrl-C leaves with a line half typed`() async throws {
    let (ana, _, _) = try await ana()
    await ana.type("never mind")
    try await ana.prompt("> never mind")
    await ana.type("\u{3}")
    #expect(await ana.status() == 0)
    #expect(await ana.isCooked)
  }

  @Test func `lines are called back, and commands and names completed`() async throws {
    let (ana, key, address) = try await ana()
    let bea = try await bea(key, address, name: "beatrice")
    try await ana.row(containing: "beatrice joined")
    await ana.type("first\r")
    try await ana.row(containing: "ana: first")
    await ana.type("second\r")
    try await ana.row(containing: "ana: second")
    await ana.type("\u{1b}[A\u{1b}[A")
    try await ana.prompt("> first")
    await ana.type("\u{15}/w\t")
    try await ana.until { $0.rows.last == "> /who" && $0.column == 7 }
    await ana.type("\u{15}/m\t")
    try await ana.until { $0.rows.last == "> /mute" && $0.column == 8 }
    await ana.type("be\t")
    try await ana.prompt("> /mute beatrice")
    await ana.type("\u{15}/\t\t")
    try await ana.row(containing: "/who  /key  /search  /edit  /delete  /accept")
    try await ana.prompt("> /")
    await ana.type("\u{15}Bea\t")
    try await ana.prompt("> beatrice")
    #expect(await bea.leave() == 0)
    await ana.type("\u{3}")
    #expect(await ana.status() == 0)
  }

  @Test func `the room answers to its commands`() async throws {
    let (ana, key, address) = try await ana()
    let bea = try await bea(key, address)
    await bea.process.send("Zürich is reached at noon")
    try await ana.row(containing: "at noon")
    await ana.type("/who\r")
    try await ana.row(containing: "ana (you)")
    try await ana.row(containing: "bea [\(bea.local.prefix(10))] is here")
    await ana.type("/search zurich\r")
    try await ana.until { $0.allRows.filter { $0.contains("at noon") }.count == 2 }
    await ana.type("/search nowhere\r")
    try await ana.row(containing: "nothing found")
    await ana.type("/help\r")
    try await ana.row(containing: "/accept NAME|KEY")
    await ana.type("/key\r")
    try await ana.until { $0.allRows.filter { $0.contains(key) }.count >= 2 }
    await ana.type("/nonsense\r")
    try await ana.row(containing: "/nonsense is no command")
    await ana.type("//begins with a slash\r")
    try await bea.event("message", "message", "/begins with a slash")
    await ana.type("/mute bea\r")
    try await ana.row(containing: "bea is muted here")
    await bea.process.send("not to be seen")
    try await ana.row(containing: "what they write is not shown")
    #expect(await !ana.screen.allRows.contains { $0.contains("not to be seen") })
    await ana.type("/unmute \(bea.local.prefix(8))\r")
    try await ana.row(containing: "bea is shown again")
    await bea.process.send("to be seen")
    try await ana.row(containing: "bea: to be seen")
    #expect(await bea.leave() == 0)
    await ana.type("\u{3}")
    #expect(await ana.status() == 0)
  }

  @Test func `who is muted stays so, and is asked about no more`() async throws {
    var (ana, key, address) = try await ana(["--authorize", "ask"])
    await ana.type("welcome\r")
    try await ana.row(containing: "ana: welcome")
    let eve = try await ChatProcess(dir("eve"), key: key, name: "eve", connect: [address])
    try await ana.row(containing: "eve wants to write")
    await ana.type("/refuse eve\r")
    try await ana.row(containing: "eve is refused here; another writer may say yes")
    await ana.type("/mute eve\r")
    try await ana.row(containing: "eve is muted here")
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
    #expect(await eve.leave() == 0)
    let notes = try FileManager.default.attributesOfItem(atPath: dir("ana") + "/chat.json")
    #expect(notes[.posixPermissions] as? Int == 0o600)

    (ana, key, address) = try await self.ana(["--authorize", "ask"])
    let again = try await ChatProcess(dir("eve"), key: key, name: "eve", connect: [address])
    try await ana.row(containing: "eve joined")
    await ana.type("/who\r")
    try await ana.row(containing: "muted")
    #expect(await !ana.screen.allRows.contains { $0.contains("wants to write") })
    await ana.type("/accept eve\r")
    try await again.process.line(containing: #""event":"authorized""#)
    await again.process.send("thank you")
    try await ana.row(containing: "eve: thank you")
    #expect(await again.leave() == 0)
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
  }

  @Test func `names that look alike are told apart, and what strangers write stays in its line`()
    async throws
  {
    let (ana, key, address) = try await ana()
    let other = try await bea(key, address, name: "АNA", as: "other")
    await other.process.send("\u{1b}[2J\u{1b}]0;title\u{7}\u{202e}gnp.exe\u{9b}31m\u{200b}")
    let row = try await ana.row(containing: "gnp.exe")
    #expect(row.contains("АNA [\(other.local.prefix(10))]"), "\(row)")
    #expect(row.contains("\\u{1b}[2J") && row.contains("\\u{202e}"))
    // The earlier lines are still there.
    #expect(await ana.screen.allRows.contains { $0.contains("listening on") })
    try await ana.prompt(">")
    #expect(await other.leave() == 0)
    await ana.type("\u{3}")
    #expect(await ana.status() == 0)
  }

  @Test func `a megabyte of one message is cut, and what follows is shown`() async throws {
    let (ana, link, address) = try await ana()
    let key = try #require(PublicKey(hex: String(link.suffix(64))))
    let eve = try await Saga.open(storage: MemoryStorage(), key: key, username: "eve")
    let events = eve.events(stored: .none)
    let swarm = Swarm()
    await swarm.join(eve.db.discoveryKey) { _ in
      try await eve.replicate()
    } meet: { stream, _ in
      try? await eve.connect(stream)
    }
    await swarm.connect(to: try PeerAddress(parsing: address), about: eve.db.discoveryKey)
    for await event in events { if case .authorized = event { break } }
    for (number, count) in [1_000_000, 3_000_000].enumerated() {
      let text = String(repeating: "W", count: count)
      let value = #"{"message":"\#(text)","username":"\#(text.prefix(9000))","timestamp":1}"#
      try await eve.db.put("messages/huge/\(number)", Array(value.utf8))
    }
    try await eve.writeMessage("after it")
    try await ana.row(containing: "eve: after it")
    let rows = await ana.screen.allRows
    #expect((40..<70).contains(rows.count { $0.contains("WWWWWWWW") }))
    #expect(rows.contains { $0.contains("[…]") })
    #expect(rows.contains { $0.contains("can't be read as a message") })
    await ana.type("still typing")
    try await ana.prompt("> still typing")
    await swarm.close()
    await eve.close()
    await ana.type("\u{3}")
    #expect(await ana.status() == 0)
  }

  @Test func `a short absence leaves no trace, a longer one shows`() async throws {
    // Longer than the start of a process can take.
    let (ana, key, address) = try await ana(["--patience", "3600"])
    var bea = try await bea(key, address)
    try await ana.row(containing: "bea joined")
    #expect(await bea.leave() == 0)
    // Already authorized, so nothing is reported about it.
    bea = try await ChatProcess(dir("bea"), key: key, name: "bea", connect: [address])
    await bea.process.send("back again")
    try await ana.row(containing: "bea: back again")
    let notes = await ana.screen.allRows.filter { $0.hasPrefix("bea ") }
    #expect(notes == ["bea joined"])
    await ana.type("\u{3}")
    #expect(await ana.status() == 0)
    #expect(await bea.leave() == 0)

    let (second, _, address2) = try await self.ana(["--patience", "0"])
    bea = try await ChatProcess(dir("bea"), key: key, name: "bea", connect: [address2])
    try await second.row(containing: "bea joined")
    #expect(await bea.leave() == 0)
    try await second.row(containing: "bea left")
    await second.type("\u{3}")
    #expect(await second.status() == 0)
  }

  @Test func `colours are for terminals, and not for those who don't want them`() async throws {
    func colours(_ environment: [String: String]) async throws -> Bool {
      let (ana, _, _) = try await ana(environment: environment)
      await ana.type("in colour?\r")
      try await ana.row(containing: "ana: in colour?")
      await ana.type("\u{4}")
      #expect(await ana.status() == 0)
      let text = String(decoding: await ana.output, as: UTF8.self)
      return text.contains(/\u{1b}\[[0-9;]*[1-9][0-9;]*m/)
    }
    #expect(try await colours([:]))
    #expect(try await !colours(["NO_COLOR": "1"]))
  }

  @Test func `in a pipe lines are plain, and commands are answered`() async throws {
    let (status, lines, errors) = try await DatProcess.run(
      ["chat", dir("plain"), "--name", "ana", "--no-lan"], input: "hello\n/who\n\n/nonsense\n")
    #expect(status == 0)
    #expect(!lines.joined().contains("\u{1b}") && !lines.contains { $0.hasPrefix(">") })
    #expect(lines.contains { $0.hasSuffix("ana: hello") })
    #expect(lines.contains { $0.contains("ana (you)") })
    #expect(errors.contains("/nonsense is no command"))
  }

  @Test func `times are those of the place where one is`() async throws {
    func hour(in zone: String) async throws -> Int {
      let result = try await DatProcess.run(
        ["chat", dir("times"), "--name", "ana", "--no-lan"],
        input: FileManager.default.fileExists(atPath: dir("times")) ? "" : "hello\n",
        environment: ["TZ": zone])
      let line = try #require(result.lines.first { $0.hasSuffix("ana: hello") })
      return try #require(Int(line.prefix(2)))
    }
    let (here, there) = (try await hour(in: "UTC"), try await hour(in: "Asia/Tokyo"))
    #expect((there - here + 24) % 24 == 9)
  }

  @Test func `whether the DHT may be used is asked once, and remembered`() async throws {
    func start() async throws -> TerminalProcess {
      try await TerminalProcess(
        ["chat", dir("ana"), "--name", "ana", "--no-lan"], environment: ["HOME": folder.path])
    }
    var ana = try await start()
    try await ana.row(containing: "BitTorrent DHT")
    try await ana.until("question") { $0.allRows.contains { $0.contains("[y/N]") } }
    await ana.type("no\r")
    try await ana.prompt(">")
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
    ana = try await start()
    try await ana.prompt(">")
    #expect(await !ana.screen.allRows.contains { $0.contains("DHT") })
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
    // No question is asked in a pipe, nor if addresses are given.
    let piped = try await DatProcess.run(
      ["chat", dir("bea"), "--name", "bea", "--no-lan"], input: "hello\n")
    #expect(!piped.lines.joined().contains("DHT") && piped.status == 0)
    ana = try await self.ana().terminal
    #expect(await !ana.screen.allRows.contains { $0.contains("DHT") })
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
  }

  @Test func `a terminal that can do nothing is left alone`() async throws {
    let ana = try await TerminalProcess(
      ["chat", dir("ana"), "--name", "ana", "--no-lan", "--no-dht"], environment: ["TERM": "dumb"])
    try await ana.row(containing: "dat://")
    await ana.type("hello\r")
    try await ana.row(containing: "ana: hello")
    await ana.type("\u{4}")
    #expect(await ana.status() == 0)
  }
}
