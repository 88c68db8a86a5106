import DatTesting
import Foundation
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

@Suite(.serialized) struct ChatPageTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func dir(_ name: String) -> String { folder.path + "/" + name }

  /// Returns the address of the page, and the secret after its `#`.
  private func page(of process: DatProcess) async throws -> (origin: String, secret: String) {
    let event = try ChatProcess.event(
      try await process.line(containing: #""event":"web""#))
    let parts = try #require(event["url"] as? String).components(separatedBy: "/#")
    #expect(parts.count == 2)
    return (parts[0], parts[1])
  }

  private func request(
    _ path: String, _ page: (origin: String, secret: String), post body: String? = nil
  ) async throws -> (status: Int?, text: String) {
    var request = URLRequest(url: try #require(URL(string: page.origin + path)))
    request.setValue(page.secret, forHTTPHeaderField: "Dat-Secret")
    if let body {
      request.httpMethod = "POST"
      request.httpBody = Data(body.utf8)
      request.setValue("application/json", forHTTPHeaderField: "Content-Type")
      request.setValue(page.origin, forHTTPHeaderField: "Origin")
    }
    let (data, response) = try await URLSession.shared.data(for: request)
    return ((response as? HTTPURLResponse)?.statusCode, String(decoding: data, as: UTF8.self))
  }

  @Test func `--web prints the page's address, and what is written there is in the room`()
    async throws
  {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true, options: ["--web"])
    let page = try await page(of: ana.process)
    #expect(page.origin.hasPrefix("http://127.0.0.1:"))
    #expect(page.secret.count >= 32)
    #expect(try await request("/", page).text.contains("<title>Olaf</title>"))
    #expect(try await request("/api/start", (page.origin, "")).status == 401)
    #expect(try await request("/api/start", page).text.contains(ana.key))
    let path = "/api/rooms/\(ana.key)/messages"
    #expect(try await request(path, page, post: #"{"text":"from the page"}"#).status == 200)
    try await ana.event("message", "message", "from the page")
    await ana.process.send("from the terminal")
    try await ana.event("message", "message", "from the terminal")
    // The page follows the room by itself: it may receive a message later than the terminal.
    while try await !request(path, page).text.contains("from the terminal") {
      try await Task.sleep(for: .milliseconds(20))
    }

    // The page keeps the room open once nothing more can be typed; Ctrl-C ends both.
    await ana.process.closeInput()
    #expect(try await request(path, page).status == 200)
    #expect(await ana.leave() == 0)
  }

  @Test func `a port that is taken, or is none, is said and ends the command`() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", options: ["--web"])
    let port = try #require(try await page(of: ana.process).origin.split(separator: ":").last)
    let second = try await DatProcess.run(
      ["chat", dir("bea"), "--name", "bea", "--no-lan", "--web", String(port)])
    #expect(second.status == 1)
    #expect(second.errors.contains(port), "\(second.errors)")
    let wrong = try await DatProcess.run([
      "chat", dir("c"), "--name", "c", "--no-lan", "--web", "65536",
    ])
    #expect(wrong.status == 64)
    #expect(wrong.errors.contains("0 to 65535"))
    #expect(await ana.leave() == 0)
  }

  @Test func `with --authorize ask a newcomer writes once accepted on the page`() async throws {
    let ana = try await ChatProcess(
      dir("ana"), name: "ana", listen: true, options: ["--authorize", "ask", "--web"])
    let page = try await page(of: ana.process)
    await ana.process.send("welcome")
    try await ana.event("message", "message", "welcome")
    let eve = try await ChatProcess(
      dir("eve"), key: ana.key, name: "eve", connect: [try #require(ana.address)])
    try await ana.event("request", "username", "eve")
    try await eve.event("message", "message", "welcome")
    #expect(await !eve.process.lines.contains { $0.contains(#""event":"authorized""#) })
    let answer = #"{"key":"\#(eve.local)","accept":true}"#
    #expect(try await request("/api/rooms/\(ana.key)/requests", page, post: answer).status == 200)
    try await eve.process.line(containing: #""event":"authorized""#)
    await eve.process.send("thank you")
    try await ana.event("message", "message", "thank you")
    #expect(await eve.leave() == 0)
    #expect(await ana.leave() == 0)
  }

  @Test func `with --authorize ask a newcomer writes once accepted in the terminal`() async throws {
    let ana = try await DatProcess([
      "chat", dir("ana"), "--name", "ana", "--listen", "127.0.0.1:0", "--authorize", "ask",
    ])
    let link = try await ana.line(containing: "dat://")
    let listening = try await ana.line(containing: "listening on ")
    await ana.send("welcome")
    try await ana.line(containing: "ana: welcome")
    let address = try #require(listening.split(separator: " ").last.map(String.init))
    let eve = try await ChatProcess(dir("eve"), key: link, name: "eve", connect: [address])
    let mallory = try await ChatProcess(dir("m"), key: link, name: "mallory", connect: [address])
    try await ana.line(containing: "eve wants to write")
    try await ana.line(containing: "mallory wants to write: /accept or /refuse")
    await ana.send("/accept nobody")
    await ana.send("/accept \(eve.local.prefix(8))")
    try await ana.line(containing: "eve may write")
    await ana.send("/refuse mallory")
    try await ana.line(containing: "mallory is refused here")
    try await eve.process.line(containing: #""event":"authorized""#)
    try await ana.error(containing: "nobody of that name or key")
    #expect(await !mallory.process.lines.contains { $0.contains(#""event":"authorized""#) })
    #expect(await eve.leave() == 0)
    #expect(await mallory.leave() == 0)
    await ana.signal(SIGINT)
    #expect(await ana.status() == 0)
  }
}
