import DatTesting
import Foundation
import Testing

/// Folders that are copied while nothing runs in them, lost, and put back from the copy, as the articles say.
@Suite(.serialized, .timeLimit(.minutes(3))) struct BackupTests {
  let scene: ForkScene

  init() throws { scene = try ForkScene() }

  /// Replaces a folder by its backup.
  private func restore(_ backup: String, to name: String) throws {
    try FileManager.default.removeItem(atPath: scene.dir(name))
    try scene.copy(backup, to: name)
  }

  /// Waits until a host may write in a room, and has what was said there before the backup.
  private func isHeld(_ key: String, by host: HostProcess) async throws {
    while true {
      let room = try await host.ask("list").replicas.first { $0["key"] as? String == key }
      let (stored, length) = (room?["stored"] as? Int ?? 0, room?["length"] as? Int ?? 0)
      if room?["writer"] as? Bool == true, stored == length,
        let folder = room?["folder"] as? String
      {
        let list = try await scene.run("db", "list", folder, "messages")
        if list.lines.contains(where: { $0.contains("before the backup") }) { return }
      }
      try await Task.sleep(for: .milliseconds(50))
    }
  }

  private func isHealthy(_ name: String) async throws -> Bool {
    let doctor = try await scene.run("doctor", scene.dir(name))
    return doctor.status == 0 && !doctor.lines.contains { $0.contains("two histories") }
  }

  @Test func `a room that is restored older than its peers gets its own messages back and goes on`()
    async throws
  {
    var ana = try await ChatProcess(scene.dir("ana"), name: "ana", listen: true)
    var bea = try await ChatProcess(
      scene.dir("bea"), key: ana.key, name: "bea", connect: [try #require(ana.address)])
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("before the backup")
    try await ana.event("message", "message", "before the backup")
    #expect(await bea.leave() == 0)
    try scene.copy("bea", to: "backup")

    bea = try await ChatProcess(
      scene.dir("bea"), name: "bea", connect: [try #require(ana.address)])
    await bea.process.send("after the backup")
    try await ana.event("message", "message", "after the backup")
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
    try restore("backup", to: "bea")
    let doctor = try await scene.run("doctor", scene.dir("bea"))
    #expect(doctor.lines.contains { $0.contains("restored from a backup") }, "\(doctor)")

    ana = try await ChatProcess(scene.dir("ana"), name: "ana", listen: true)
    bea = try await ChatProcess(
      scene.dir("bea"), name: "bea", connect: [try #require(ana.address)])
    // What was published comes back before anything is written.
    try await bea.event("message", "message", "after the backup")
    await bea.process.send("after the restore")
    try await ana.event("message", "message", "after the restore")
    #expect(await bea.leave() == 0)
    #expect(await ana.leave() == 0)
    for name in ["ana", "bea"] {
      #expect(try await isHealthy(name), "\(name)")
      let texts = try await scene.run("db", "list", scene.dir(name), "messages")
      for text in ["before the backup", "after the backup", "after the restore"] {
        #expect(texts.lines.filter { $0.contains(text) }.count == 1, "\(name): \(text)")
      }
    }
  }

  @Test
  func
    `a host that is restored older than its peers fetches what came since and lets newcomers in`()
    async throws
  {
    var host = try await HostProcess(scene.dir("host"))
    let ana = try await ChatProcess(scene.dir("ana"), name: "ana", connect: [host.address])
    #expect(try await host.ask("add", ["room:\(ana.key)"]).status == 0)
    try await ana.event("join", "username", "host")
    await ana.process.send("before the backup")
    try await isHeld(ana.key, by: host)
    #expect(await host.end() == 0)
    try scene.copy("host", to: "backup")

    // Meanwhile the host lets somebody in, which it writes in its own feed.
    host = try await HostProcess(scene.dir("host"))
    let bea = try await ChatProcess(
      scene.dir("bea"), key: ana.key, name: "bea", connect: [host.address])
    try await bea.process.line(containing: #""event":"authorized""#)
    await bea.process.send("after the backup")
    let reader = try await ChatProcess(
      scene.dir("reader"), key: ana.key, name: "rey", connect: [host.address])
    try await reader.event("message", "message", "after the backup")
    try await reader.process.line(containing: #""event":"authorized""#)
    #expect(await bea.leave() == 0)
    #expect(await reader.leave() == 0)
    #expect(await ana.leave() == 0)
    #expect(await host.end() == 0)
    try restore("backup", to: "host")

    host = try await HostProcess(scene.dir("host"))
    let again = try await ChatProcess(scene.dir("reader"), name: "rey", connect: [host.address])
    try await again.event("join", "username", "host")
    let cyd = try await ChatProcess(
      scene.dir("cyd"), key: ana.key, name: "cyd", connect: [host.address])
    for text in ["before the backup", "after the backup"] {
      try await cyd.event("message", "message", text)
    }
    try await cyd.process.line(containing: #""event":"authorized""#)
    await cyd.process.send("after the restore")
    try await again.event("message", "message", "after the restore")
    for peer in [cyd, again] { #expect(await peer.leave() == 0) }
    let list = try await host.ask("list")
    #expect(list.replicas.allSatisfy { $0["problem"] is NSNull }, "\(list)")
    #expect(await host.end() == 0)
    for name in ["ana", "bea", "reader", "cyd"] { #expect(try await isHealthy(name), "\(name)") }
  }
}
