import DatTesting
import Foundation
import Testing

/// Folders that were copied and written in both places, and keys without blocks, as people meet them.
@Suite(.serialized) struct ForkCommandTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  private func copy(_ name: String, to other: String) throws {
    try FileManager.default.copyItem(atPath: dir(name), toPath: dir(other))
  }

  private func run(_ arguments: String..., input: String = "") async throws -> (
    status: Int32, lines: [String], errors: String
  ) { try await DatProcess.run(arguments, input: input) }

  private func say(_ text: String, in name: String) async throws {
    let said = try await run(
      "chat", dir(name), "--name", "bea", "--no-lan", "--json", input: text + "\n")
    #expect(said.status == 0, "\(said)")
  }

  /// A room of ana's that bea is in, with bea's folder copied and both copies written.
  private func forkedRoom() async throws -> String {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let bea = try await ChatProcess(
      dir("bea"), key: ana.key, name: "bea", connect: [try #require(ana.address)])
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("before")
    try await ana.event("message", "message", "before")
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
    try copy("bea", to: "copy")
    try await say("on the laptop", in: "bea")
    try await say("on the desktop\nand again", in: "copy")
    return ana.key
  }

  /// Both copies meet ana, one after the other, and are told.
  private func meet() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    let laptop = try await ChatProcess(dir("bea"), name: "bea", connect: [address])
    try await ana.event("message", "message", "on the laptop")
    let desktop = try await ChatProcess(dir("copy"), name: "bea", connect: [address])
    for peer in [ana, laptop, desktop] {
      let line = try await peer.process.line(containing: #""event":"forked""#)
      let own = try ChatProcess.event(line)["data"] as? [String: Any]
      #expect(own?["own"] as? Bool == (peer.local != ana.local))
      #expect(line.contains("dat recover"))
    }
    // Nobody lost a connection over it.
    await desktop.process.send("refused")
    try await desktop.process.line {
      $0.contains(#""event":"error""#) && $0.contains("dat recover")
    }
    await ana.process.send("still here")
    for peer in [laptop, desktop] { try await peer.event("message", "message", "still here") }
    for peer in [laptop, desktop, ana] { #expect(await peer.leave() == 0) }
    #expect(await !ana.messages().contains("on the desktop"))
  }

  @Test func `a copied room is told everywhere, and both copies go on with new keys`() async throws
  {
    _ = try await forkedRoom()
    try await meet()
    // Later openings say so, too.
    for name in ["bea", "copy"] {
      let doctor = try await run("doctor", dir(name))
      #expect(doctor.status == 1 && doctor.lines.contains { $0.contains("two histories") })
      #expect(try await run("db", "list", dir(name)).errors.contains("dat recover"))
    }
    let before = try contents(of: dir("copy"))
    let list = try await run("recover", dir("copy"))
    #expect(
      list.status == 0 && list.lines.contains { $0.hasSuffix("bea: on the desktop") }, "\(list)")
    #expect(list.lines.contains { $0.hasSuffix("bea: and again") })
    #expect(!list.lines.contains { $0.contains("before") })
    #expect(try contents(of: dir("copy")) == before)
    let done = try await run("recover", dir("copy"), "--yes", "--json")
    #expect(done.status == 0, "\(done)")
    let told = try ChatProcess.event(try #require(done.lines.last))
    #expect(told["event"] as? String == "recovered" && told["written"] as? Int == 2)
    #expect(told["oldFolder"] as? String == dir("copy.forked-1"))
    #expect(try contents(of: dir("copy.forked-1")) == before)
    let kept = try await run("recover", dir("bea"), "--keep", "--yes")
    #expect(kept.status == 0, "\(kept)")

    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    let laptop = try await ChatProcess(dir("bea"), name: "bea", connect: [address])
    let desktop = try await ChatProcess(dir("copy"), name: "bea", connect: [address])
    for peer in [ana, laptop, desktop] {
      for text in ["before", "on the laptop", "on the desktop", "and again"] {
        try await peer.event("message", "message", text)
      }
    }
    for (peer, text) in [(laptop, "new laptop"), (desktop, "new desktop")] {
      await peer.process.send(text)
      for reader in [ana, laptop, desktop] { try await reader.event("message", "message", text) }
    }
    let all = ["before", "on the laptop", "on the desktop", "and again", "still here"]
    for peer in [ana, laptop, desktop] {
      #expect(await peer.messages().sorted() == (all + ["new laptop", "new desktop"]).sorted())
      #expect(await peer.leave() == 0)
    }
    for name in ["bea", "copy"] { #expect(try await run("doctor", dir(name)).status == 0) }
  }

  @Test func `a recovery that was killed is finished or taken back, and nothing is lost`()
    async throws
  {
    _ = try await forkedRoom()
    try await meet()
    let before = try contents(of: dir("copy"))
    // Killed while the new folder was made.
    let building = dir("copy.recovering")
    try FileManager.default.createDirectory(
      atPath: building + "/source", withIntermediateDirectories: true)
    try Data("unfinished\n".utf8).write(to: URL(fileURLWithPath: building + "/recovering"))
    #expect(try await run("recover", dir("copy")).status == 0)
    #expect(!FileManager.default.fileExists(atPath: building))
    #expect(try await run("recover", dir("copy"), "--yes").status == 0)
    let after = try contents(of: dir("copy"))
    // Killed after the new folder took its place.
    let mark = dir("copy") + "/recovering"
    try Data("ready\n".utf8).write(to: URL(fileURLWithPath: mark))
    try FileManager.default.moveItem(atPath: dir("copy.forked-1"), toPath: building)
    let settled = try await run("recover", dir("copy"))
    #expect(settled.status == 0 && settled.errors.contains("copy.forked-1"), "\(settled)")
    #expect(try contents(of: dir("copy.forked-1")) == before)
    #expect(try contents(of: dir("copy")) == after)
    // Where folders can't be exchanged in one step: killed between the two.
    try Data("ready\n".utf8).write(to: URL(fileURLWithPath: mark))
    try FileManager.default.moveItem(atPath: dir("copy"), toPath: building)
    let moved = try await run("recover", dir("copy"))
    #expect(moved.status == 0 && moved.errors.contains("copy.forked-1"), "\(moved)")
    #expect(try contents(of: dir("copy")) == after)
    // Killed anywhere, as it comes.
    try FileManager.default.removeItem(atPath: dir("copy"))
    try FileManager.default.moveItem(atPath: dir("copy.forked-1"), toPath: dir("copy"))
    for pause in 0..<8 {
      let recovering = try await DatProcess(["recover", dir("copy"), "--yes"])
      try await Task.sleep(for: .milliseconds(10 * pause))
      await recovering.signal(SIGKILL)
      _ = await recovering.status()
    }
    let last = try await run("recover", dir("copy"), "--yes")
    #expect(
      last.status == 0 || last.errors.contains("one history") || last.errors.contains("nothing has")
    )
    let texts = try await run("db", "list", dir("copy"), "messages")
    for text in ["before", "on the desktop", "and again"] {
      #expect(texts.lines.filter { $0.contains(text) }.count == 1, "\(text): \(texts)")
    }
    #expect(try contents(of: dir("copy.forked-1")) == before)
    #expect(!FileManager.default.fileExists(atPath: building))
  }

  @Test func `the only writer's entries are exported, to start a new room with`() async throws {
    try await say("before", in: "one")
    try copy("one", to: "two")
    try await say("here", in: "one")
    try await say("there", in: "two")
    let one = try await ChatProcess(dir("one"), name: "bea", listen: true)
    let two = try await ChatProcess(
      dir("two"), name: "bea", connect: [try #require(one.address)])
    for peer in [one, two] { try await peer.process.line(containing: #""event":"forked""#) }
    for peer in [one, two] { #expect(await peer.leave() == 0) }
    let done = try await run("recover", dir("two"), "--yes")
    #expect(done.status == 0, "\(done)")
    let file = dir("two-history-1.jsonl")
    #expect(done.lines.contains { $0.contains("dat db import") && $0.contains(file) }, "\(done)")
    #expect(try await run("db", "import", dir("new"), file).status == 0)
    let chat = try await run("chat", dir("new"), "--name", "bea", "--no-lan", "--json")
    for text in ["before", "there"] { #expect(chat.lines.contains { $0.contains(text) }) }
    #expect(!FileManager.default.fileExists(atPath: dir("two.forked-1")))
  }

  @Test func `a copied feed is told by serve, append and info, and recovered with a new key`()
    async throws
  {
    #expect(try await run("feed", "append", dir("one"), input: "a\nb\n").status == 0)
    try copy("one", to: "two")
    #expect(try await run("feed", "append", dir("one"), input: "c\n").status == 0)
    #expect(try await run("feed", "append", dir("two"), input: "d\ne\n").status == 0)
    let serving = try await DatProcess([
      "feed", "serve", dir("one"), "--listen", "127.0.0.1:0", "--json",
    ])
    let ready = try ChatProcess.event(try await serving.line(containing: #""event":"ready""#))
    let listening = try ChatProcess.event(
      try await serving.line(containing: #""event":"listening""#))
    let address = "127.0.0.1:\(listening["port"] as? Int ?? 0)"
    let key = try #require(ready["key"] as? String)
    let clone = try await run("feed", "clone", dir("two"), key, "--connect", address)
    #expect(clone.status == 1 && clone.errors.contains("dat recover"), "\(clone)")
    await serving.signal(SIGINT)
    #expect(await serving.status() == 0)
    #expect(await serving.errorText.contains("dat recover"))
    for name in ["one", "two"] {
      let append = try await run("feed", "append", dir(name), input: "f\n")
      #expect(append.status == 1 && append.errors.contains("dat recover"), "\(append)")
      let info = try await run("feed", "info", dir(name))
      #expect(info.lines.contains { $0.contains("two histories") })
      #expect(try await run("doctor", dir(name)).status == 1)
    }
    let done = try await run("recover", dir("two"), "--yes")
    #expect(done.status == 0 && done.lines.contains { $0.contains("agree on 2 blocks") }, "\(done)")
    #expect(try await run("feed", "cat", dir("two")).lines == ["a", "b", "d", "e"])
    #expect(try await run("feed", "append", dir("two"), input: "f\n").status == 0)
    #expect(try await run("feed", "cat", dir("two.forked-1")).lines == ["a", "b", "d", "e"])
  }

  @Test func `a folder that is no fork is left alone`() async throws {
    for arguments in [["feed", "append"], ["db", "put"]] {
      let name = arguments[0]
      _ = try await DatProcess.run(
        arguments + [dir(name)] + (name == "db" ? ["k", "1"] : []), input: "a\n")
      let result = try await run("recover", dir(name), "--yes")
      #expect(result.status == 1 && result.errors.contains("one history"), "\(result)")
    }
    #expect(try await run("recover", dir("none")).status == 1)
    #expect(!FileManager.default.fileExists(atPath: dir("none")))
  }

  // MARK: Keys without blocks

  private func loseBlocks(_ name: String) throws {
    for file in try FileManager.default.contentsOfDirectory(atPath: dir(name))
    where file != "key" && file != "secret_key" {
      try FileManager.default.removeItem(atPath: dir(name) + "/" + file)
    }
  }

  @Test func `a room whose keys were restored keeps what is typed until it is whole`() async throws
  {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    var bea = try await ChatProcess(dir("bea"), key: ana.key, name: "bea", connect: [address])
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("before")
    try await ana.event("message", "message", "before")
    #expect(await bea.leave() == 0)
    try loseBlocks("bea/local")
    // Alone, a line is kept, over a restart as well.
    let alone = try await run(
      "chat", dir("bea"), "--name", "bea", "--no-lan", "--json", input: "kept\n")
    #expect(alone.lines.contains { $0.contains("--new") }, "\(alone)")
    #expect(alone.lines.contains { $0.contains("1 line was not sent") }, "\(alone)")
    bea = try await ChatProcess(dir("bea"), name: "bea", connect: [address])
    await bea.process.send("typed early")
    for text in ["kept", "typed early"] { try await ana.event("message", "message", text) }
    await bea.process.send("typed late")
    try await ana.event("message", "message", "typed late")
    #expect(await bea.messages().contains("before"))
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
    #expect(await ana.process.lines.allSatisfy { !$0.contains("forked") })
    #expect(!FileManager.default.fileExists(atPath: dir("bea/unsent.json")))
  }

  @Test func `keys without blocks append with --new alone`() async throws {
    #expect(try await run("feed", "append", dir("feed"), input: "a\n").status == 0)
    try loseBlocks("feed")
    for _ in 0..<2 {
      let append = try await run("feed", "append", dir("feed"), input: "b\n")
      #expect(append.status == 1 && append.errors.contains("--new"), "\(append)")
      #expect(try await run("doctor", dir("feed")).lines.contains { $0.contains("--new") })
    }
    #expect(try await run("feed", "append", dir("feed"), "--new", input: "b\n").status == 0)
    #expect(try await run("feed", "append", dir("feed"), input: "c\n").status == 0)
    #expect(try await run("feed", "cat", dir("feed")).lines == ["b", "c"])
    #expect(try await run("db", "put", dir("db"), "k", "1").status == 0)
    try loseBlocks("db/source")
    let put = try await run("db", "put", dir("db"), "k", "2")
    #expect(put.status == 1 && put.errors.contains("--new"), "\(put)")
    #expect(try await run("db", "put", dir("db"), "k", "2", "--new").status == 0)
  }

  /// Every file below a folder with its bytes, but for the locks that looking leaves.
  private func contents(of path: String) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      if let data = FileManager.default.contents(atPath: path + "/" + name) { found[name] = data }
    }
    return found
  }
}
