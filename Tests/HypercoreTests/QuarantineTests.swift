import DatTesting
import Foundation
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// The faults that stop a feed for good, or until it is opened anew: two histories, and a failing
/// disk.
@Suite struct QuarantineTests {
  private func history(_ last: UInt8) throws -> FeedCore {
    let core = try FeedCore.open(in: MemoryStorage(), options: FeedOptions(keyPair: keyPair(1)))
    try core.append([[1], [2], [3]])
    try core.append([[last]])
    return core
  }

  private func forkedReplica(in storage: any StorageProvider) throws -> FeedCore {
    let (one, other) = (try history(4), try history(5))
    let reader = try FeedCore.open(in: storage, options: FeedOptions(key: keyPair(1).publicKey))
    for block in 0..<one.length { try fetch(block, from: one, into: reader) }
    // The whole proof: if the reader said which nodes it knows, the other would have nothing to
    // contradict.
    #expect(throws: FeedError.self) { try fetch(3, from: other, into: reader, digest: 0) }
    return reader
  }

  @Test func `a fork is remembered: both proofs are on disk, and nothing is written any more`()
    throws
  {
    let storage = MemoryStorage()
    let found = try #require(try forkedReplica(in: storage).forkEvidence)
    #expect(found.isProven)
    for access in [StorageAccess.readWrite, .readOnly] {
      let again = try FeedCore.open(in: MemoryStorage(sharing: storage, access: access))
      #expect(again.forkEvidence == found)
      #expect(again.report.findings.contains(.forked))
      #expect(try again.block(at: 3) == [4])
      let error = #expect(throws: FeedError.self) {
        try fetch(3, from: try history(4), into: again)
      }
      #expect(error?.code == .forked)
      try again.close()
    }
    // The same with the secret key.
    let owner = try FeedCore.open(in: storage, options: FeedOptions(keyPair: keyPair(1)))
    #expect(!owner.isWritable)
    let error = #expect(throws: FeedError.self) { try owner.append([[6]]) }
    #expect(error?.code == .forked && error?.fork == found)
  }

  @Test func `evidence that proves nothing quarantines nothing`() throws {
    let storage = MemoryStorage()
    var evidence = try #require(try forkedReplica(in: storage).forkEvidence)
    evidence.theirs.signature = keyPair(2).secretKey.sign([1])
    for bytes in [try evidence.fileBytes(), Array("{".utf8), [0, 255, 7]] {
      let file = try storage.storage(named: "fork.json")
      try file.truncate(to: 0)
      try file.write([StorageWrite(offset: 0, bytes: bytes)])
      let core = try FeedCore.open(in: storage)
      #expect(core.forkEvidence == nil)
      #expect(core.report.findings == [.forkEvidenceUnreadable])
      try core.close()
    }
  }

  @Test func `evidence goes through its text and back`() throws {
    let evidence = try #require(try forkedReplica(in: MemoryStorage()).forkEvidence)
    let text = try JSONEncoder().encode(evidence)
    #expect(try JSONDecoder().decode(ForkEvidence.self, from: text) == evidence)
  }

  @Test func `a damaged tree is no fork`() throws {
    let storage = MemoryStorage()
    let writer = try history(4)
    let reader = try FeedCore.open(in: storage, options: FeedOptions(key: keyPair(1).publicKey))
    for block in [0, 1, 3] as [UInt64] { try fetch(block, from: writer, into: reader) }
    try reader.close()
    // The leaf of block 3 is another one now.
    try storage.storage(named: "tree").write([
      StorageWrite(offset: 32 + 40 * 6, bytes: TreeHash.leaf([9]).bytes)
    ])
    let again = try FeedCore.open(in: storage)
    let error = #expect(throws: FeedError.self) {
      try fetch(3, from: writer, into: again, digest: 0)
    }
    #expect(error?.code == .damaged)
    #expect(again.forkEvidence == nil)
  }

  @Test(arguments: [1, 3])
  func `a peer of another history is asked for all of its proof, and stays once it has given it`(
    more: Int
  ) throws {
    let simulation = Simulation(seed: 1)
    let reader = try SimulatedReplica("reader", FeedOptions(key: keyPair(1).publicKey), seed: 1)
    let one = try history(4)
    for block in 0..<4 as Range<UInt64> { try fetch(block, from: one, into: reader.core) }
    try reader.core.clear(3..<4)
    let forker = try SimulatedReplica("forker", FeedOptions(keyPair: keyPair(1)), seed: 2)
    try forker.core.append([[1], [2], [3]])
    for _ in 0..<more { try forker.core.append([[5]]) }
    let connection = try SimulatedReplica.connect(forker, reader, live: true, in: simulation)
    simulation.run(for: .seconds(30))
    #expect(reader.core.forkEvidence?.isProven == true)
    #expect(connection.hasEnded == [false, false])
  }

  @Test(arguments: [false, true])
  func `a disk that is full stops writing and downloading, and what is there is served on`(
    full: Bool
  ) async throws {
    let storage = MemoryStorage()
    let faulty = FaultyStorage(storage)
    let options = Feed.Options(keyPair: keyPair(1), isNew: true)
    let writer = try await Feed.inMemory(options: options)
    try await writer.append(someBlocks(50))
    let reader = try await Feed.open(
      storage: faulty, options: .init(key: keyPair(1).publicKey, sparse: true))
    let events = reader.events()
    let (one, other) = (
      try await writer.replicate(.live), try await reader.replicate(.live)
    )
    let joined = Task { await join(one, other) }
    _ = try await reader.get(7)
    faulty.fail(
      .init(
        call: 0, kinds: full ? [.write, .delete] : [.write, .sync], forEver: true, tears: true))
    await expectFailure(.storage) { _ = try await reader.get(8) }
    for await case .failure(let reason) in events {
      #expect(reason.contains("full"))
      break
    }
    // The peer is not to blame, and it is not asked again and again.
    #expect(await one.closeReason == nil)
    #expect(await other.closeReason == nil)
    #expect(await reader.peers.count == 1)
    await expectFailure(.storage) {
      _ = try await reader.get(9, options: .init(timeout: .seconds(20)))
    }
    #expect(try await reader.get(7) == someBlocks(50)[7])
    // A third feed gets from the reader what that has.
    let third = try await Feed.inMemory(options: .init(key: keyPair(1).publicKey, sparse: true))
    let (three, four) = (try await reader.replicate(.live), try await third.replicate(.live))
    let more = Task { await join(three, four) }
    #expect(try await third.get(7) == someBlocks(50)[7])
    for stream in [one, other, three, four] { await stream.close() }
    _ = await (joined.value, more.value)
    faulty.fail(nil)
    try await reader.close()
    let again = try await Feed.open(storage: storage)
    #expect(try await again.audit().invalid == 0)
    #expect(try await again.get(7) == someBlocks(50)[7])
  }

  @Test func `after a sync that failed nothing is written as if it had not`() throws {
    let faulty = FaultyStorage(MemoryStorage())
    var options = FeedOptions(keyPair: keyPair(1))
    options.durability = .synced
    let core = try FeedCore.open(in: faulty, options: options)
    try core.append([[1]])
    faulty.fail(.init(call: 0, kinds: [.sync]))
    #expect(throws: FeedError.self) { try core.append([[2]]) }
    faulty.fail(nil)
    for _ in 0..<2 {
      let error = #expect(throws: FeedError.self) { try core.append([[3]]) }
      #expect(error?.code == .storage)
      #expect(throws: FeedError.self) { try core.sync() }
    }
    #expect(faulty.callCount == 0 || !core.isWritable)
    #expect(try core.block(at: 0) == [1])
  }
}
