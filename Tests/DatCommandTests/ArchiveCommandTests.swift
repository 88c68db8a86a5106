import DatTesting
import Foundation
import Testing

/// The commands about archives, run as processes.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ArchiveCommandTests {
  let world: TemporaryFolder

  init() throws { world = try TemporaryFolder() }

  private func path(_ name: String) -> String { world.path + "/" + name }

  private var environment: [String: String] { ["HOME": world.path] }

  private func write(_ name: String, _ text: String) throws {
    let url = world.url.appendingPathComponent(name)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }

  private func read(_ name: String) throws -> String {
    try String(contentsOfFile: path(name), encoding: .utf8)
  }

  /// Runs a command that has to succeed.
  @discardableResult
  private func dat(_ arguments: String...) async throws -> [String] {
    let (status, lines, errors) = try await DatProcess.run(arguments, environment: environment)
    #expect(status == 0, "\(arguments): \(errors)")
    return lines
  }

  /// Runs a command that has to fail with one sentence.
  private func fails(_ arguments: String..., with words: String...) async throws {
    let (status, _, errors) = try await DatProcess.run(arguments, environment: environment)
    #expect(status == 1, "\(arguments)")
    #expect(errors.split(separator: "\n").count == 1, "\(errors)")
    #expect(errors.hasPrefix("dat: "), "\(errors)")
    for word in words { #expect(errors.contains(word), "\(errors)") }
  }

  private func object(_ line: String?) throws -> [String: Any] {
    let data = Data(try #require(line).utf8)
    return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// Shares a folder until the test ends, and returns the address.
  private func share(_ name: String, _ more: String...) async throws -> (
    process: DatProcess, key: String, address: String
  ) {
    let process = try await DatProcess(
      ["share", path(name), "--json", "--listen", "127.0.0.1:0"] + more, environment: environment)
    let listening = try object(await process.line(containing: "\"listening\""))
    let imported = try object(await process.line(containing: "\"imported\""))
    let key = try #require(imported["key"] as? String)
    let port = try #require(listening["port"] as? Int)
    return (process, key, "127.0.0.1:\(port)")
  }

  @Test func `a folder is shared, cloned, looked into, changed, pulled and checked out`()
    async throws
  {
    try write("site/index.html", "<p>hello")
    try write("site/docs/one.md", "one")
    try write("site/empty", "")
    try write("site/.hidden", "no")
    let (process, key, address) = try await share("site")
    let link = "dat://\(key)"
    try await dat("clone", link, path("copy"), "--connect", address)
    #expect(try read("copy/docs/one.md") == "one" && read("copy/empty") == "")
    #expect(!FileManager.default.fileExists(atPath: path("copy/.hidden")))

    let status = try object(await dat("status", path("copy"), "--json").first)
    #expect(status["key"] as? String == key && status["version"] as? Int == 3)
    #expect(status["files"] as? Int == 3 && status["byteLength"] as? Int == 11)
    #expect(status["writable"] as? Bool == false)
    #expect((status["content"] as? [String: Any])?["downloaded"] as? Int == 2)

    // For a folder, and for a link.
    let local = try await dat("ls", path("copy"), "--json", "--recursive").map { try object($0) }
    let remote = try await dat("ls", link, "--json", "--recursive", "--connect", address).map {
      try object($0)
    }
    #expect(
      local.compactMap { $0["path"] as? String } == [
        "/docs", "/docs/one.md", "/empty", "/index.html",
      ])
    #expect(local.compactMap { $0["stored"] as? Int } == [0, 1, 0, 1])
    #expect(
      remote.compactMap { $0["path"] as? String } == local.compactMap { $0["path"] as? String })
    #expect(try await dat("cat", link + "/docs/one.md", "--connect", address) == ["one"])
    #expect(try await dat("cat", path("copy"), "index.html") == ["<p>hello"])
    #expect(try await dat("find", path("copy"), "ONE.md") == [])
    #expect(try await dat("find", path("copy"), "one") == ["/docs/one.md"])

    try write("site/docs/one.md", "one more")
    try FileManager.default.removeItem(atPath: path("site/index.html"))
    // One look at the folder may have found the one, and the next look the other.
    try await process.line("the deletion") { $0.contains("\"del\"") }
    try await process.line("the change") {
      $0.contains("\"put\"") && $0.contains("one.md") && $0.contains("\"size\":8")
    }
    try await dat("pull", path("copy"), "--connect", address)
    #expect(try read("copy/docs/one.md") == "one more")
    #expect(!FileManager.default.fileExists(atPath: path("copy/index.html")))
    let log = try await dat("log", path("copy"), "--json").map { try object($0) }
    #expect(log.compactMap { $0["version"] as? Int } == [1, 2, 3, 4, 5])
    #expect(log.suffix(2).compactMap { $0["change"] as? String }.sorted() == ["del", "put"])
    let diff = try await dat("diff", path("copy"), "3", "--json").map { try object($0) }
    #expect(diff.compactMap { $0["change"] as? String } == ["del", "put", "del"])

    try await dat("checkout", path("copy"), "5", path("out"))
    #expect(try read("out/docs/one.md") == "one more")
    // What is missing here comes from peers, and the folder stays as it is.
    try FileManager.default.removeItem(atPath: path("copy/docs/one.md"))
    let (gone, _, _) = try await DatProcess.run(
      ["cat", path("copy"), "docs/one.md"], environment: environment)
    #expect(gone == 1)
    try await dat("recover", path("copy"), path("saved"), "--connect", address)
    #expect(try read("saved/docs/one.md") == "one more")
    #expect(!FileManager.default.fileExists(atPath: path("copy/docs/one.md")))
    try await dat("pull", path("copy"), "--connect", address)
    #expect(try read("copy/docs/one.md") == "one more", "and a pull lays it out again")
    process.signalSoon()
    #expect(await process.status() == 0)
    // No peer has the bytes of old versions.
    let (code, _, errors) = try await DatProcess.run(
      ["checkout", path("copy"), "1", path("old")], environment: environment)
    #expect(code == 1 && errors.contains("left out"))
  }

  @Test func `what can't be done is said in one sentence that names what can`() async throws {
    try write("plain/file", "text")
    let key = String(repeating: "ab", count: 32)
    try await fails("ls", path("plain"), with: "no archive", "dat share")
    try await fails("ls", path("none"), with: "no folder")
    try await fails("ls", "dat://example.com/x", with: "names are not looked up")
    try await fails("clone", "not a link", path("x"), with: "no key")
    try await fails("clone", key, path("plain"), with: "not empty")
    try await fails("clone", key, path("no/such"), with: "make it first")
    try await fails(
      "clone", key, path("x"), "--connect", "127.0.0.1:1", "--timeout", "1", with: "Nobody")
    #expect(!FileManager.default.fileExists(atPath: path("x")), "nothing stays behind")
    try await fails("pull", path("plain"), with: "dat clone")
    try await fails("status", path("plain"), with: "no archive")
    try await dat("create", path("plain"))
    try await fails("create", path("plain"), with: "already")
    try await fails("pull", path("plain"), with: "your own")
    try await fails("cat", path("plain"), "none", with: "could not be found")
    try await fails("cat", path("plain"), "/", with: "folder")
    try await fails("ls", path("plain"), "--version", "9", with: "no version 9")
    try write("old/.dat/CURRENT", "x")
    try await fails("status", path("old"), with: "before May 2017")
    try write("db/.dat/metadata.key", "short")
    try await fails("status", path("db"), with: "metadata.key is cut short")
  }

  @Test func `what has keys is not shared as files, and is named where an archive is meant`()
    async throws
  {
    try await dat("db", "put", path("all/people"), "ana", "1")
    try await dat("db", "put", path("people"), "ana", "1")
    _ = try await DatProcess.run(
      ["feed", "append", path("log")], input: "one\n", environment: environment)
    let before = try FileManager.default.subpathsOfDirectory(atPath: world.path).sorted()
    for (name, words) in [
      ("people", "a database or room"), ("people/source", "one feed of the database"),
      ("log", "a single feed"), ("all", "rooms or databases"),
    ] {
      for command in ["create", "share"] {
        try await fails(command, path(name), with: words, "give its keys away")
      }
      try await fails(path(name), with: words, "give its keys away")
      for command in ["status", "ls", "log", "keys"] {
        try await fails(command, path(name), with: "no archive", words)
      }
    }
    #expect(try FileManager.default.subpathsOfDirectory(atPath: world.path).sorted() == before)
    // A site with a file or folder of such a name is none of them.
    for name in ["key", "replicas/first"] {
      try write("site-\(name.count)/\(name)", "another kind")
      try await dat("create", path("site-\(name.count)"))
    }
  }

  @Test func `a recorded folder is read by every command as the reference read it`() async throws {
    let site = world.url.appendingPathComponent("site")
    try FileManager.default.copyItem(at: Fixtures.url("archives/dat-folder/site"), to: site)
    let secrets = world.url.appendingPathComponent(".dat")
    try FileManager.default.createDirectory(at: secrets, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      at: Fixtures.url("archives/dat-folder/secret_keys"),
      to: secrets.appendingPathComponent("secret_keys"))
    let status = try object(await dat("status", site.path, "--json").first)
    #expect(status["version"] as? Int == 18 && status["writable"] as? Bool == true)
    #expect((status["content"] as? [String: Any])?["downloaded"] as? Int == 9)
    #expect(try await dat("log", site.path, "--json").count == 18)
    #expect(try await dat("ls", site.path + "/.dat").count > 4, "the .dat itself is taken, too")
    #expect(try await dat("keys", site.path, "--secret").last?.hasPrefix("secret key: ") == true)
    let doctor = try object(await dat("doctor", site.path, "--json").first)
    #expect(doctor["kind"] as? String == "archive" && doctor["healthy"] as? Bool == true)
    #expect(doctor["whole"] as? Int == 8 && (doctor["changed"] as? [String])?.count == 1)
    let (_, lines, errors) = try await DatProcess.run(
      ["recover", site.path, path("saved")], environment: environment)
    #expect(lines.first?.hasPrefix("8 files") == true, "\(lines) \(errors)")
  }

  @Test func `a bare folder is shared and a bare link is cloned`() async throws {
    try write("site/one", "one")
    let process = try await DatProcess(
      [path("site"), "--json", "--listen", "127.0.0.1:0"], environment: environment)
    let listening = try object(await process.line(containing: "\"listening\""))
    let imported = try object(await process.line(containing: "\"imported\""))
    let key = try #require(imported["key"] as? String)
    let port = try #require(listening["port"] as? Int)
    try await dat("dat://\(key)", path("copy"), "--connect", "127.0.0.1:\(port)")
    #expect(try read("copy/one") == "one")
    process.signalSoon()
    #expect(await process.status() == 0)
  }
}

extension DatProcess {
  /// Asks it to end.
  nonisolated func signalSoon() { Task { await signal(SIGTERM) } }
}
