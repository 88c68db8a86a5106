import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// The disk space that a writer may fill, and the progress of others meanwhile.
@Suite(.timeLimit(.minutes(1))) struct DatabaseDiskTests {
  @Test func `a paused writer hides nothing of others, and is told of`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("honest/1", [1])
    var options = HyperDBOptions()
    options.disk = DiskLimits(perWriter: 200_000, inAll: nil)
    let pauses = AsyncStream.makeStream(of: PublicKey.self)
    options.onPause = { feed, pause in if pause != nil { pauses.continuation.yield(feed) } }
    let flooder = try await HyperDB.inMemory(key: owner.key)
    try await owner.authorize(flooder.localKey)
    var once = ReplicationOptions()
    once.timeout = nil
    await join(try await owner.replicate(once), try await flooder.replicate(once))
    for number in 0..<60 {
      try await flooder.put("flood/\(number)", [UInt8](repeating: 7, count: 8000))
    }
    let reader = try await HyperDB.inMemory(key: owner.key, options: options)
    await join(try await owner.replicate(once), try await reader.replicate(once))
    let (one, other) = (try await flooder.replicate(.live), try await reader.replicate(.live))
    let joined = Task { await join(one, other) }
    for await feed in pauses.stream {
      #expect(feed == flooder.localKey)
      break
    }
    #expect(await reader.pausedFeeds.map(\.feed) == [flooder.localKey])
    #expect(await reader.diskUse > 200_000)
    // No call waits for what will not come.
    #expect(try await reader.get("honest/1").first?.value == [1])
    _ = try await reader.get("flood/59")
    await one.close()
    await other.close()
    await joined.value
    try await owner.put("honest/2", [2])
    await join(try await owner.replicate(once), try await reader.replicate(once))
    #expect(try await reader.get("honest/2").first?.value == [2])
  }
}
