import DatTesting
import Foundation
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// The page of a room whose folder was copied and written in both places.
@Suite(.serialized) struct ForkPageTests {
  let scene: ForkScene

  init() throws { scene = try ForkScene() }

  private func request(_ path: String, _ page: [String], _ body: String? = nil) async throws -> (
    status: Int?, json: [String: Any], text: String
  ) {
    var request = URLRequest(url: try #require(URL(string: page[0] + path)))
    request.setValue(page[1], forHTTPHeaderField: "Dat-Secret")
    if let body {
      request.httpMethod = "POST"
      request.httpBody = Data(body.utf8)
      request.setValue("application/json", forHTTPHeaderField: "Content-Type")
      request.setValue(page[0], forHTTPHeaderField: "Origin")
    }
    let (data, response) = try await URLSession.shared.data(for: request)
    let json = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
    return (
      (response as? HTTPURLResponse)?.statusCode, json ?? [:],
      String(decoding: data, as: UTF8.self)
    )
  }

  private func page(of process: DatProcess) async throws -> [String] {
    let event = try ChatProcess.event(try await process.line(containing: #""event":"web""#))
    return try #require(event["url"] as? String).components(separatedBy: "/#")
  }

  @Test func `the button lists what the others lack, and goes on with a new key`() async throws {
    let key = try await scene.forkedRoom()
    try await scene.meet()
    try FileManager.default.createDirectory(
      atPath: scene.dir("rooms"), withIntermediateDirectories: true)
    try FileManager.default.moveItem(atPath: scene.dir("copy"), toPath: scene.dir("rooms/copy"))
    let before = try scene.contents(of: scene.dir("rooms/copy"))
    let arguments = ["rooms", scene.dir("rooms"), "--name", "bea", "--json", "--web", "--no-lan"]
    var rooms = try await DatProcess(arguments)
    var page = try await page(of: rooms)
    let room = "/api/rooms/\(key)"
    let plan = try await request("\(room)/recovery", page)
    #expect(plan.status == 200, "\(plan)")
    let items = plan.json["items"] as? [[String: Any]] ?? []
    #expect(items.map { $0["text"] as? String } == ["on the desktop", "and again"])
    #expect(items.map { $0["name"] as? String } == ["bea", "bea"])
    let done = try await request("\(room)/recover", page, #"{"keep":false}"#)
    #expect(done.status == 200, "\(done)")
    let aside = scene.dir("rooms/copy.forked-1")
    #expect(done.json["oldFolder"] as? String == aside)
    // The room is open again, with a new key, and can be written.
    let text = #"{"text":"new"}"#
    #expect(try await request("\(room)/messages", page, text).status == 200)
    let messages = try await request("\(room)/messages", page).text
    for text in ["before", "on the desktop", "and again", "new"] {
      #expect(messages.contains(text))
    }
    await rooms.signal(SIGINT)
    #expect(await rooms.status() == 0)
    for (name, data) in before where !name.hasSuffix("chat.json") {
      #expect(try scene.contents(of: aside)[name] == data, "\(name)")
    }
    // A folder that was moved aside is not a room of the folder.
    rooms = try await DatProcess(arguments)
    page = try await self.page(of: rooms)
    let start = try await request("/api/start", page)
    #expect((start.json["rooms"] as? [Any])?.count == 1)
    #expect(try await request("\(room)/recovery", page).status != 200)
    await rooms.signal(SIGINT)
    #expect(await rooms.status() == 0)
    #expect(await !rooms.lines.contains { $0.contains("second copy") })
  }

  @Test func `the page of one room says how to go on`() async throws {
    let key = try await scene.forkedRoom()
    try await scene.meet()
    let chat = try await ChatProcess(scene.dir("copy"), name: "bea", options: ["--web"])
    let page = try await page(of: chat.process)
    let plan = try await request("/api/rooms/\(key)/recovery", page)
    #expect(plan.status != 200 && plan.text.contains("dat rekey"), "\(plan)")
    #expect(await chat.leave() == 0)
  }
}
