import DatTesting
import Foundation
import Testing

/// Folders that were copied and written in both places, and keys without blocks, as users meet them.
@Suite(.serialized) struct ForkCommandTests {
  let scene: ForkScene

  init() throws { scene = try ForkScene() }

  @Test func `a copied room is told everywhere, and both copies go on with new keys`() async throws
  {
    _ = try await scene.forkedRoom()
    try await scene.meet()
    // Later openings report it, too.
    for name in ["bea", "copy"] {
      let doctor = try await scene.run("doctor", scene.dir(name))
      #expect(doctor.status == 1 && doctor.lines.contains { $0.contains("two histories") })
      #expect(try await scene.run("db", "list", scene.dir(name)).errors.contains("dat rekey"))
    }
    let before = try scene.contents(of: scene.dir("copy"))
    let list = try await scene.run("rekey", scene.dir("copy"))
    #expect(
      list.status == 0 && list.lines.contains { $0.hasSuffix("bea: on the desktop") }, "\(list)")
    #expect(list.lines.contains { $0.hasSuffix("bea: and again") })
    #expect(!list.lines.contains { $0.contains("before") })
    #expect(try scene.contents(of: scene.dir("copy")) == before)
    let done = try await scene.run("rekey", scene.dir("copy"), "--yes", "--json")
    #expect(done.status == 0, "\(done)")
    let told = try ChatProcess.event(try #require(done.lines.last))
    #expect(told["event"] as? String == "recovered" && told["written"] as? Int == 2)
    #expect(told["oldFolder"] as? String == scene.dir("copy.forked-1"))
    #expect(try scene.contents(of: scene.dir("copy.forked-1")) == before)
    let kept = try await scene.run("rekey", scene.dir("bea"), "--keep", "--yes")
    #expect(kept.status == 0, "\(kept)")

    let ana = try await ChatProcess(scene.dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    let laptop = try await ChatProcess(scene.dir("bea"), name: "bea", connect: [address])
    let desktop = try await ChatProcess(scene.dir("copy"), name: "bea", connect: [address])
    for peer in [ana, laptop, desktop] {
      for text in ["before", "on the laptop", "on the desktop", "and again", "still here"] {
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
    for name in ["bea", "copy"] {
      #expect(try await scene.run("doctor", scene.dir(name)).status == 0)
    }
  }

  @Test func `a recovery that was killed is finished or taken back, and nothing is lost`()
    async throws
  {
    _ = try await scene.forkedRoom()
    try await scene.meet()
    let before = try scene.contents(of: scene.dir("copy"))
    // Killed while the new folder was being made.
    let building = scene.dir("copy.recovering")
    try FileManager.default.createDirectory(
      atPath: building + "/source", withIntermediateDirectories: true)
    try Data("unfinished\n".utf8).write(to: URL(fileURLWithPath: building + "/recovering"))
    #expect(try await scene.run("rekey", scene.dir("copy")).status == 0)
    #expect(!FileManager.default.fileExists(atPath: building))
    #expect(try await scene.run("rekey", scene.dir("copy"), "--yes").status == 0)
    let after = try scene.contents(of: scene.dir("copy"))
    // Killed before there was anything in it, or after everything was removed again.
    try FileManager.default.createDirectory(
      atPath: building, withIntermediateDirectories: true)
    #expect(try await scene.run("rekey", scene.dir("copy")).status == 1)
    #expect(!FileManager.default.fileExists(atPath: building))
    // Killed after the new folder took its place.
    let mark = scene.dir("copy") + "/recovering"
    try Data("ready\n".utf8).write(to: URL(fileURLWithPath: mark))
    try FileManager.default.moveItem(atPath: scene.dir("copy.forked-1"), toPath: building)
    let settled = try await scene.run("rekey", scene.dir("copy"))
    #expect(settled.status == 0 && settled.errors.contains("copy.forked-1"), "\(settled)")
    #expect(try scene.contents(of: scene.dir("copy.forked-1")) == before)
    #expect(try scene.contents(of: scene.dir("copy")) == after)
    // If folders can't be exchanged in one step: killed between the two.
    try Data("ready\n".utf8).write(to: URL(fileURLWithPath: mark))
    try FileManager.default.moveItem(atPath: scene.dir("copy"), toPath: building)
    let moved = try await scene.run("rekey", scene.dir("copy"))
    #expect(moved.status == 0 && moved.errors.contains("copy.forked-1"), "\(moved)")
    #expect(try scene.contents(of: scene.dir("copy")) == after)
    // Killed at any moment.
    try FileManager.default.removeItem(atPath: scene.dir("copy"))
    try FileManager.default.moveItem(atPath: scene.dir("copy.forked-1"), toPath: scene.dir("copy"))
    for pause in 0..<16 {
      let recovering = try await DatProcess(["rekey", scene.dir("copy"), "--yes"])
      try await Task.sleep(for: .milliseconds(6 * pause))
      await recovering.signal(SIGKILL)
      _ = await recovering.status()
    }
    let last = try await scene.run("rekey", scene.dir("copy"), "--yes")
    #expect(
      last.status == 0 || last.errors.contains("one history") || last.errors.contains("nothing has")
    )
    let texts = try await scene.run("db", "list", scene.dir("copy"), "messages")
    for text in ["before", "on the desktop", "and again"] {
      #expect(texts.lines.filter { $0.contains(text) }.count == 1, "\(text): \(texts)")
    }
    #expect(try scene.contents(of: scene.dir("copy.forked-1")) == before)
    #expect(!FileManager.default.fileExists(atPath: building))
  }

  @Test func `the only writer's entries are exported, to start a new room with`() async throws {
    try await scene.say("before", in: "one")
    try scene.copy("one", to: "two")
    try await scene.say("here", in: "one")
    try await scene.say("there", in: "two")
    let one = try await ChatProcess(scene.dir("one"), name: "bea", listen: true)
    let two = try await ChatProcess(
      scene.dir("two"), name: "bea", connect: [try #require(one.address)])
    for peer in [one, two] { try await peer.process.line(containing: #""event":"forked""#) }
    for peer in [one, two] { #expect(await peer.leave() == 0) }
    let done = try await scene.run("rekey", scene.dir("two"), "--yes")
    #expect(done.status == 0, "\(done)")
    let file = scene.dir("two-history-1.jsonl")
    #expect(done.lines.contains { $0.contains("dat db import") && $0.contains(file) }, "\(done)")
    #expect(try await scene.run("db", "import", scene.dir("new"), file).status == 0)
    let chat = try await scene.run("chat", scene.dir("new"), "--name", "bea", "--no-lan", "--json")
    for text in ["before", "there"] { #expect(chat.lines.contains { $0.contains(text) }) }
    #expect(!FileManager.default.fileExists(atPath: scene.dir("two.forked-1")))
  }

  @Test func `a copied feed is told by serve, append and info, and recovered with a new key`()
    async throws
  {
    #expect(try await scene.run("feed", "append", scene.dir("one"), input: "a\nb\n").status == 0)
    try scene.copy("one", to: "two")
    #expect(try await scene.run("feed", "append", scene.dir("one"), input: "c\n").status == 0)
    #expect(try await scene.run("feed", "append", scene.dir("two"), input: "d\ne\n").status == 0)
    let serving = try await DatProcess([
      "feed", "serve", scene.dir("one"), "--listen", "127.0.0.1:0", "--json",
    ])
    let ready = try ChatProcess.event(try await serving.line(containing: #""event":"ready""#))
    let listening = try ChatProcess.event(
      try await serving.line(containing: #""event":"listening""#))
    let address = "127.0.0.1:\(listening["port"] as? Int ?? 0)"
    let key = try #require(ready["key"] as? String)
    let clone = try await scene.run("feed", "clone", scene.dir("two"), key, "--connect", address)
    #expect(clone.status == 1 && clone.errors.contains("dat rekey"), "\(clone)")
    await serving.signal(SIGINT)
    #expect(await serving.status() == 0)
    #expect(await serving.errorText.contains("dat rekey"))
    for name in ["one", "two"] {
      let append = try await scene.run("feed", "append", scene.dir(name), input: "f\n")
      #expect(append.status == 1 && append.errors.contains("dat rekey"), "\(append)")
      let info = try await scene.run("feed", "info", scene.dir(name))
      #expect(info.lines.contains { $0.contains("two histories") })
      #expect(try await scene.run("doctor", scene.dir(name)).status == 1)
    }
    let done = try await scene.run("rekey", scene.dir("two"), "--yes")
    #expect(done.status == 0 && done.lines.contains { $0.contains("agree on 2 blocks") }, "\(done)")
    #expect(try await scene.run("feed", "cat", scene.dir("two")).lines == ["a", "b", "d", "e"])
    #expect(try await scene.run("feed", "append", scene.dir("two"), input: "f\n").status == 0)
    #expect(
      try await scene.run("feed", "cat", scene.dir("two.forked-1")).lines == ["a", "b", "d", "e"])
  }

  @Test func `a folder that is no fork is left alone`() async throws {
    for arguments in [["feed", "append"], ["db", "put"]] {
      let name = arguments[0]
      _ = try await DatProcess.run(
        arguments + [scene.dir(name)] + (name == "db" ? ["k", "1"] : []), input: "a\n")
      let result = try await scene.run("rekey", scene.dir(name), "--yes")
      #expect(result.status == 1 && result.errors.contains("one history"), "\(result)")
    }
    #expect(try await scene.run("rekey", scene.dir("none")).status == 1)
    #expect(!FileManager.default.fileExists(atPath: scene.dir("none")))
  }

  // MARK: Keys without blocks

  private func loseBlocks(_ name: String) throws {
    for file in try FileManager.default.contentsOfDirectory(atPath: scene.dir(name))
    where file != "key" && file != "secret_key" {
      try FileManager.default.removeItem(atPath: scene.dir(name) + "/" + file)
    }
  }

  @Test func `a room whose keys were restored keeps what is typed until it is whole`() async throws
  {
    let ana = try await ChatProcess(scene.dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    var bea = try await ChatProcess(scene.dir("bea"), key: ana.key, name: "bea", connect: [address])
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("before")
    try await ana.event("message", "message", "before")
    #expect(await bea.leave() == 0)
    try loseBlocks("bea/local")
    // While no peer is there a line is kept, even across a restart.
    let alone = try await scene.run(
      "chat", scene.dir("bea"), "--name", "bea", "--no-lan", "--json", input: "kept\n")
    #expect(alone.lines.contains { $0.contains("--new") }, "\(alone)")
    #expect(alone.lines.contains { $0.contains("1 line was not sent") }, "\(alone)")
    bea = try await ChatProcess(scene.dir("bea"), name: "bea", connect: [address])
    await bea.process.send("typed early")
    for text in ["kept", "typed early"] { try await ana.event("message", "message", text) }
    await bea.process.send("typed late")
    try await ana.event("message", "message", "typed late")
    try await bea.event("message", "message", "before")
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
    #expect(await ana.process.lines.allSatisfy { !$0.contains("forked") })
    #expect(!FileManager.default.fileExists(atPath: scene.dir("bea/unsent.json")))
  }

  @Test func `lines that waited and can't be read are kept aside and named`() async throws {
    let ana = try await ChatProcess(scene.dir("ana"), name: "ana")
    #expect(await ana.leave() == 0)
    let file = scene.dir("ana/unsent.json")
    try Data("[\"torn".utf8).write(to: URL(fileURLWithPath: file))
    let again = try await scene.run(
      "chat", scene.dir("ana"), "--name", "ana", "--no-lan", input: "")
    #expect(again.errors.contains("kept as \(file).unreadable-"), "\(again)")
    let kept = try FileManager.default.contentsOfDirectory(atPath: scene.dir("ana"))
      .filter { $0.hasPrefix("unsent.json") }
    #expect(kept.count == 1 && kept[0] != "unsent.json")
    #expect(
      try String(contentsOfFile: "\(scene.dir("ana"))/\(kept[0])", encoding: .utf8) == "[\"torn")
  }

  @Test func `keys without blocks append with --new alone`() async throws {
    #expect(try await scene.run("feed", "append", scene.dir("feed"), input: "a\n").status == 0)
    try loseBlocks("feed")
    for _ in 0..<2 {
      let append = try await scene.run("feed", "append", scene.dir("feed"), input: "b\n")
      #expect(append.status == 1 && append.errors.contains("--new"), "\(append)")
      #expect(
        try await scene.run("doctor", scene.dir("feed")).lines.contains { $0.contains("--new") })
    }
    #expect(
      try await scene.run("feed", "append", scene.dir("feed"), "--new", input: "b\n").status == 0)
    #expect(try await scene.run("feed", "append", scene.dir("feed"), input: "c\n").status == 0)
    #expect(try await scene.run("feed", "cat", scene.dir("feed")).lines == ["b", "c"])
    #expect(try await scene.run("db", "put", scene.dir("db"), "k", "1").status == 0)
    try loseBlocks("db/source")
    let put = try await scene.run("db", "put", scene.dir("db"), "k", "2")
    #expect(put.status == 1 && put.errors.contains("--new"), "\(put)")
    #expect(try await scene.run("db", "put", scene.dir("db"), "k", "2", "--new").status == 0)
  }
}
