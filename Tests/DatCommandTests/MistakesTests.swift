import DatTesting
import Foundation
import HyperDB
import HypercoreCrypto
import Testing

/// Mistakes of users, and the resulting messages.
@Suite(.serialized, .timeLimit(.minutes(3))) struct MistakesTests {
  let folder: TemporaryFolder
  private let key = String(repeating: "ab", count: 32)

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }
  private func exists(_ name: String) -> Bool {
    FileManager.default.fileExists(atPath: dir(name))
  }

  private func dat(_ arguments: String..., input: String = "") async throws -> (
    status: Int32, lines: [String], errors: String
  ) {
    try await DatProcess.run(arguments, input: input)
  }

  /// Starts `dat db serve` for a folder, and returns its address.
  private func serve(_ kind: String, _ name: String) async throws -> (DatProcess, String) {
    let process = try await DatProcess([
      kind, "serve", dir(name), "--listen", "127.0.0.1:0", "--json",
    ])
    let listening = try ChatProcess.event(
      await process.line(containing: #""event":"listening""#))
    return (process, "127.0.0.1:\(listening["port"] as? Int ?? 0)")
  }

  // MARK: Values and keys

  @Test func `a value that begins with a dash is taken behind two of them, as the hint says`()
    async throws
  {
    let refused = try await dat("db", "put", dir("people"), "balance", "-5")
    #expect(refused.status == 64)
    #expect(refused.errors.contains("-- -5"), "\(refused.errors)")
    #expect(!exists("people"))
    #expect(try await dat("db", "put", dir("people"), "balance", "--", "-5").status == 0)
    #expect(try await dat("db", "get", dir("people"), "balance").lines == ["-5"])
  }

  @Test func `deleting a key that isn't there says so, and writes nothing`() async throws {
    _ = try await dat("db", "put", dir("people"), "a/b", "1")
    let before = try Data(contentsOf: URL(fileURLWithPath: dir("people/source/data")))
    for key in ["c", "a", "a/b/c"] {
      let missing = try await dat("db", "del", dir("people"), key)
      #expect(missing.status == 1)
      #expect(missing.errors == "dat: There was no such key: \(key).\n")
      let allowed = try await dat("db", "del", dir("people"), key, "--missing-ok", "--json")
      #expect(allowed.status == 0)
      #expect(allowed.lines == ["null"] && allowed.errors.isEmpty)
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: dir("people/source/data"))) == before)
    #expect(try await dat("db", "del", dir("people"), "a/b").status == 0)
    #expect(try await dat("db", "del", dir("people"), "a/b").status == 1)
  }

  // MARK: Authority to write

  @Test func `a copy that may not write says so with all that it writes`() async throws {
    _ = try await dat("db", "put", dir("people"), "a", "1")
    let (server, address) = try await serve("db", "people")
    let version = try await dat("db", "version", dir("people")).lines.first ?? ""
    let owner = String(version.prefix(64))
    let synced = try await dat("db", "sync", dir("copy"), owner, "--connect", address, "--json")
    let local = try ChatProcess.event(synced.lines.first ?? "")["local"] as? String ?? ""
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)

    let words = "This replica is not authorized yet"
    let authorized = try await dat("db", "authorize", dir("copy"), key)
    #expect(authorized.errors.contains(words) && authorized.errors.contains(local))
    #expect(authorized.lines == ["\(key) may write, once this replica may"])
    #expect(try await dat("db", "del", dir("copy"), "a").errors.contains(words))
    let imported = try await dat(
      "db", "import", dir("copy"), input: #"{"key":"b","value":1}"# + "\n")
    #expect(imported.errors.contains(words))
    #expect(imported.lines == ["1 key written"])

    let asked = try await dat("db", "authorized", dir("copy"))
    #expect(asked.status == 1)
    #expect(asked.errors.contains("\(local) may not write"))
    #expect(try await dat("db", "authorized", dir("copy"), owner).lines == ["\(owner) may write"])
    let json = try await dat("db", "authorized", dir("people"), local, "--json")
    #expect(json.lines == [#"{"key":"\#(local)","authorized":false}"#])
  }

  @Test func `before any sync nobody knows who may write`() async throws {
    let db = try await HyperDB.open(folder: dir("copy"), key: PublicKey(hex: key))
    await db.close()
    let asked = try await dat("db", "authorized", dir("copy"))
    #expect(asked.status == 1)
    #expect(asked.errors.contains("not known yet"))
    let json = try await dat("db", "authorized", dir("copy"), "--json")
    #expect(json.lines.first?.hasSuffix(#""authorized":null}"#) == true)
  }

  // MARK: Wrong keys

  @Test func `a wrong key is a sentence with both keys' short forms, and stays in nobody's way`()
    async throws
  {
    _ = try await dat("db", "put", dir("people"), "a", "1")
    _ = try await dat("feed", "append", dir("log"), input: "one\n")
    let refused = try await dat("db", "sync", dir("people"), key, "--connect", "127.0.0.1:1")
    #expect(refused.status == 1)
    let owner = String(try await dat("db", "version", dir("people")).lines.first?.prefix(64) ?? "")
    #expect(refused.errors.contains("\(owner.prefix(8))…, not abababab…"), "\(refused.errors)")
    for kind in ["db", "feed"] {
      let (server, address) = try await serve(kind, kind == "db" ? "people" : "log")
      let verb = kind == "db" ? "sync" : "clone"
      let wrong = try await dat(kind, verb, dir("copy"), key, "--connect", address)
      #expect(wrong.status == 1)
      #expect(
        wrong.errors.contains("abababab…") && wrong.errors.contains(address), "\(wrong.errors)")
      #expect(wrong.errors.split(separator: "\n").count == 1)
      #expect(!exists("copy"))
      await server.signal(SIGTERM)
      #expect(await server.status() == 0)
    }
    // A run that was killed left a copy of the wrong key, with nothing in it.
    let copy = try await HyperDB.open(folder: dir("copy"), key: PublicKey(hex: key))
    await copy.close()
    let (server, address) = try await serve("db", "people")
    #expect(try await dat("db", "sync", dir("copy"), owner, "--connect", address).status == 0)
    #expect(try await dat("db", "get", dir("copy"), "a").lines == ["1"])
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
  }

  @Test func `a copy in which something was written is not taken for an empty one`() async throws {
    _ = try await dat("chat", dir("room"), key, "--name", "ana", "--no-lan", input: "hello\n")
    let other = String(repeating: "cd", count: 32)
    let refused = try await dat("chat", dir("room"), other, "--name", "ana", "--no-lan")
    #expect(refused.status == 1)
    #expect(refused.errors.contains("abababab…, not cdcdcdcd…"), "\(refused.errors)")
    let again = try await dat("chat", dir("room"), "--name", "ana", "--no-lan", "--json")
    #expect(again.lines.contains { $0.contains("hello") })
  }

  @Test func `a key may come from the file in which a feed keeps it`() async throws {
    _ = try await dat("db", "put", dir("people"), "a", "1")
    let (server, address) = try await serve("db", "people")
    let synced = try await dat(
      "db", "sync", dir("copy"), "--key-file", dir("people/source/key"), "--connect", address)
    #expect(synced.status == 0, "\(synced.errors)")
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
  }

  // MARK: Rooms

  @Test func `a program is told if nobody took its line, or nobody was there`() async throws {
    let unheard = try await dat(
      "chat", dir("room"), "--name", "ana", "--connect", "127.0.0.1:1", "--linger", "0.3",
      input: "hello\n")
    #expect(unheard.status == 1)
    #expect(unheard.errors.contains("Nobody took what was written"), "\(unheard.errors)")
    let again = try await dat("chat", dir("room"), "--name", "ana", "--no-lan", "--json")
    #expect(again.lines.contains { $0.contains("hello") })
    let lost = try await dat(
      "chat", "--memory", dir("none"), "--name", "ana", "--connect", "127.0.0.1:1", "--linger",
      "0.3", input: "hello\n")
    #expect(lost.status == 1)
    #expect(lost.errors.contains("lost"))
    let alone = try await dat(
      "chat", dir("copy"), key, "--name", "ana", "--connect", "127.0.0.1:1", "--linger", "0.3")
    #expect(alone.status == 1)
    #expect(alone.errors.contains("Nobody was met"))
    // A command that doesn't wait reports nothing.
    let hasty = try await dat(
      "chat", dir("room"), "--name", "ana", "--connect", "127.0.0.1:1", "--linger", "0",
      input: "again\n")
    #expect(hasty.status == 0 && hasty.errors.isEmpty)
  }

  @Test func `a database is no room, and is not listed as one`() async throws {
    _ = try await dat("db", "put", dir("people"), "a", "1")
    _ = try await dat("chat", dir("silent"), "--name", "ana", "--no-lan")
    _ = try await dat("chat", dir("room"), "--name", "ana", "--no-lan", input: "hello\n")
    try FileManager.default.removeItem(atPath: dir("room/chat.json"))
    let rooms = try await dat("rooms", folder.path, "--json")
    #expect(rooms.status == 0 && rooms.errors.isEmpty)
    #expect(rooms.lines.count == 2)
    let refused = try await dat("chat", dir("people"), "--name", "ana", "--no-lan")
    #expect(refused.status == 1)
    #expect(refused.errors.contains("no room") && refused.errors.contains("dat db list"))
    #expect(!exists("people/chat.json") && !exists("people/room-index"))
  }

  // MARK: Wording

  @Test(arguments: [
    (["nosuch"], 64, "There is no command nosuch"),
    (["db", "put", "DIR/people", "k"], 1, "There is no value"),
    (["db", "diff", "DIR/people", "--from", "zz"], 1, "dat db version"),
    (["chat", "DIR/room", "--name", " "], 64, "--name is empty"),
    (["rooms", "DIR/log"], 1, "single feed"), (["doctor", "DIR/log/data"], 1, "is a file"),
    (["host", "list", "--dir", "DIR/none"], 1, "no host's folder"),
    (["host", "list", "--dir", "DIR/log"], 1, "single feed"),
    (["feed", "info", "DIR/log", "--prefix", "x"], 1, "under the prefix"),
    (["chat", "DIR/room", "--name", "a", "--listen", "192.0.2.1:1"], 1, "no such address"),
    (
      ["chat", "DIR/room", "--name", "a", "--no-lan", "--web", "192.0.2.1:1"], 1, "no such address"
    ),
    (["rendezvous", "--listen", "192.0.2.1:1"], 1, "no such address"),
  ])
  func `each mistake has its sentence`(arguments: [String], status: Int32, words: String)
    async throws
  {
    _ = try await dat("feed", "append", dir("log"), input: "one\n")
    _ = try await dat("db", "put", dir("people"), "a", "1")
    let result = try await DatProcess.run(
      arguments.map { $0.replacingOccurrences(of: "DIR", with: folder.path) })
    #expect(result.status == status)
    #expect(result.errors.contains(words), "\(result.errors)")
    #expect(!exists("room") && !exists("none"))
  }

  @Test func `a single one is no plural`() async throws {
    _ = try await dat("feed", "append", dir("log"), input: "one\n")
    _ = try await dat("db", "put", dir("people"), "a", "1")
    for arguments in [
      ["feed", "info", dir("log")], ["feed", "audit", dir("log")], ["doctor", dir("log")],
      ["doctor", dir("people")], ["db", "heads", dir("people")],
    ] {
      let lines = try await DatProcess.run(arguments).lines.joined(separator: "\n")
      #expect(!lines.contains(/\b1 [a-z]+s\b/), "\(lines)")
    }
  }

  // MARK: Without a command

  @Test func `dat alone shows what is here, and what can be done with it`() async throws {
    let script = """
      set -e; cd \(folder.path)
      echo one | dat feed append 'my log' > /dev/null
      dat db put people a 1
      dat chat rooms/first --name ana --no-lan < /dev/null > /dev/null
      dat chat room --name ana --no-lan < /dev/null > /dev/null
      touch notes.txt
      dat
      cd room; dat
      """
    let process = try await DatProcess(
      ["-c", script],
      environment: [
        "PATH": DatProcess.executable.deletingLastPathComponent().path + ":/usr/bin:/bin"
      ],
      executable: URL(fileURLWithPath: "/bin/bash"))
    await process.closeInput()
    #expect(await process.status() == 0)
    let lines = await process.lines
    for words in [
      "dat feed cat 'my log'", "dat db list people", "room is a chat room", "dat rooms rooms",
      "dat chat .",
    ] {
      #expect(lines.contains { $0.contains(words) }, "\(words): \(lines)")
    }
    #expect(!lines.contains { $0.contains("notes.txt") })
  }
}
