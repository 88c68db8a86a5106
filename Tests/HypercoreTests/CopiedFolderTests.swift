import DatTesting
import Foundation
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// A folder that was copied, or restored from a backup, may be behind what its owner has published.
@Suite struct CopiedFolderTests {
  private func copy(_ folder: TemporaryFolder) throws -> String {
    let path = folder.path + "-copy-\(UUID().uuidString)"
    try FileManager.default.copyItem(atPath: folder.path, toPath: path)
    return path
  }

  @Test func `a copy of a folder that is written in is noticed, the folder itself never`() throws {
    let folder = try TemporaryFolder()
    func open(_ path: String) throws -> FeedCore {
      try FeedCore.open(
        in: FolderStorage(path: path), options: FeedOptions(keyPair: keyPair(1)))
    }
    for _ in 0..<2 {
      let core = try open(folder.path)
      #expect(!core.isCopy && core.report.isHealthy)
      try core.append([[1], [2]])
      try core.close()
    }
    let path = try copy(folder)
    defer { try? FileManager.default.removeItem(atPath: path) }
    for _ in 0..<2 {
      let core = try open(path)
      #expect(core.isCopy)
      #expect(core.report.findings == [.folderCopied])
      // It can be written all the same.
      #expect(core.isWritable)
      try core.close()
    }
    let settled = try open(path)
    settled.confirmFolder()
    try settled.close()
    #expect(try !open(path).isCopy)
    #expect(try !open(folder.path).isCopy)
  }

  @Test func `content put back in place is noticed`() throws {
    let folder = try TemporaryFolder()
    let core = try FeedCore.open(in: FolderStorage(path: folder.path))
    try core.append([[1]])
    try core.close()
    // A program that restores files does this to each of them.
    let key = folder.url.appendingPathComponent("key")
    let bytes = try Data(contentsOf: key)
    let file = try FileHandle(forWritingTo: key)
    try file.write(contentsOf: bytes)
    try file.close()
    #expect(try FeedCore.open(in: FolderStorage(path: folder.path)).isCopy)
  }

  @Test func `moving the folder is no copy, and neither is reading it`() throws {
    let folder = try TemporaryFolder()
    let core = try FeedCore.open(in: FolderStorage(path: folder.path + "/one"))
    try core.append([[1]])
    try core.close()
    try FileManager.default.moveItem(atPath: folder.path + "/one", toPath: folder.path + "/two")
    let moved = try FeedCore.open(in: FolderStorage(path: folder.path + "/two"))
    #expect(!moved.isCopy)
  }

  @Test func `a copied feed gets what was published since before it appends`() async throws {
    let folder = try TemporaryFolder()
    let original = try await Feed.open(folder: folder.path)
    try await original.append(someBlocks(3))
    let path = try copy(folder)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await original.append(someBlocks(3..<6))
    let peer = try await Feed.inMemory(options: .init(key: try #require(original.key)))
    await join(try await original.replicate(), try await peer.replicate())
    try await original.close()

    let restored = try await Feed.open(folder: path)
    #expect(await restored.length == 3)
    let (one, other) = (try await restored.replicate(.live), try await peer.replicate(.live))
    let joined = Task { await join(one, other) }
    _ = await one.handshake()
    while await restored.peers.isEmpty { await Task.yield() }
    #expect(try await restored.append([9]) == 6)
    #expect(try await restored.get(5) == someBlocks(6)[5])
    #expect(try await peer.get(6) == [9])
    #expect(await peer.forkEvidence == nil)
    await one.close()
    await other.close()
    await joined.value
    try await restored.close()
    let again = try await Feed.open(folder: path)
    #expect(await again.repairReport.isHealthy)
    try await again.close()
  }

  @Test func `an append to a copy without peers waits for nobody`() async throws {
    let folder = try TemporaryFolder()
    let original = try await Feed.open(folder: folder.path)
    try await original.append(someBlocks(3))
    try await original.close()
    let path = try copy(folder)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let copied = try await Feed.open(folder: path)
    #expect(try await copied.append([1]) == 3)
    try await copied.close()
  }

  @Test func `a claim that nothing proves holds an append up for five seconds at most`() throws {
    let simulation = Simulation(seed: 3)
    let copy = try SimulatedReplica("copy", FeedOptions(keyPair: keyPair(1)), seed: 3)
    try copy.core.append([[1], [2]])
    copy.core.recovery.foundCopy()
    copy.replicator.startRestoring()
    // It says that there are 1,000 blocks, and has none of them.
    let liar = try SimulatedReplica("liar", FeedOptions(key: keyPair(1).publicKey), seed: 4)
    let connection = try SimulatedReplica.connect(liar, copy, live: true, in: simulation)
    simulation.run(for: .milliseconds(200))
    try #require(copy.replicator.peers.first).receive(.have(start: 0, length: 1000))
    try copy.replicator.flush()
    var isReleased = false
    copy.replicator.whenCaughtUp { isReleased = true }
    simulation.run(for: .seconds(4))
    #expect(!isReleased)
    simulation.run(for: .seconds(2))
    #expect(isReleased)
    // One wait is enough.
    isReleased = false
    copy.replicator.whenCaughtUp { isReleased = true }
    #expect(isReleased)
    #expect(copy.core.isWritable && copy.core.isCopy)
    #expect(connection.hasEnded == [false, false])
  }
}
