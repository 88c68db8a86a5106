import DatTesting
import Foundation
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

@Suite(.serialized) struct RoomsCommandTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  @Test func `the rooms of a folder are listed with their last message and what is unread`()
    async throws
  {
    _ = try await DatProcess.run(
      ["chat", dir("rooms/one"), "--name", "ana", "--no-lan"], input: "first\nlast \u{1b}[2J\n")
    let other = try await DatProcess.run([
      "chat", dir("rooms/two"), "--name", "bea", "--json", "--no-lan",
    ])
    try FileManager.default.createDirectory(
      atPath: dir("rooms/no room"), withIntermediateDirectories: true)
    let (status, lines, errors) = try await DatProcess.run(["rooms", dir("rooms")])
    #expect(status == 0 && errors.isEmpty)
    let text = lines.joined(separator: "\n")
    #expect(lines.filter { $0.hasPrefix("  dat://") }.count == 2)
    #expect(text.contains("no messages yet"))
    #expect(text.contains("ana: last \\u{1b}[2J"))
    #expect(!text.contains("\u{1b}"))

    let json = try await DatProcess.run(["rooms", dir("rooms"), "--json"])
    let objects = try json.lines.map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(objects.compactMap { $0["messages"] as? Int }.sorted() == [0, 2])
    let keys = Set(objects.compactMap { $0["key"] as? String })
    #expect(keys.count == 2 && keys.contains { other.lines.joined().contains($0) })

    let none = try await DatProcess.run(["rooms", dir("nowhere")])
    #expect(none.status == 1 && none.errors.contains("no folder"))
    let addresses = try await DatProcess.run(["rooms", dir("rooms"), "--listen", "127.0.0.1:0"])
    #expect(addresses.status == 64 && addresses.errors.contains("--web"))
  }

  private func request(_ path: String, _ origin: String, _ secret: String, _ body: String? = nil)
    async throws -> (status: Int?, json: [String: Any])
  {
    var request = URLRequest(url: try #require(URL(string: origin + path)))
    request.setValue(secret, forHTTPHeaderField: "Dat-Secret")
    if let body {
      request.httpMethod = "POST"
      request.httpBody = Data(body.utf8)
      request.setValue("application/json", forHTTPHeaderField: "Content-Type")
      request.setValue(origin, forHTTPHeaderField: "Origin")
    }
    let (data, response) = try await URLSession.shared.data(for: request)
    let json = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
    return ((response as? HTTPURLResponse)?.statusCode, json ?? [:])
  }

  @Test func `rooms are made and joined on the page, and are there the next time`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    await ana.process.send("welcome")
    try await ana.event("message", "message", "welcome")
    let arguments = [
      "rooms", dir("rooms"), "--name", "dan", "--json", "--web", "--listen", "127.0.0.1:0",
      "--connect", try #require(ana.address),
    ]
    var rooms = try await DatProcess(arguments)
    func page() async throws -> (String, String) {
      let event = try ChatProcess.event(
        try await rooms.line(containing: #""event":"web""#))
      let parts = try #require(event["url"] as? String).components(separatedBy: "/#")
      return (parts[0], parts[1])
    }
    var (origin, secret) = try await page()
    let made = try await request("/api/rooms", origin, secret, #"{"username":"dan"}"#)
    let own = try #require(made.json["key"] as? String)
    let link = #"{"username":"daniel","join":"dat://\#(ana.key)"}"#
    for _ in 0..<2 {
      let joined = try await request("/api/rooms", origin, secret, link)
      #expect(joined.json["key"] as? String == ana.key)
    }
    try await ana.event("join", "username", "daniel")
    #expect(
      FileManager.default.fileExists(atPath: dir("rooms/\(own)/source/key"))
        && FileManager.default.fileExists(atPath: dir("rooms/\(ana.key)/chat.json")))

    // There is one port for all rooms: a newcomer finds the room that was made there.
    let listening = try ChatProcess.event(
      try await rooms.line(containing: #""event":"listening""#))
    let bea = try await ChatProcess(
      dir("bea"), key: own, name: "bea", connect: ["127.0.0.1:\(listening["port"] as? Int ?? 0)"])
    let text = #"{"text":"made here"}"#
    #expect(
      try await request("/api/rooms/\(own)/messages", origin, secret, text).status == 200)
    try await bea.event("message", "message", "made here")
    #expect(await bea.leave() == 0)

    await rooms.signal(SIGINT)
    #expect(await rooms.status() == 0)
    rooms = try await DatProcess(arguments)
    (origin, secret) = try await page()
    let start = try await request("/api/start", origin, secret)
    let keys = (start.json["rooms"] as? [[String: Any]] ?? []).compactMap { $0["key"] as? String }
    #expect(Set(keys) == [own, ana.key])
    try await ana.event("leave", "username", "daniel")
    await rooms.signal(SIGTERM)
    #expect(await rooms.status() == 0)
    #expect(await ana.leave() == 0)
  }
}
