import DatHost
import DatSwarm
import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
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

  @Test func `an archive takes no more of the disk than a room may`() async throws {
    var options = ReplicaHost.Options()
    options.disk = DiskLimits(perWriter: 1000, inAll: 300_000)
    let world = try await HostWorld(options: options)
    let owner = try await Archive.inMemory()
    for number in 0..<100 {
      try await owner.write(
        ArchivePath(text: Array("/\(number)".utf8)), [UInt8](repeating: UInt8(number), count: 8000))
    }
    try await world.host.add(HostedKey(kind: .archive, key: owner.key))
    let swarm = await connect(owner, world)
    let status = try await world.waitUntil(owner.key) { $0.problem != nil }
    #expect(try #require(status.problem).contains("300000 bytes"))
    // Of 201 blocks: the entries and the files.
    #expect(status.stored < 160)
    await swarm.close()
    await world.close()
    try await owner.close()
  }

  @Test func `two histories of an archive are a host's to see, after a start too`() async throws {
    let folder = try TemporaryFolder()
    let world = try await HostWorld(folder: folder)
    var options = Archive.Options()
    options.keyPair = KeyPair.generate()
    let (first, second) = (
      try await Archive.inMemory(options: options), try await Archive.inMemory(options: options)
    )
    try await first.write("/a", Array("first".utf8))
    try await second.write("/a", Array("second".utf8))
    try await second.write("/b", Array("second".utf8))
    try await world.host.add(HostedKey(kind: .archive, key: first.key))
    var swarm = await connect(first, world)
    _ = try await world.waitUntil(first.key) { $0.stored == 3 }
    await swarm.close()
    swarm = await connect(second, world)
    let status = try await world.waitUntil(first.key) { $0.problem != nil }
    #expect(try #require(status.problem).contains("two histories"))
    await swarm.close()
    await world.close()
    let again = try await HostWorld(folder: folder)
    _ = try await again.waitUntil(first.key) { $0.problem?.contains("two histories") == true }
    await again.close()
    try await first.close()
    try await second.close()
  }
}
