import DatTesting
import Foundation
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// A key pair whose blocks are not here, as on a new disk to which the keys were restored. The next append
/// would start a second history.
@Suite struct RestoringTests {
  /// A folder in which everything but the keys is gone, and a replica that has the blocks.
  private func restored(_ count: Int) async throws -> (folder: TemporaryFolder, copy: Feed) {
    let folder = try TemporaryFolder()
    let feed = try await Feed.open(folder: folder.path)
    if count > 0 { try await feed.append(someBlocks(count)) }
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(await copy.length == UInt64(count))
    try await feed.close()
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
    where name != "key" && name != "secret_key" {
      try FileManager.default.removeItem(atPath: folder.path + "/" + name)
    }
    return (folder, copy)
  }

  @Test func `keys without blocks append nothing until a peer has proven how long the feed is`()
    async throws
  {
    let (folder, copy) = try await restored(7)
    for _ in 0..<3 {
      let feed = try await Feed.open(folder: folder.path)
      #expect(await feed.isRestoring)
      #expect(await !feed.isWritable)
      await expectFailure(.restoring) { try await feed.append([1]) }
      #expect(await feed.repairReport.findings == [.blocksMissing])
      try await feed.close()
      let examination = try Feed.examine(FolderStorage(path: folder.path))
      #expect(examination.problems.map(\.code) == [.restoring] && !examination.isHealthy)
    }
    let feed = try await Feed.open(folder: folder.path)
    let events = feed.events()
    let (one, other) = (try await feed.replicate(.live), try await copy.replicate(.live))
    let joined = Task { await join(one, other) }
    for await event in events { if case .restored = event { break } }
    #expect(try await feed.append([9]) == 7)
    #expect(try await feed.get(3) == someBlocks(7)[3])
    #expect(try await copy.get(7) == [9])
    for stream in [one, other] { await stream.close() }
    await joined.value
    try await feed.close()
    #expect(await copy.forkEvidence == nil)
    let again = try await Feed.open(folder: folder.path)
    #expect(await again.repairReport.isHealthy)
    #expect(try await again.append([10]) == 8)
    try await again.close()
  }

  @Test func `a peer without blocks is no answer`() async throws {
    let (folder, _) = try await restored(2)
    let feed = try await Feed.open(folder: folder.path)
    let empty = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    await join(try await feed.replicate(), try await empty.replicate())
    #expect(await feed.isRestoring)
    await expectFailure(.restoring) { try await feed.append([1]) }
    try await feed.close()
  }

  @Test func `who says that the key pair is new writes at once, and need not say it again`()
    async throws
  {
    let (folder, _) = try await restored(0)
    let feed = try await Feed.open(folder: folder.path)
    await expectFailure(.restoring) { try await feed.append([1]) }
    try await feed.close()
    var options = Feed.Options()
    options.isNew = true
    let told = try await Feed.open(folder: folder.path, options: options)
    #expect(await !told.isRestoring)
    if Bool.random() { try await told.append([1]) }
    try await told.close()
    let again = try await Feed.open(folder: folder.path)
    try await again.append([2])
    #expect(await again.repairReport.isHealthy)
    try await again.close()
  }

  @Test func `a key pair that is handed in needs its blocks, too`() async throws {
    let folder = try TemporaryFolder()
    let pair = KeyPair.generate()
    for _ in 0..<2 {
      let feed = try await Feed.open(folder: folder.path, options: .init(keyPair: pair))
      await expectFailure(.restoring) { try await feed.append([1]) }
      try await feed.close()
    }
    let memory = try await Feed.inMemory(options: .init(keyPair: pair))
    await expectFailure(.restoring) { try await memory.append([1]) }
    let new = try await Feed.inMemory(options: .init(keyPair: pair, isNew: true))
    #expect(try await new.append([1]) == 0)
  }

  @Test func `a feed that was made here and never written needs nobody`() async throws {
    let folder = try TemporaryFolder()
    for _ in 0..<3 {
      let feed = try await Feed.open(folder: folder.path)
      #expect(await !feed.isRestoring)
      #expect(await feed.repairReport.isHealthy)
      try await feed.close()
    }
    let feed = try await Feed.open(folder: folder.path)
    #expect(try await feed.append([1]) == 0)
    try await feed.close()
  }

  @Test func `killed while it opens, the folder still knows that its blocks are missing`() throws {
    var options = FeedOptions()
    options.isNew = false
    let first = SimulatedDisk()
    try first.storage(named: "key").write([
      StorageWrite(offset: 0, bytes: keyPair(1).publicKey.bytes)
    ])
    try first.storage(named: "secret_key").write([
      StorageWrite(offset: 0, bytes: keyPair(1).secretKey.bytes)
    ])
    let start = first.crashPoints
    let opened = try FeedCore.open(in: first, options: options)
    #expect(opened.isRestoring)
    var random = SeededRandom(seed: 1)
    for point in start - 1..<first.crashPoints {
      let disk = try first.crashed(at: point, losing: .nothing, random: &random)
      let core = try FeedCore.open(in: disk, options: options)
      #expect(core.isRestoring, "killed at \(point)")
      #expect(throws: FeedError.self) { try core.append([[1]]) }
    }
  }
}
