import DatTesting
import Foundation
import Testing

/// Folders that are copied and written in both places, through the command.
struct ForkScene {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  func dir(_ name: String) -> String { folder.path + "/" + name }

  func copy(_ name: String, to other: String) throws {
    try FileManager.default.copyItem(atPath: dir(name), toPath: dir(other))
  }

  func run(_ arguments: String..., input: String = "") async throws -> (
    status: Int32, lines: [String], errors: String
  ) { try await DatProcess.run(arguments, input: input) }

  func say(_ text: String, in name: String) async throws {
    let said = try await run(
      "chat", dir(name), "--name", "bea", "--no-lan", "--json", input: text + "\n")
    #expect(said.status == 0, "\(said)")
  }

  /// Makes a room of ana's with bea in it, and two copies of bea's folder, both written.
  func forkedRoom() async throws -> String {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let bea = try await ChatProcess(
      dir("bea"), key: ana.key, name: "bea", connect: [try #require(ana.address)])
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("before")
    try await ana.event("message", "message", "before")
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
    try copy("bea", to: "copy")
    try await say("on the laptop", in: "bea")
    try await say("on the desktop\nand again", in: "copy")
    return ana.key
  }

  /// Lets both copies meet ana, one after the other, so that they learn of the fork.
  func meet() async throws {
    let ana = try await ChatProcess(dir("ana"), name: "ana", listen: true)
    let address = try #require(ana.address)
    let laptop = try await ChatProcess(dir("bea"), name: "bea", connect: [address])
    try await ana.event("message", "message", "on the laptop")
    let desktop = try await ChatProcess(dir("copy"), name: "bea", connect: [address])
    for peer in [ana, laptop, desktop] {
      let line = try await peer.process.line(containing: #""event":"forked""#)
      let own = try ChatProcess.event(line)["data"] as? [String: Any]
      #expect(own?["own"] as? Bool == (peer.local != ana.local))
      #expect(line.contains("dat rekey"))
    }
    // No connection was lost over it.
    await desktop.process.send("refused")
    try await desktop.process.line {
      $0.contains(#""event":"error""#) && $0.contains("dat rekey")
    }
    await ana.process.send("still here")
    for peer in [laptop, desktop] { try await peer.event("message", "message", "still here") }
    for peer in [laptop, ana] { #expect(await peer.leave() == 0) }
    // It has not sent a line that it was given.
    #expect(await desktop.leave() == 1)
    #expect(await !ana.messages().contains("on the desktop"))
  }

  /// Returns every file below a folder with its bytes, except the locks that looking leaves.
  func contents(of path: String) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      if let data = FileManager.default.contents(atPath: path + "/" + name) { found[name] = data }
    }
    return found
  }
}
