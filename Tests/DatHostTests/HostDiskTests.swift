import DatHost
import DatSwarm
import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Saga
import Testing

/// The share of a host's disk that strangers may fill.
@Suite(.serialized, .timeLimit(.minutes(1))) struct HostDiskTests {
  @Test func `a writer that fills its share stops there, and everything else goes on`() async throws
  {
    var options = ReplicaHost.Options()
    options.disk = DiskLimits(perWriter: 300_000, inAll: nil)
    let world = try await HostWorld(options: options)
    let flooded = try await Saga.open(storage: MemoryStorage(), username: "ana")
    let quiet = try await Saga.open(storage: MemoryStorage(), username: "bea")
    for saga in [flooded, quiet] { try await world.host.add(HostedKey(kind: .room, key: saga.key)) }
    let swarms = [await world.connect(flooded), await world.connect(quiet)]
    for saga in [flooded, quiet] { _ = try await world.waitUntil(saga.key) { $0.isWriter } }
    let text = String(repeating: "x", count: 8000)
    for _ in 0..<100 { try await flooded.writeMessage(text) }
    let status = try await world.waitUntil(flooded.key) { $0.problem != nil }
    #expect(status.stored < 60)
    #expect(try #require(status.problem).contains("300000 bytes"))
    for number in 0..<31 { try await quiet.writeMessage("message \(number)") }
    let other = try await world.waitUntil(quiet.key) { $0.stored == $0.length && $0.stored > 31 }
    #expect(other.problem == nil)
    // The host itself can still write in the room, and took no more of the flood meanwhile.
    let later = try await world.waitUntil(flooded.key) { _ in true }
    #expect(later.isWriter)
    #expect(later.stored < 60)
    for swarm in swarms { await swarm.close() }
    await world.close()
    for saga in [flooded, quiet] { await saga.close() }
  }

  @Test func `all keys of a host share its quota`() async throws {
    var options = ReplicaHost.Options()
    options.quota = 200_000
    let world = try await HostWorld(options: options)
    let feeds = [try await Feed.inMemory(), try await Feed.inMemory()]
    var swarms: [Swarm] = []
    for feed in feeds {
      try await feed.append((0..<100).map { [UInt8](repeating: UInt8($0), count: 4000) })
      try await world.host.add(HostedKey(kind: .feed, key: try #require(feed.key)))
      swarms.append(await world.connect(feed))
    }
    for feed in feeds {
      let status = try await world.waitUntil(try #require(feed.key)) { $0.problem != nil }
      #expect(try #require(status.problem).contains("this host"))
      #expect(status.stored < 100)
    }
    for swarm in swarms { await swarm.close() }
    await world.close()
  }

  @Test(.enabled(if: SmallDisk.obstacle == nil, "\(SmallDisk.obstacle ?? "")"))
  func `a host on a disk that fills keeps its reserve, and what it has can be read`() async throws {
    let disk = try SmallDisk(bytes: 4 << 20)
    let swarm = Swarm()
    let address = try await swarm.listen(host: "127.0.0.1", port: 0)
    var options = ReplicaHost.Options()
    options.disk.reserve = 1 << 20
    let host = try await ReplicaHost.open(
      folder: disk.path + "/host", options: options, swarm: swarm)
    let feed = try await Feed.inMemory()
    try await feed.append((0..<1200).map { [UInt8](repeating: UInt8($0 & 255), count: 4000) })
    let key = try #require(feed.key)
    try await host.add(HostedKey(kind: .feed, key: key))
    let other = Swarm()
    await other.join(key.discoveryKey) { _ in try await feed.replicate(.live) }
    await other.connect(to: address, about: key.discoveryKey)
    while true {
      if let problem = await host.status().first?.problem {
        #expect(problem.contains("are kept free"))
        break
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    let space = try #require(try FolderStorage(path: disk.path).space())
    #expect(space.available > 300_000)
    let path = try #require(await host.status().first).folder
    await other.close()
    await host.close()
    await swarm.close()
    #expect(try Feed.examine(FolderStorage(path: path)).isHealthy)
  }
}
