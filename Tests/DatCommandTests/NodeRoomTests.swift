import DatSwarm
import DatTesting
import Foundation
import HyperDB
import HypercoreCrypto
import Saga
import Testing

/// The location of the reference; these tests are skipped without it.
enum Node {
  private static let environment = ProcessInfo.processInfo.environment

  static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Interop/workshop-peer.js").path

  /// The `node` on the path.
  static let executable: URL? = (environment["PATH"] ?? "").split(separator: ":")
    .map { URL(fileURLWithPath: String($0)).appendingPathComponent("node") }
    .first { FileManager.default.isExecutableFile(atPath: $0.path) }

  /// True if `NODE_PATH` has the packages, and `DAT_WORKSHOP` the workshop.
  static let isHere = hasPackages && environment["DAT_WORKSHOP"] != nil

  /// True if the later package for rooms of operations is there, too.
  static let hasOperations = hasPackages && environment["DAT_GEUT_SAGA"] != nil

  /// True if `NODE_PATH` has the packages.
  static let hasPackages: Bool = {
    guard executable != nil else { return false }
    return (environment["NODE_PATH"] ?? "").split(separator: ":").contains {
      FileManager.default.fileExists(atPath: "\($0)/hyperdb")
    }
  }()

  static func peer(_ arguments: [String]) async throws -> DatProcess {
    try await DatProcess([script] + arguments, executable: executable)
  }
}

@Suite(
  .serialized,
  .enabled(
    if: Node.isHere,
    "needs node, NODE_PATH with the packages of Interop/package.json, and DAT_WORKSHOP"))
struct NodeRoomTests {
  private func field(_ name: String, of line: String?) throws -> String {
    let object = try JSONSerialization.jsonObject(with: Data((try #require(line)).utf8))
    let value = (object as? [String: Any])?[name]
    return value.map { "\($0)" } ?? ""
  }

  @Test func `a Swift peer joins a room that a Node peer made`() async throws {
    let folder = try TemporaryFolder()
    let node = try await Node.peer(["--name", "nan", "--listen", "--dir", folder.path + "/node"])
    let key = try field("key", of: await node.line(containing: #""event":"ready""#))
    let port = try field("port", of: await node.line(containing: #""event":"listening""#))
    await node.send("made by Node")
    try await node.line(containing: "made by Node")
    let sue = try await ChatProcess(
      folder.path + "/swift", key: key, name: "sue", connect: ["127.0.0.1:\(port)"])
    try await sue.event("message", "message", "made by Node")
    try await sue.event("join", "username", "nan")
    try await sue.process.line(containing: #""event":"authorized""#)
    await sue.process.send("joined from Swift")
    try await node.line(containing: "joined from Swift")
    await node.send("and back")
    try await sue.event("message", "message", "and back")
    try await node.line("sue's join") {
      $0.contains(#""event":"join""#) && $0.contains(sue.local)
    }
    await node.closeInput()
    #expect(await node.status() == 0)
    try await sue.event("leave", "username", "nan")
    #expect(await sue.leave() == 0)
  }

  @Test func `a Node peer joins a room that a Swift peer made`() async throws {
    let folder = try TemporaryFolder()
    let sue = try await ChatProcess(folder.path + "/swift", name: "sue", listen: true)
    await sue.process.send("made by Swift")
    try await sue.event("message", "message", "made by Swift")
    let port = try #require(sue.address?.split(separator: ":").last.map(String.init))
    let node = try await Node.peer(["--name", "nan", "--key", sue.key, "--connect", port])
    let local = try field("local", of: await node.line(containing: #""event":"ready""#))
    try await node.line(containing: "made by Swift")
    let join = try await sue.event("join", "username", "nan")
    #expect(join["key"] as? String == local)
    try await node.line(containing: #""event":"join""#)
    await node.send("joined from Node")
    let message = try await sue.event("message", "message", "joined from Node")
    #expect(message["feed"] as? String == local)
    await sue.process.send("and back")
    try await node.line(containing: "and back")
    await node.closeInput()
    #expect(await node.status() == 0)
    try await sue.event("leave", "username", "nan")
    #expect(await sue.leave() == 0)
  }
}

@Suite(
  .serialized, .timeLimit(.minutes(1)),
  .enabled(
    if: Node.hasOperations,
    "needs node, NODE_PATH with the packages of Interop/package.json, and DAT_GEUT_SAGA"))
struct NodeOperationTests {
  private struct Move: Codable, Hashable {
    var piece: String
    var to: [Int]
  }

  @Test func `a Swift peer and a Node peer share a room of operations`() async throws {
    let folder = try TemporaryFolder()
    var options = SagaOptions()
    options.kind = .operations
    let saga = try await Saga.open(
      folder: folder.path + "/swift", username: "sue", options: options)
    let swarm = Swarm()
    let address = try await swarm.listen(host: "127.0.0.1")
    await swarm.join(saga.db.discoveryKey) { _ in
      try await saga.replicate()
    } meet: { stream, _ in
      try? await saga.connect(stream)
    }
    try await saga.writeOperation(Move(piece: "rook", to: [1, 2]))
    let events = saga.events(stored: .none)
    let node = try await Node.peer([
      "--operations", "--name", "nan", "--key", saga.key.hex, "--connect", String(address.port),
    ])
    let first = try await node.line(containing: #""event":"operation""#)
    #expect(first.contains(#""operation":{"piece":"rook","to":[1,2]},"username":"sue""#))
    for await event in events { if case .join(let user) = event, user.username == "nan" { break } }
    try await node.line(containing: #""event":"join""#)
    await node.send(#"{"piece":"pawn","to":[]}"#)
    for await event in events {
      guard case .operation(let operation) = event else { continue }
      #expect(try operation.decode(Move.self) == Move(piece: "pawn", to: []))
      #expect(operation.username == "nan" && operation.key.hasPrefix("operations/"))
      break
    }
    try await saga.writeOperation(["not", "a", "move"])
    try await node.line(containing: #""operation":["not","a","move"]"#)
    await node.closeInput()
    #expect(await node.status() == 0)
    await swarm.close()
    await saga.close()
  }
}
