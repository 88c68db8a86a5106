import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// `dat feed`, run as a process.
@Suite(.serialized, .timeLimit(.minutes(2))) struct FeedCommandTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  private func object(_ line: String?) throws -> [String: Any] {
    let data = Data(try #require(line).utf8)
    return try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// Runs a command that has to succeed without a word on standard error.
  @discardableResult
  private func feed(_ arguments: String..., input: String = "") async throws -> [String] {
    let (status, lines, errors) = try await DatProcess.run(["feed"] + arguments, input: input)
    #expect(status == 0, "\(arguments): \(errors)")
    #expect(errors.isEmpty, "\(arguments): \(errors)")
    return lines
  }

  /// Runs a command that has to fail with one sentence.
  private func fails(_ arguments: String..., input: String = "", with words: String...) async throws
  {
    let (status, _, errors) = try await DatProcess.run(["feed"] + arguments, input: input)
    #expect(status == 1, "\(arguments)")
    #expect(errors.split(separator: "\n").count == 1, "\(errors)")
    #expect(errors.hasPrefix("dat: "), "\(errors)")
    for word in words { #expect(errors.contains(word), "\(errors)") }
  }

  private func contents(of path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))
    }
    return files
  }

  // MARK: Reading

  @Test func `info, cat and audit tell what the reference recorded, and change no byte`()
    async throws
  {
    let manifest = try JSONSerialization.jsonObject(
      with: Data(contentsOf: Fixtures.url("feeds/manifest.json")))
    for recorded in try #require(manifest as? [[String: Any]]) {
      let name = try #require(recorded["name"] as? String)
      let copy = try TemporaryFolder(copyOf: "feeds/\(name)")
      let before = try contents(of: copy.path)
      let info = try object(await feed("info", copy.path, "--json").first)
      for field in ["key", "discoveryKey", "treeHash"] {
        #expect(info[field] as? String == recorded[field] as? String, "\(name): \(field)")
      }
      for field in ["length", "byteLength", "downloaded"] {
        #expect(info[field] as? Int == recorded[field] as? Int, "\(name): \(field)")
      }
      #expect(info["live"] as? Bool == recorded["live"] as? Bool)
      #expect(info["writable"] as? Bool == (recorded["secretKey"] is String))
      let roots = info["roots"] as? [NSDictionary]
      #expect(roots == (recorded["roots"] as? [NSDictionary] ?? []), "\(name)")
      let signature = recorded["signature"] as? [String: Any]
      #expect(info["signature"] as? String == signature?["signature"] as? String, "\(name)")
      #expect(Set(info.keys).count == 11)

      let audit = try object(await feed("audit", copy.path, "--json").first)
      #expect(audit["valid"] as? Int == recorded["downloaded"] as? Int)
      #expect(audit["invalid"] as? Int == 0)

      if recorded["blocksAre"] as? String == "base64" {
        let blocks = recorded["blocks"] as? [String?] ?? []
        let whole = blocks.firstIndex(of: nil) ?? blocks.count
        let lines = try await feed("cat", copy.path, "--json", "--end", "\(whole)")
        let values = try lines.map(object)
        #expect(values.map { $0["index"] as? Int } == Array(0..<whole))
        #expect(values.map { $0["value"] as? String } == Array(blocks[..<whole]))
        if whole < blocks.count {
          try await fails("cat", copy.path, with: "Block \(whole) is not stored here")
        }
      }
      #expect(try contents(of: copy.path) == before, "\(name)")
    }
  }

  @Test func `a feed that is being written is looked at all the same`() async throws {
    let writer = try await Feed.open(folder: dir("feed"))
    try await writer.append(contentsOf: ["a", "b"], as: .utf8)
    #expect(try await feed("cat", dir("feed")) == ["a", "b"])
    try await writer.close()
  }

  @Test func `cat shows a part of a feed`() async throws {
    try await feed("append", dir("feed"), input: "one\ntwo\nthree\nfour\n")
    #expect(try await feed("cat", dir("feed"), "--start", "1", "--end", "3") == ["two", "three"])
    #expect(try await feed("cat", dir("feed"), "--start", "3") == ["four"])
    #expect(try await feed("cat", dir("feed"), "--start", "4") == [])
    #expect(try await feed("cat", dir("feed"), "--end", "99").count == 4)
    #expect(try await feed("cat", dir("feed"), "--raw") == ["onetwothreefour"])
  }

  @Test func `files under a prefix are found`() async throws {
    try await feed("append", dir("old"), "--prefix", "metadata.", input: "x\n")
    #expect(try await feed("cat", dir("old"), "--prefix", "metadata.") == ["x"])
    #expect(FileManager.default.fileExists(atPath: dir("old/metadata.key")))
    try await fails("info", dir("old"), with: "archive", "--prefix metadata.")
    try await fails(
      "info", dir("old"), "--prefix", "metadata", with: "No feed is stored in", "--prefix metadata."
    )
  }

  @Test func `a line that no peer could receive is refused, and those before it are told of`()
    async throws
  {
    let long = String(repeating: "x", count: 8_384_513)
    let (status, _, errors) = try await DatProcess.run(
      ["feed", "append", dir("feed")], input: "one\ntwo\n\(long)\nthree\n")
    #expect(status == 1)
    #expect(
      errors.contains("2 lines were appended, then: A block can have 8384512 bytes"), "\(errors)")
    #expect(try await feed("cat", dir("feed")) == ["one", "two"])
  }

  @Test func `audit finds a damaged block, says which, and ends with 1`() async throws {
    try await feed("append", dir("feed"), input: "one\ntwo\nthree\n")
    let data = URL(fileURLWithPath: dir("feed/data"))
    try Data("oneTwothree".utf8).write(to: data)
    try await fails("audit", dir("feed"), with: "1 block (1) is recorded", "2 blocks are whole.")
    let (status, lines, _) = try await DatProcess.run(["feed", "audit", dir("feed"), "--json"])
    #expect(status == 1)
    let report = try object(lines.first)
    #expect(report["valid"] as? Int == 2)
    #expect(report["invalidRanges"] as? [[String: Int]] == [["start": 1, "end": 2]])
  }

  // MARK: Appending

  @Test func `lines become blocks, and more are added to them`() async throws {
    let first = try object(
      try await feed("append", dir("feed"), "--json", input: "a\n\nlast without end").first)
    #expect(first["start"] as? Int == 0)
    #expect(first["count"] as? Int == 3)
    let more = try object(
      try await feed("append", dir("feed"), "--json", "--sync", input: "d\n").first)
    #expect(more["key"] as? String == first["key"] as? String)
    #expect(more["start"] as? Int == 3)
    #expect(more["length"] as? Int == 4)
    #expect(try await feed("cat", dir("feed")) == ["a", "", "last without end", "d"])
    #expect(try await feed("append", dir("feed")).last?.contains("appended 0 blocks") == true)
  }

  @Test func `a file is appended as it is`() async throws {
    var random = SeededRandom(seed: 4)
    let bytes = Data(random.bytes(150_000))
    try bytes.write(to: URL(fileURLWithPath: dir("blob")))
    let told = try object(
      try await feed("append", dir("feed"), "--file", dir("blob"), "--json").first)
    #expect(told["count"] as? Int == 3)
    let reader = try await Feed.open(folder: dir("feed"), access: .readOnly)
    #expect(Data(try await reader.get(0..<3).flatMap { $0 }) == bytes)
  }

  @Test func `what can't be done is told in a sentence`() async throws {
    for command in ["info", "cat", "audit"] {
      try await fails(command, dir("none"), with: "No feed is stored in \(dir("none")).")
    }
    try await fails("serve", dir("none"), "--listen", "127.0.0.1:0", with: "No feed is stored")
    #expect(!FileManager.default.fileExists(atPath: dir("none")))
    try await fails("append", dir("none"), "--file", dir("missing"), with: "There is no file")
    #expect(!FileManager.default.fileExists(atPath: dir("none")))
    try await fails("clone", dir("none"), "abc", "--connect", "127.0.0.1:9", with: "64 hex digits")
    let key = String(repeating: "ab", count: 32)
    try await fails("clone", dir("none"), key, "--connect", "nonsense", with: "host:port")
    #expect(!FileManager.default.fileExists(atPath: dir("none")))
    try await feed("append", dir("feed"), input: "x\n")
    try await fails("clone", dir("feed"), key, "--connect", "127.0.0.1:9", with: "Another feed")
    try await fails("clone", dir("copy"), key, "--connect", "127.0.0.1:1", with: "127.0.0.1:1")
    #expect(!FileManager.default.fileExists(atPath: dir("copy")))
    let copy = try await Feed.open(
      folder: dir("copy"), options: Feed.Options(key: try #require(PublicKey(hex: key))))
    try await copy.close()
    try await fails("append", dir("copy"), input: "y\n", with: "not writable")
  }

  @Test func `of two processes the second is told which one writes`() async throws {
    let first = try await DatProcess(["feed", "append", dir("feed"), "--json"])
    await first.send("one")
    // A block was appended, so the feed is open there.
    while ((try? Data(contentsOf: URL(fileURLWithPath: dir("feed/data")))) ?? Data()).isEmpty {
      await Task.yield()
    }
    let process = await first.processIdentifier
    try await fails("append", dir("feed"), input: "two\n", with: "in use", "process \(process) ")
    do {
      _ = try await Feed.open(folder: dir("feed"))
      Issue.record("opened twice")
    } catch let error as FeedError {
      #expect(error.code == .storage)
      #expect(error.reason.contains("process \(process) "))
    }
    // The block counts once its signature and its place in the bitfield are written as well.
    while try await DatProcess.run(["feed", "cat", dir("feed")]).lines != ["one"] {}
    await first.closeInput()
    #expect(await first.status() == 0)
    try await feed("append", dir("feed"), input: "two\n")
  }

  // MARK: Peers

  private func serve(_ name: String) async throws -> (DatProcess, key: String, address: String) {
    let process = try await DatProcess(
      ["feed", "serve", dir(name), "--listen", "127.0.0.1:0", "--json"])
    let ready = try object(await process.line(containing: #""event":"ready""#))
    let listening = try object(await process.line(containing: #""event":"listening""#))
    return (
      process, try #require(ready["key"] as? String),
      "127.0.0.1:\(try #require(listening["port"] as? Int))"
    )
  }

  @Test func `a clone ends when nobody connected has more, gaps or not`() async throws {
    let own = try await Feed.open(folder: dir("feed"))
    try await own.append((0..<100).map { [UInt8($0)] })
    try await own.clear(5..<100)
    try await own.close()
    let (server, key, address) = try await serve("feed")
    let lines = try await feed("clone", dir("copy"), key, "--connect", address)
    #expect(lines.first == "5 of 100 blocks; nobody connected has the others")
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `a clone on a full disk ends at once with its sentence, and goes on later`() async throws {
    let disk = try SmallDisk(bytes: 1 << 20)
    let own = try await Feed.open(folder: dir("feed"))
    try await own.append((0..<200).map { [UInt8](repeating: UInt8($0), count: 4000) })
    try await own.close()
    let (server, key, address) = try await serve("feed")
    try disk.fill(leaving: 200_000)
    let copy = disk.path + "/copy"
    try await fails("clone", copy, key, "--connect", address, with: "disk")
    try disk.empty()
    let lines = try await feed("clone", copy, key, "--connect", address, "--json")
    #expect(try object(lines.first)["storedBlocks"] as? Int == 200)
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `feeds and databases are served from a disk that can't be written`() async throws {
    let disk = try SmallDisk(bytes: 1 << 20)
    try await feed("append", disk.path + "/feed", input: "one\ntwo\n")
    let put = try await DatProcess.run(["db", "put", disk.path + "/db", "a", "1"])
    #expect(put.status == 0)
    try #require(disk.makeReadOnly())
    let feedServer = try await DatProcess(
      ["feed", "serve", disk.path + "/feed", "--listen", "127.0.0.1:0", "--json"])
    let ready = try object(await feedServer.line(containing: #""event":"ready""#))
    let port =
      try object(await feedServer.line(containing: #""event":"listening""#))["port"] as? Int
    let key = try #require(ready["key"] as? String)
    try await feed("clone", dir("copy"), key, "--connect", "127.0.0.1:\(try #require(port))")
    #expect(try await feed("cat", dir("copy")) == ["one", "two"])
    await feedServer.signal(SIGTERM)
    #expect(await feedServer.status() == 0)
    #expect(await feedServer.errorText.contains("can't be written"))

    let server = try await DatProcess(
      ["db", "serve", disk.path + "/db", "--listen", "127.0.0.1:0", "--json"])
    let source = try object(await server.line(containing: #""event":"ready""#))["key"] as? String
    let place = try object(await server.line(containing: #""event":"listening""#))["port"] as? Int
    let sync = try await DatProcess.run([
      "db", "sync", dir("db"), try #require(source), "--connect",
      "127.0.0.1:\(try #require(place))",
    ])
    #expect(sync.status == 0, "\(sync.errors)")
    #expect(try await DatProcess.run(["db", "get", dir("db"), "a"]).lines == ["1"])
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
  }

  @Test
  func `a feed's key where a database or a room is meant is one sentence, and leaves nothing`()
    async throws
  {
    try await feed("append", dir("feed"), input: "one\ntwo\n")
    let (server, key, address) = try await serve("feed")
    for command in [
      ["db", "sync", dir("db"), key, "--connect", address],
      ["chat", dir("room"), key, "--name", "ana", "--connect", address, "--stay"],
    ] {
      let (status, _, errors) = try await DatProcess.run(command)
      #expect(status == 1)
      #expect(errors.contains("is the key of a feed of its own, no database"), "\(errors)")
      #expect(errors.split(separator: "\n").count == 1, "\(errors)")
    }
    for name in ["db", "room"] { #expect(!FileManager.default.fileExists(atPath: dir(name))) }
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
  }

  @Test func `a feed is served and cloned, and what was added later is fetched alone`() async throws
  {
    try await feed("append", dir("feed"), input: (0..<500).map { "line \($0)\n" }.joined())
    var (server, key, address) = try await serve("feed")
    let told = try object(
      try await feed("clone", dir("copy"), key, "--connect", address, "--json").first)
    #expect(told["length"] as? Int == 500)
    #expect(told["fetchedBlocks"] as? Int == 500)
    #expect(try await feed("cat", dir("copy")) == (0..<500).map { "line \($0)" })
    // Standard error is not a terminal, so nothing appears there; and a second run fetches nothing.
    let again = try await feed("clone", dir("copy"), "dat://\(key)", "--connect", address)
    #expect(again.last?.contains("fetched 0 blocks") == true)
    await server.signal(SIGINT)
    #expect(await server.status() == 0)
    #expect(await server.errorText.isEmpty)

    try await feed("append", dir("feed"), input: "more\n")
    (server, _, address) = try await serve("feed")
    let more = try object(
      try await feed("clone", dir("copy"), key, "--connect", address, "--json").first)
    #expect(more["fetchedBlocks"] as? Int == 1)
    await server.signal(SIGTERM)
    #expect(await server.status() == 0)
    for name in ["tree", "data"] {
      #expect(try contents(of: dir("copy"))[name] == contents(of: dir("feed"))[name], "\(name)")
    }
  }

  @Test func `a clone serves other clones, and several peers are asked at once`() async throws {
    try await feed("append", dir("feed"), input: (0..<200).map { "line \($0)\n" }.joined())
    let (first, key, one) = try await serve("feed")
    try await feed("clone", dir("copy"), key, "--connect", one)
    let (second, _, other) = try await serve("copy")
    let told = try object(
      try await feed("clone", dir("third"), key, "--connect", one, "--connect", other, "--json")
        .first)
    #expect(told["fetchedBlocks"] as? Int == 200)
    try await feed("audit", dir("third"))
    for server in [first, second] {
      await server.signal(SIGINT)
      #expect(await server.status() == 0)
    }
  }

  @Test func `an empty feed is cloned, a feed of another key isn't`() async throws {
    try await feed("append", dir("feed"))
    let (server, key, address) = try await serve("feed")
    let told = try object(
      try await feed("clone", dir("copy"), key, "--connect", address, "--json").first)
    #expect(told["length"] as? Int == 0)
    let (status, _, errors) = try await DatProcess.run(
      ["feed", "clone", dir("other"), String(repeating: "ab", count: 32), "--connect", address])
    #expect(status == 1)
    #expect(errors.split(separator: "\n").count == 1)
    await server.signal(SIGINT)
    #expect(await server.status() == 0)
  }
}
