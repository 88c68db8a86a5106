import DatTesting
import Foundation
import Testing

/// Copied feeds among peers of the reference, which know no forks.
@Suite(
  .serialized, .timeLimit(.minutes(2)),
  .enabled(
    if: Node.hasPackages, "needs node, and NODE_PATH with the packages of Interop/package.json"))
struct NodeForkTests {
  private static let script = URL(fileURLWithPath: Node.script).deletingLastPathComponent()
    .appendingPathComponent("feed-peer.js").path

  /// A peer of the reference, controlled line by line.
  private final class Peer {
    let process: DatProcess
    private var last = 0

    init() async throws {
      process = try await DatProcess([NodeForkTests.script], executable: Node.executable)
    }

    @discardableResult
    func call(_ what: String, _ fields: [String: Any] = [:]) async throws -> [String: Any] {
      last += 1
      let id = last
      let command = fields.merging(["id": id, "do": what]) { $1 }
      let line = try JSONSerialization.data(withJSONObject: command)
      await process.send(String(decoding: line, as: UTF8.self))
      let answer = try await process.line("answer to \(what)") {
        $0.hasPrefix("{\"id\":\(id),") || $0 == "{\"id\":\(id)}"
      }
      #expect(!answer.contains(#""error""#), "\(what): \(answer)")
      return try ChatProcess.event(answer)
    }

    func end() async {
      await process.closeInput()
      #expect(await process.status() == 0)
    }
  }

  private func append(_ count: Int, _ name: String, to dir: String) async throws {
    for number in 0..<count {
      let added = try await DatProcess.run(["feed", "append", dir], input: "\(name) \(number)\n")
      #expect(added.status == 0, "\(added)")
    }
  }

  /// Returns two copies of one folder, and the feed's key.
  private func copies(in folder: TemporaryFolder, _ own: Int, _ foreign: Int) async throws -> String
  {
    try await append(3, "common", to: folder.path + "/one")
    try FileManager.default.copyItem(
      atPath: folder.path + "/one", toPath: folder.path + "/two")
    try await append(own, "here", to: folder.path + "/one")
    try await append(foreign, "there", to: folder.path + "/two")
    let key = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/one/key"))
    return key.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private func serve(_ dir: String) async throws -> (process: DatProcess, port: Int) {
    let process = try await DatProcess([
      "feed", "serve", dir, "--listen", "127.0.0.1:0", "--json",
    ])
    let line = try await process.line(containing: #""event":"listening""#)
    return (process, try #require(try ChatProcess.event(line)["port"] as? Int))
  }

  private func untilTold(_ process: DatProcess) async throws {
    try await process.error(containing: "dat rekey")
    await process.signal(SIGINT)
    #expect(await process.status() == 0)
  }

  @Test(arguments: [(1, 2), (1, 1), (2, 1), (5, 20)], [true, false])
  func `a Node peer that relays one history has the writer of the other told`(
    _ lengths: (Int, Int), isLive: Bool
  ) async throws {
    let folder = try TemporaryFolder()
    let key = try await copies(in: folder, lengths.0, lengths.1)
    let relay = try await Peer()
    try await relay.call(
      "open", ["folder": folder.path + "/relay", "key": key, "live": isLive])
    let one = try await serve(folder.path + "/one")
    try await relay.call("connect", ["port": one.port])
    try await relay.call("waitFor", ["length": 3 + lengths.0, "count": 3 + lengths.0])
    let two = try await serve(folder.path + "/two")
    try await relay.call("connect", ["port": two.port])
    try await untilTold(two.process)
    // The relay still works, and so does the copy whose history it has.
    try await relay.call("audit")
    await one.process.signal(SIGINT)
    #expect(await one.process.status() == 0)
    #expect(await one.process.errorText.isEmpty)
    await relay.end()
  }

  @Test(arguments: [1, 2, 3])
  func `a Node writer of the other copy goes on, and the one here is told`(
    foreign: Int
  ) async throws {
    let folder = try TemporaryFolder()
    _ = try await copies(in: folder, 2, 0)
    let writer = try await Peer()
    try await writer.call("open", ["folder": folder.path + "/two"])
    let blocks = (0..<foreign).map { Data("there \($0)".utf8).base64EncodedString() }
    try await writer.call("append", ["blocks": blocks])
    let one = try await serve(folder.path + "/one")
    try await writer.call("connect", ["port": one.port])
    try await untilTold(one.process)
    let more = try await writer.call(
      "append", ["blocks": [Data("more".utf8).base64EncodedString()]])
    #expect(more["length"] as? Int == 4 + foreign)
    await writer.end()
  }
}
