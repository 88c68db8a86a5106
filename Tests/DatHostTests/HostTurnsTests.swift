import DatSwarm
import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import DatHost

/// A host with more keys than may be open.
@Suite(.timeLimit(.minutes(1))) struct HostTurnsTests {
  @Test func `keys beyond those that may be open wait, are counted, and have their turn`()
    async throws
  {
    var options = ReplicaHost.Options()
    options.maximumOpen = 2
    options.turn = .milliseconds(100)
    let world = try await HostWorld(options: options)
    var feeds: [Feed] = []
    var swarms: [Swarm] = []
    for number in 0..<5 {
      let feed = try await Feed.open(storage: MemoryStorage())
      try await feed.append([UInt8(number)])
      feeds.append(feed)
      var patience = Swarm.Options()
      patience.givenPauses = [.milliseconds(20)]
      let swarm = Swarm(options: patience)
      let topic = try #require(feed.discoveryKey)
      await swarm.join(topic) { _ in try await feed.replicate(.live) }
      await swarm.connect(to: world.address, about: topic)
      swarms.append(swarm)
      _ = try await world.host.add(
        HostedKey(parsing: "feed:\(try #require(feed.key).hex)"))
    }
    let states = await world.host.status().map(\.state)
    #expect(states.count { $0 == .queued } == 3)
    #expect(states.count { $0 == .hosting } == 2)
    // Each is stored in the end, though never more than two are open.
    var stored: Set<PublicKey> = []
    while stored.count < 5 {
      let all = await world.host.status()
      #expect(await world.host.replicas.count <= 2)
      stored.formUnion(all.filter { $0.stored == 1 }.map(\.key))
      try await Task.sleep(for: .milliseconds(5))
    }
    // One that is removed makes room at once.
    try await world.host.remove(try #require(feeds[0].key))
    try await world.host.remove(try #require(feeds[1].key))
    try await world.host.remove(try #require(feeds[2].key))
    while await world.host.status().contains(where: { $0.state == .queued }) {
      try await Task.sleep(for: .milliseconds(5))
    }
    #expect(await world.host.status().count == 2)
    for swarm in swarms { await swarm.close() }
    await world.close()
  }

  @Test func `what could not be opened is counted as that, and tried again`() async throws {
    var options = ReplicaHost.Options()
    options.turn = .milliseconds(20)
    let world = try await HostWorld(options: options)
    let key = KeyPair.generate().publicKey
    let folder = world.folder.path + "/host/replicas/\(key.discoveryKey.hex)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data([UInt8](repeating: 7, count: 64)).write(to: URL(fileURLWithPath: folder + "/tree"))
    try Data([UInt8](repeating: 7, count: 64)).write(to: URL(fileURLWithPath: folder + "/key"))
    let status = try await world.host.add(HostedKey(parsing: "feed:\(key.hex)"))
    #expect(status.state == .failed)
    #expect(await world.host.failed == [key])
    try FileManager.default.removeItem(atPath: folder)
    _ = try await world.waitUntil(key) { $0.state == .hosting || $0.state == .waiting }
    while await !world.host.failed.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    await world.close()
  }
}
