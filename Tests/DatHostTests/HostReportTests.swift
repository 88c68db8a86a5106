import DatSwarm
import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import Testing

@testable import DatHost

@Suite(.serialized, .timeLimit(.minutes(1))) struct HostReportTests {
  @Test func `a report says what is held, how complete it is, and who is connected`() async throws {
    let world = try await HostWorld()
    let folder = try TemporaryFolder()
    let feed = try await Feed.open(folder: folder.path, options: Feed.Options())
    for number in 0..<5 { try await feed.append(Array("block \(number)".utf8)) }
    let key = try #require(feed.key)
    try await world.host.add(HostedKey(kind: .feed, key: key))
    let unseen = KeyPair.generate().publicKey
    try await world.host.add(HostedKey(kind: .unknown, key: unseen))
    let peer = await world.connect(feed)
    _ = try await world.waitUntil(key) { $0.stored == 5 && $0.connections == 1 }

    let report = await world.host.report(version: "1.2.3")
    #expect(report.version == "1.2.3")
    #expect(report.folder == world.host.path)
    #expect(report.kinds == ["feed": 1, "any": 1])
    #expect(report.states == ["hosting": 1, "waiting": 1])
    #expect((report.feeds, report.length, report.stored, report.complete) == (1, 5, 5, 1))
    #expect(report.incomplete.isEmpty)
    #expect(report.connections == 1 && report.addresses == 1)
    #expect(report.peers == [.init(address: "127.0.0.1", connections: 1, keys: 1)])
    #expect(report.received > 0 && report.sent > 0)
    #expect(report.diskUsed > 0)
    #expect(report.process == Int(ProcessInfo.processInfo.processIdentifier))
    #expect(report.descriptors ?? 1 > 0 && report.descriptorLimit ?? 1 > 0)
    #if os(Linux)
      #expect(report.memory ?? 0 > report.ownMemory ?? .max)
    #endif
    await peer.close()
    await world.close()
    try await feed.close()
  }

  @Test func `what needs attention is among the warnings, with its key`() async throws {
    var options = ReplicaHost.Options()
    options.quota = 1
    options.disk.reserve = .max
    let world = try await HostWorld(options: options)
    let key = KeyPair.generate().publicKey
    // A file stands where the folder of the key has to be.
    let path = world.host.path + "/replicas"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Data().write(to: URL(fileURLWithPath: "\(path)/\(key.discoveryKey.hex)"))
    try await world.host.add(HostedKey(kind: .feed, key: key))
    let report = await world.host.report()
    #expect(report.states == ["failed": 1])
    #expect(report.warnings.contains { $0.key == nil && $0.sentence.contains("kept free") })
    #expect(report.warnings.contains { $0.key == "feed:\(key.hex)" })
    #expect(report.warningCount == report.warnings.count)
    await world.close()
  }

  @Test func `any number of keys with any lengths takes the room of a screen`() throws {
    var report = HostReport()
    for number in 0..<2_000 {
      let key = try #require(PublicKey(hex: String(format: "%064x", number)))
      var status = HostedStatus(key: key, kind: .feed, folder: "/f")
      status.length = number % 3 == 0 ? .max : UInt64(number)
      status.stored = number % 5 == 0 ? .max : 0
      if number % 2 == 0 { status.problem = "It is broken." }
      report.add(status)
    }
    report.cutIncomplete()
    #expect(report.incomplete.count == HostReport.listLimit)
    #expect(report.incomplete.first?.length == .max)
    #expect(report.warnings.count == HostReport.listLimit)
    #expect(report.warningCount == 1_000)
    #expect(report.length == .max)
    #expect(report.kinds == ["feed": 2_000])
  }

  @Test func `the report comes over the socket`() async throws {
    let world = try await HostWorld()
    let key = KeyPair.generate().publicKey
    try await world.host.add(HostedKey(kind: .feed, key: key))
    let control = try await HostControl(world.host, version: "9.9.9")
    let running = Task { try await control.run() }
    let report = try await HostClient.report(hostIn: world.host.path)
    #expect(report.version == "9.9.9")
    #expect(report.kinds == ["feed": 1])
    running.cancel()
    _ = await running.result
    await world.close()
  }

  @Test func `a table of a process is read as far as it is one`() {
    let table = Array("Name:\tdat\nVmRSS:\t   39000 kB\nRssAnon:\t99999999999999999999 kB\n".utf8)
    #expect(ProcessUse.bytes(of: "VmRSS", in: table) == 39_000 * 1024)
    #expect(ProcessUse.bytes(of: "RssAnon", in: table) == nil)
    #expect(ProcessUse.bytes(of: "VmSwap", in: table) == nil)
    #expect(ProcessUse.bytes(of: "Name", in: table) == nil)
  }
}
