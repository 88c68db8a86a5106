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
    // The test takes the turns, so that none comes between its looks.
    options.turn = .seconds(3600)
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
    while true {
      let open = await world.host.status().filter { $0.state == .hosting }
      #expect(open.count == 2)
      #expect(await world.host.replicas.count == 2)
      stored.formUnion(open.filter { $0.stored == 1 }.map(\.key))
      if stored.count == 5 { break }
      if open.allSatisfy({ $0.stored == 1 }) {
        #expect(await world.host.rotate(), "some still wait")
      } else {
        try await Task.sleep(for: .milliseconds(5))
      }
    }
    // One that is removed makes room at once.
    try await world.host.remove(try #require(feeds[0].key))
    try await world.host.remove(try #require(feeds[1].key))
    try await world.host.remove(try #require(feeds[2].key))
    #expect(await world.host.status().map(\.state) == [.hosting, .hosting])
    for swarm in swarms { await swarm.close() }
    await world.close()
  }

  /// Makes a host with a key whose folder holds something else.
  private func hostWithBadFolder(turn: Duration) async throws -> (HostWorld, PublicKey, String) {
    var options = ReplicaHost.Options()
    options.turn = turn
    let world = try await HostWorld(options: options)
    let key = KeyPair.generate().publicKey
    let folder = world.folder.path + "/host/replicas/\(key.discoveryKey.hex)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in ["tree", "key"] {
      try Data([UInt8](repeating: 7, count: 64)).write(
        to: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
    return (world, key, folder)
  }

  @Test func `what could not be opened is counted as that, and tried again`() async throws {
    let (world, key, folder) = try await hostWithBadFolder(turn: .seconds(3600))
    let status = try await world.host.add(HostedKey(parsing: "feed:\(key.hex)"))
    #expect(status.state == .failed)
    #expect(await world.host.failed == [key])
    #expect(await world.host.rotate(), "it is tried again")
    #expect(await world.host.failed == [key])
    try FileManager.default.removeItem(atPath: folder)
    #expect(await !world.host.rotate(), "nothing is left to try")
    #expect(await world.host.failed.isEmpty)
    #expect(await world.host.status().map(\.state) == [.hosting])
    await world.close()
  }

  @Test func `turns are taken while something waits for one`() async throws {
    let (world, key, folder) = try await hostWithBadFolder(turn: .milliseconds(20))
    try await world.host.add(HostedKey(parsing: "feed:\(key.hex)"))
    // At a turn the folder is being looked into, and may not be emptied file by file.
    try FileManager.default.moveItem(atPath: folder, toPath: world.folder.path + "/aside")
    _ = try await world.waitUntil(key) { $0.state == .hosting }
    while await !world.host.failed.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    await world.close()
  }
}
