import DatHost
import DatSwarm
import DatTesting
import Foundation
import Hypercore
import Hyperdrive
import Testing

/// Archives that are kept online.
@Suite(.timeLimit(.minutes(1))) struct HostedArchiveTests {
  private func connect(_ archive: Archive, _ world: HostWorld) async -> Swarm {
    let swarm = Swarm()
    await swarm.join(archive.discoveryKey) { _ in try await archive.replicate(.live) }
    await swarm.connect(to: world.address, about: archive.discoveryKey)
    return swarm
  }

  @Test(arguments: [HostedKind.unknown, .archive])
  func `an archive is kept with its newest files, and read when its owner is gone`(
    _ kind: HostedKind
  )
    async throws
  {
    let world = try await HostWorld()
    let owner = try await Archive.inMemory()
    try await owner.write("/a", Array("old".utf8))
    try await owner.write("/a", Array("first".utf8))
    try await owner.write("/b/c", [UInt8](repeating: 7, count: 200_000))
    try await world.host.add(HostedKey(kind: kind, key: owner.key))
    let swarm = await connect(owner, world)
    // All entries, and the blocks of the newest files: all but one.
    let status = try await world.waitUntil(owner.key) {
      $0.kind == .archive && $0.feeds == 2 && $0.stored == $0.length - 1 && $0.length == 10
    }
    #expect(status.problem == nil)
    await swarm.close()
    try await owner.close()

    let reader = try await Archive.inMemory(options: Archive.Options(key: owner.key, sparse: true))
    let reading = await connect(reader, world)
    #expect(try await reader.read("/a").collect() == Array("first".utf8))
    #expect(try await reader.read("/b/c").collect().count == 200_000)
    await reading.close()
    try await reader.close()
    await world.close()
  }
}
