import DatTesting
import Foundation
import Testing

/// `dat db`, run as a process.
@Suite struct DbCommandTests {
  private func dat(_ arguments: String..., input: String = "") async throws -> [[String: Any]] {
    let result = try await DatProcess.run(["db"] + arguments, input: input)
    try #require(result.status == 0, "\(arguments): \(result.errors)")
    #expect(result.errors.isEmpty)
    return try result.lines.map { line in
      let value = try JSONSerialization.jsonObject(
        with: Data(line.utf8), options: .fragmentsAllowed)
      return value as? [String: Any] ?? ["nodes": value]
    }
  }

  private func nodes(_ line: [String: Any]?) -> [[String: Any]] {
    line?["nodes"] as? [[String: Any]] ?? []
  }

  @Test func `values are written and read in each encoding`() async throws {
    let folder = try TemporaryFolder()
    let dir = folder.path + "/db"
    let put = try #require(
      try await dat("put", dir, "/people/ana", #"{ "city" : "Bogot\u00e1", "n": 1.0 }"#, "--json")
        .first)
    #expect(put["key"] as? String == "people/ana")
    #expect(put["seq"] as? Int == 1)
    #expect(put["deleted"] as? Bool == false)
    let feed = try #require(put["feed"] as? String)
    #expect(put["clock"] as? [String: Int] == [feed: 2])
    let line = try await DatProcess.run(["db", "get", dir, "people/ana"]).lines
    #expect(line == [#"{"city":"Bogotá","n":1}"#])
    let get = nodes(try await dat("get", dir, "people/ana", "--json").first)
    #expect(get.count == 1)
    #expect((get.first?["value"] as? [String: Any])?["city"] as? String == "Bogotá")

    _ = try await dat("put", dir, "text", "héllo", "--encoding", "utf8", "--json")
    let text = nodes(try await dat("get", dir, "text", "--json", "--encoding", "utf8").first)
    #expect(text.first?["value"] as? String == "héllo")
    let binary = nodes(try await dat("get", dir, "text", "--json", "--encoding", "binary").first)
    #expect(binary.first?["value"] as? String == Data("héllo".utf8).base64EncodedString())
    let other = try #require(nodes(try await dat("get", dir, "text", "--json").first).first)
    #expect(other["value"] as? String == Data("héllo".utf8).base64EncodedString())
    #expect(other["valueEncoding"] as? String == "base64")

    #expect(nodes(try await dat("get", dir, "nothing", "--json").first).isEmpty)
    _ = try await dat("del", dir, "text", "--json")
    #expect(nodes(try await dat("get", dir, "text", "--json").first).isEmpty)
    let deleted = nodes(try await dat("get", dir, "text", "--json", "--deleted").first)
    #expect(deleted.first?["deleted"] as? Bool == true)
    #expect(deleted.first?["value"] is NSNull)
    let input = try await DatProcess.run(
      ["db", "put", dir, "stdin", "--json"], input: #"["from", "stdin"]"#)
    #expect(input.status == 0)
    #expect(input.lines.first?.contains(#""value":["from","stdin"]"#) == true)
  }

  @Test func `lists, histories, diffs, versions and heads have their shapes`() async throws {
    let folder = try TemporaryFolder()
    let dir = folder.path
    for (key, value) in [("a", "1"), ("a/b", "2"), ("c", "3")] {
      _ = try await dat("put", dir, key, value, "--json")
    }
    let version = try #require(try await dat("version", dir, "--json").first?["version"] as? String)
    _ = try await dat("put", dir, "a", "10", "--json")
    _ = try await dat("del", dir, "c", "--json")

    func keys(_ arguments: String...) async throws -> [String] {
      let result = try await DatProcess.run(["db", "list", dir] + arguments + ["--json"])
      try #require(result.status == 0, "\(result.errors)")
      return try result.lines.map { line in
        let nodes = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [[String: Any]]
        return nodes?.first?["key"] as? String ?? ""
      }
    }
    let all = try await keys()
    #expect(Set(all) == ["a", "a/b"])
    #expect(try await keys("--reverse") == all.reversed())
    #expect(try await keys("a", "--gt") == ["a/b"])
    #expect(try await keys("--non-recursive").count == 1)
    #expect(try await keys("--deleted").count == 3)

    let history = try await dat("history", dir, "--json").map { $0["seq"] as? Int }
    #expect(history == [1, 2, 3, 4, 5])
    #expect(
      try await dat("history", dir, "--reverse", "--json").map { $0["seq"] as? Int }
        == history.reversed())

    let diff = try await dat("diff", dir, "--from", version, "--json")
    #expect(diff.count == 2)
    let changed = try #require(diff.first { ($0["left"] as? [[String: Any]]) != nil })
    #expect((changed["left"] as? [[String: Any]])?.first?["value"] as? Int == 10)
    #expect((changed["right"] as? [[String: Any]])?.first?["value"] as? Int == 1)
    #expect(diff.contains { $0["left"] is NSNull })
    #expect(try await dat("diff", dir, "a", "--from", version, "--json").count == 1)
    #expect(try await dat("diff", dir, "--json").count == 2)

    let heads = try #require(try await dat("heads", dir, "--json").first)
    #expect((heads["heads"] as? [[String: Any]])?.map { $0["seq"] as? Int } == [5])
    let feeds = try #require(heads["feeds"] as? [[String: Any]])
    #expect(feeds.map { $0["length"] as? Int } == [6])
    #expect(feeds.first?["key"] as? String == String(version.prefix(64)))
  }

  @Test func `a list is had in pages, and a history by its folder`() async throws {
    let folder = try TemporaryFolder()
    let dir = folder.path + "/db"
    _ = try await dat(
      "import", dir, "--json",
      input: (0..<25).map { #"{"key":"k/\#($0)","value":\#($0)}"# + "\n" }.joined())
    func keys(_ arguments: String...) async throws -> [String] {
      let result = try await DatProcess.run(["db", "list", dir, "k", "--json"] + arguments)
      try #require(result.status == 0, "\(result.errors)")
      return try result.lines.map { line in
        let nodes = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [[String: Any]]
        return nodes?.first?["key"] as? String ?? ""
      }
    }
    let all = try await keys()
    #expect(all.count == 25)
    for reverse in [[], ["--reverse"]] {
      var pages: [String] = []
      while true {
        let more = pages.last.map { ["--after", $0] } ?? []
        let page = try await DatProcess.run(
          ["db", "list", dir, "k", "--limit", "7"] + more + reverse)
        let names = page.lines.map { String($0.prefix { $0 != ":" }) }
        pages += names
        // The last key of a page may be deleted before the next page is requested.
        if pages.count == 14, reverse.isEmpty { _ = try await dat("del", dir, pages[13], "--json") }
        if names.count < 7 { break }
      }
      let expected = reverse.isEmpty ? all : all.reversed().filter { $0 != all[13] }
      #expect(pages == expected)
    }
    let unknown = try await DatProcess.run(["db", "list", dir, "--after", "nothing"])
    #expect(unknown.status == 1)
    #expect(unknown.errors.contains("no key nothing"))

    for key in ["a", "a/b", "a/b/c", "ab"] { _ = try await dat("put", dir, key, "1", "--json") }
    func history(_ arguments: String...) async throws -> [String] {
      let lines = try await DatProcess.run(["db", "history", dir, "--json"] + arguments).lines
      return try lines.map { line in
        (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["key"]
          as? String
          ?? ""
      }
    }
    #expect(try await history("a") == ["a", "a/b", "a/b/c"])
    #expect(try await history("/a/b/") == ["a/b", "a/b/c"])
    #expect(try await history("a", "--reverse", "--limit", "2") == ["a/b/c", "a/b"])
    #expect(try await history("--limit", "3").count == 3)
    #expect(try await history("nothing").isEmpty)
  }

  @Test func `what is exported can be imported`() async throws {
    let folder = try TemporaryFolder()
    let (one, other) = (folder.path + "/one", folder.path + "/other")
    let lines = (0..<300).map { #"{"key":"k/\#($0)","value":{"n":\#($0)}}"# }
    let imported = try await dat(
      "import", one, "--json",
      input: (lines + ["", #"{"key":"k/0","deleted":true}"#])
        .joined(separator: "\n"))
    #expect(imported.first?["imported"] as? Int == 301)
    let export = try await DatProcess.run(["db", "export", one])
    #expect(Set(export.lines) == Set(lines.dropFirst()))
    let again = try await DatProcess.run(
      ["db", "import", other], input: export.lines.joined(separator: "\n"))
    #expect(again.status == 0)
    #expect(try await DatProcess.run(["db", "export", other]).lines.count == 299)
    let bad = try await DatProcess.run(
      ["db", "import", other], input: lines[0] + "\n" + #"{"value":1}"#)
    #expect(bad.status == 1)
    #expect(bad.errors.contains("Line 2"))
  }

  @Test func `failures are one sentence on standard error and the status 1`() async throws {
    let folder = try TemporaryFolder()
    let dir = folder.path + "/none"
    for arguments in [
      ["get", dir, "k"], ["list", dir, "--json"], ["history", dir], ["version", dir],
      ["heads", dir],
      ["del", dir, "k"], ["authorize", dir, String(repeating: "0", count: 64)],
      ["put", dir, "k", "no json"], ["diff", dir, "--from", "00"], ["export", dir],
    ] {
      let result = try await DatProcess.run(["db"] + arguments)
      #expect(result.status == 1, "\(arguments)")
      #expect(result.lines.isEmpty)
      let errors = result.errors.split(separator: "\n")
      #expect(errors.count == 1 && errors[0].hasPrefix("dat: "), "\(result.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: dir))
    _ = try await dat("put", dir, "k", "1", "--json")
    for arguments in [
      ["diff", dir, "--from", "00"], ["authorize", dir, "xyz"],
      ["put", dir, String(repeating: "k", count: 5000), "1"],
      ["sync", dir, "--connect", "127.0.0.1:1"],
    ] {
      let result = try await DatProcess.run(["db"] + arguments)
      #expect(result.status == 1, "\(arguments)")
      #expect(!result.errors.isEmpty)
    }
  }

  @Test func `replicas meet, authorize and see each other's values`() async throws {
    let folder = try TemporaryFolder()
    let (one, other) = (folder.path + "/one", folder.path + "/other")
    _ = try await dat("put", one, "from/one", #""one""#, "--json")
    let server = try await DbServer(["serve", one])
    let copy = try #require(
      try await dat("sync", other, server.key, "--connect", server.address, "--json").first)
    #expect(copy["key"] as? String == server.key)
    let local = try #require(copy["local"] as? String)
    await server.end()

    let early = try await DatProcess.run(["db", "put", other, "from/other", "2", "--json"])
    #expect(early.status == 0)
    #expect(early.errors.contains("not authorized yet") && early.errors.contains(local))
    _ = try await dat("authorize", one, local, "--json")
    let second = try await DbServer(["serve", one])
    _ = try await dat("sync", other, "--connect", second.address, "--json")
    await second.end()
    let nodes = nodes(try await dat("get", one, "from/other", "--json").first)
    #expect(nodes.map { $0["feed"] as? String } == [local])
    #expect(nodes.map { $0["value"] as? Int } == [2])
    _ = try await dat("put", other, "from/other", "3", "--json")

    // A watcher shows what a peer brings.
    let watcher = try await DbServer(["watch", one, "from"])
    _ = try await dat("sync", other, "--connect", watcher.address, "--json")
    let line = try await watcher.process.line(containing: #""left""#)
    #expect(line.contains(#""value":3"#) && line.contains(#""value":2"#))
    // A value that is not JSON is shown as it is, and the watcher goes on.
    _ = try await dat("put", other, "from/bad", "no JSON", "--encoding", "utf8", "--json")
    _ = try await dat("sync", other, "--connect", watcher.address, "--json")
    _ = try await watcher.process.line(
      containing: #""value":"bm8gSlNPTg==","valueEncoding":"base64""#)
    _ = try await dat("put", other, "from/good", "4", "--json")
    _ = try await dat("sync", other, "--connect", watcher.address, "--json")
    _ = try await watcher.process.line(containing: #""value":4"#)
    await watcher.end()
  }

  @Test func `what the reference recorded is printed from folders that don't change`() async throws
  {
    struct Replica: Decodable {
      struct List: Decodable {
        struct Options: Decodable {
          var recursive: Bool?
          var reverse: Bool?
          var gt: Bool?
          var deletes: Bool?
        }
        var prefix: String
        var options: Options
        var nodes: [[Place]]
      }
      struct Place: Decodable, Hashable {
        var key: String
        var feed: Int
        var seq: Int
        init(from decoder: any Decoder) throws {
          var container = try decoder.unkeyedContainer()
          key = try container.decode(String.self)
          feed = try container.decode(Int.self)
          seq = try container.decode(Int.self)
        }
      }
      struct Feed: Decodable { var key: String }
      var dir: String
      var feeds: [Feed]
      var valueEncoding: String
      var list: [List]
    }
    let replicas: [Replica] = try Fixtures.json("hyperdbs/manifest.json")
    for replica in replicas {
      let folder = try TemporaryFolder(copyOf: replica.dir)
      let before = try contents(of: folder)
      let encoding =
        ["json": "json", "utf-8": "utf8", "utf8": "utf8"][replica.valueEncoding] ?? "binary"
      for list in replica.list.prefix(6) {
        var arguments = [
          "db", "list", folder.path, list.prefix, "--json", "--raw", "--encoding", encoding,
        ]
        if list.options.recursive == false { arguments.append("--non-recursive") }
        if list.options.reverse == true { arguments.append("--reverse") }
        if list.options.gt == true { arguments.append("--gt") }
        if list.options.deletes == true { arguments.append("--deleted") }
        let result = try await DatProcess.run(arguments)
        #expect(result.status == 0, "\(replica.dir): \(result.errors)")
        let found = try result.lines.map { line in
          let nodes = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [[String: Any]]
          return Set(
            (nodes ?? []).map { "\($0["key"] ?? "") \($0["feed"] ?? "") \($0["seq"] ?? "")" })
        }
        let expected = list.nodes.map { group in
          Set(group.map { "\($0.key) \(replica.feeds[$0.feed].key) \($0.seq)" })
        }
        #expect(found == expected, "\(replica.dir) \(list.prefix)")
      }
      #expect(try contents(of: folder) == before, "\(replica.dir)")
    }
  }

  private func contents(of folder: TemporaryFolder) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
      files[path] = try? Data(contentsOf: folder.url.appendingPathComponent(path))
    }
    return files
  }
}

/// `dat db serve` or `watch` as a process that listens.
private struct DbServer {
  let process: DatProcess
  let key: String
  let address: String

  init(_ arguments: [String]) async throws {
    process = try await DatProcess(
      ["db"] + arguments + ["--listen", "127.0.0.1:0", "--json"])
    let listening = try Self.object(await process.line(containing: #""event":"listening""#))
    let ready = try Self.object(await process.line(containing: #""event":"ready""#))
    key = ready["key"] as? String ?? ""
    address = "127.0.0.1:\(listening["port"] as? Int ?? 0)"
  }

  private static func object(_ line: String?) throws -> [String: Any] {
    let line = try #require(line)
    return try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
  }

  func end() async {
    await process.signal(SIGTERM)
    #expect(await process.status() == 0)
  }
}
