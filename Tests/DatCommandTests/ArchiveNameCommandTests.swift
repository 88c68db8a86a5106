import DatDNS
import DatTesting
import Foundation
import Testing

/// Names in place of keys, and the peers of links, as processes.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ArchiveNameCommandTests {
  private let world: TemporaryFolder
  private var environment: [String: String] { ["HOME": world.path] }

  init() throws {
    world = try TemporaryFolder()
    let site = world.url.appendingPathComponent("site")
    try FileManager.default.createDirectory(at: site, withIntermediateDirectories: true)
    try Data("hello".utf8).write(to: site.appendingPathComponent("page"))
  }

  private func share() async throws -> (process: DatProcess, key: String, address: String) {
    let process = try await DatProcess(
      ["share", world.path + "/site", "--json", "--listen", "127.0.0.1:0", "--no-watch"],
      environment: environment)
    func field(_ line: String, _ name: String) throws -> Any? {
      (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?[name]
    }
    let listening = try await process.line(containing: "\"listening\"")
    let imported = try await process.line(containing: "\"imported\"")
    let port = try #require(try field(listening, "port") as? Int)
    let key = try #require(try field(imported, "key") as? String)
    return (process, key, "127.0.0.1:\(port)")
  }

  private func dat(_ arguments: String...) async throws -> (
    status: Int32, lines: [String], errors: String
  ) {
    try await DatProcess.run(arguments, environment: environment)
  }

  @Test func `a name is looked up at its host if that is asked for, and not otherwise`()
    async throws
  {
    let (process, key, address) = try await share()
    let host = try LoopbackHTTP { request in
      request.line.hasPrefix("GET /.well-known/dat ")
        ? .init(Array("dat://\(key)\nttl=10\n".utf8)) : .init(status: 404, [])
    }
    let link = "dat://127.0.0.1:\(host.port)/page"
    let refused = try await dat("cat", link, "--connect", address)
    #expect(refused.status == 1 && refused.errors.contains("--names"), "\(refused.errors)")
    #expect(host.requests.isEmpty, "nobody was asked")
    let found = try await dat("cat", link, "--names", "--connect", address)
    #expect(found.lines == ["hello"], "\(found.errors)")
    let cloned = try await dat(
      "dat://127.0.0.1:\(host.port)", world.path + "/copy", "--names", "--connect", address)
    #expect(cloned.status == 0, "\(cloned.errors)")
    #expect(try String(contentsOfFile: world.path + "/copy/page", encoding: .utf8) == "hello")
    process.signalSoon()
    #expect(await process.status() == 0)
  }

  @Test func `a host that names no archive is refused in a sentence`() async throws {
    for (answer, word) in [
      (LoopbackHTTP.Answer(status: 404, []), "404"), (.init(status: 301, []), "301"),
      (.init(Array("<html>".utf8)), "does not begin"),
      (.init([UInt8](repeating: 0x61, count: 100_000)), "too long"),
    ] {
      let host = try LoopbackHTTP { _ in answer }
      let result = try await dat("ls", "dat://localhost:\(host.port)", "--names")
      #expect(result.status == 1 && result.errors.contains(word), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    }
    // A name that only begins like this machine's addresses is asked with encryption.
    let like = try await dat("ls", "dat://127.invalid:1", "--names")
    #expect(like.status == 1 && like.errors.contains("https://127.invalid"), "\(like.errors)")
    let nobody = try await dat("ls", "dat://127.0.0.1:1", "--names")
    #expect(nobody.status == 1 && nobody.errors.contains("can't be asked"), "\(nobody.errors)")
  }

  @Test func `a name is looked up in DNS through the server that is given`() async throws {
    let (process, key, address) = try await share()
    let server = try LoopbackHTTP { request in
      guard let question = DNSMessage(decoding: request.body)?.questions.first else {
        return .init(status: 400, [])
      }
      var answer = DNSMessage(flags: DNSMessage.responseBit, questions: [question])
      if question.name.description == "known.example", question.type == DNSRecord.textType {
        answer.answers = [
          DNSRecord(question.name, .text([Array("v=spf1".utf8)]), ttl: 9),
          DNSRecord(
            question.name, .text([Array("datkey=".utf8), Array(key.utf8)]), ttl: 9),
        ]
      }
      return .init(type: "application/dns-message", answer.encoded() ?? [])
    }
    let url = "http://127.0.0.1:\(server.port)/dns-query"
    let found = try await dat("cat", "dat://known.example/page", "--dns", url, "--connect", address)
    #expect(found.lines == ["hello"], "\(found.errors)")
    let unknown = try await dat("ls", "dat://unknown.example", "--dns", url)
    #expect(unknown.status == 1 && unknown.errors.contains("DNS has no archive"))
    let plain = try await dat("ls", "dat://known.example", "--dns", "http://192.0.2.1/dns-query")
    #expect(plain.status == 1 && plain.errors.contains("https://"))
    #expect(server.requests.count == 2)
    process.signalSoon()
    #expect(await process.status() == 0)
  }

  @Test func `the doctor of a link says whom it met and what they have`() async throws {
    let (process, key, address) = try await share()
    let met = try await dat("doctor", "dat://\(key)", "--connect", address, "--json")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(met.lines.last?.utf8 ?? "".utf8))
        as? [String: Any])
    #expect(met.status == 0 && object["version"] as? Int == 1, "\(met)")
    #expect(object["connected"] as? [String] == [address])
    let people = try await dat("doctor", key, "--connect", address)
    #expect(people.lines.contains { $0.hasPrefix("Version 1 came") }, "\(people)")
    let other = String(repeating: "ab", count: 32)
    let nobody = try await dat("doctor", other, "--connect", "127.0.0.1:1", "--timeout", "1")
    #expect(nobody.status == 1 && nobody.lines.contains { $0.contains("Nobody was reached") })
    process.signalSoon()
    #expect(await process.status() == 0)
  }

  @Test func `a clone takes its link from a dat json or the folder of one`() async throws {
    let (process, key, address) = try await share()
    let manifest = world.url.appendingPathComponent("dat.json")
    try Data("{\"title\": [1], \"url\": \"dat://\(key)/\"}".utf8).write(to: manifest)
    for (place, name) in [(manifest.path, "one"), (world.path, "two")] {
      let result = try await dat("clone", place, world.path + "/" + name, "--connect", address)
      #expect(result.status == 0, "\(result.errors)")
      #expect(FileManager.default.fileExists(atPath: world.path + "/\(name)/page"))
    }
    try Data("{".utf8).write(to: manifest)
    let broken = try await dat("clone", manifest.path, world.path + "/three")
    #expect(broken.status == 1 && broken.errors.contains("no key"), "\(broken.errors)")
    process.signalSoon()
    #expect(await process.status() == 0)
  }
}
