import DatTesting
import Foundation
import HypercoreCrypto
import Testing

@testable import Hypercore

/// The hook that sees blocks before they are stored, and proofs of hashes alone.
@Suite(.timeLimit(.minutes(1))) struct WriteHookTests {
  struct Refusal: Error {}

  /// The blocks that a hook was called with. It refuses those of one byte, 13.
  final class Hook: @unchecked Sendable {
    // Unchecked, with this proof: every access holds the lock.
    private let lock = NSLock()
    private var all: [ProposedBlock] = []

    var blocks: [ProposedBlock] { lock.withLock { all } }

    func see(_ block: ProposedBlock) throws {
      lock.withLock { all.append(block) }
      if block.bytes == [13] { throw Refusal() }
    }
  }

  private func options(_ hook: Hook, key: PublicKey? = nil) -> Feed.Options {
    var options = Feed.Options()
    options.key = key
    options.onWrite = { try hook.see($0) }
    return options
  }

  @Test func `the hook sees every block before it is appended, and may refuse the call`()
    async throws
  {
    let hook = Hook()
    let feed = try await Feed.inMemory(options: options(hook))
    try await feed.append([1])
    await expectFailure(.refused, "Block 2", "Refusal") { try await feed.append([[2], [13], [3]]) }
    #expect(await feed.length == 1)
    #expect(try await feed.append([[4], [5]]) == 1)
    #expect(hook.blocks.map(\.index) == [0, 1, 2, 1, 2])
    #expect(hook.blocks.map(\.bytes) == [[1], [2], [13], [4], [5]])
    #expect(hook.blocks.allSatisfy { $0.isLocal && $0.peer == nil })
  }

  @Test func `of appends that are written together only those fail that are refused`() async throws
  {
    let hook = Hook()
    let feed = try await Feed.inMemory(options: options(hook))
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<200 as Range<UInt8> {
        group.addTask {
          if number.isMultiple(of: 10) {
            await expectFailure(.refused) { try await feed.append([13]) }
          } else {
            await #expect(throws: Never.self) { try await feed.append([number, number]) }
          }
        }
      }
    }
    #expect(await feed.length == 180)
    #expect(try await feed.audit().valid == 180)
    // Each block that was stored was shown with the index that it has.
    for block in hook.blocks where block.bytes != [13] {
      #expect(try await feed.get(block.index) == block.bytes)
    }
  }

  @Test func `a block that a peer brings is shown once it is verified, and not stored if refused`()
    async throws
  {
    let feed = try await Feed.inMemory()
    try await feed.append([[1], [13], [2]])
    let hook = Hook()
    let copy = try await Feed.inMemory(options: options(hook, key: feed.key))
    let (one, other) = (try await feed.replicate(.live), try await copy.replicate(.live))
    await join(one, other)
    await expectFailure(.refused, "Block 1") { try await other.finished() }
    let error = await #expect(throws: FeedError.self) { try await other.finished() }
    #expect(error?.cause is Refusal)
    // The peer did nothing wrong.
    #expect(error?.isOffence == false)
    #expect(await copy.has(0..<1))
    #expect(await !copy.has(1..<2))
    let first = try #require(hook.blocks.first)
    #expect(first.bytes == [1] && !first.isLocal && first.peer?.id?.count == 32)
    // What is here is not shown again, and what was refused is, with the next connection.
    let before = hook.blocks.count
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(hook.blocks[before...].contains { $0.index == 1 })
    #expect(!hook.blocks[before...].contains { $0.index == 0 })
  }

  @Test func `a block that the application puts is shown as nobody's`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append([[1], [13], [2]])
    let hook = Hook()
    let copy = try await Feed.inMemory(options: options(hook, key: feed.key))
    try await copy.put(0, [1], proof: try await feed.proof(of: 0))
    #expect(hook.blocks.map(\.isLocal) == [false])
    #expect(hook.blocks.map(\.peer) == [nil])
    await expectFailure(.refused) {
      try await copy.put(1, [13], proof: try await feed.proof(of: 1))
    }
    await expectFailure(.proofRejected) {
      try await copy.put(2, [13], proof: try await feed.proof(of: 2))
    }
    // Neither a wrong block nor one that is here is shown.
    try await copy.put(0, [1], proof: try await feed.proof(of: 0))
    #expect(hook.blocks.map(\.index) == [0, 1])
    #expect(await copy.downloaded() == 1)
    try await copy.close()
  }

  @Test func `a proof of the hash alone is put without the block, which can follow alone`()
    async throws
  {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(21))
    let hook = Hook()
    let copy = try await Feed.inMemory(options: options(hook, key: feed.key))
    let events = copy.events()
    let proof = try await feed.proof(of: 9, hashOnly: true)
    #expect(proof.nodes.first?.index == 18)
    #expect(Array(proof.nodes.dropFirst()) == (try await feed.proof(of: 9)).nodes)
    try await copy.put(9, hash: proof)
    #expect(await copy.length == 21)
    #expect(await copy.downloaded() == 0)
    #expect(await copy.digest(of: 9) == 1)
    #expect(hook.blocks.isEmpty)
    // It can be passed on without the block, and from here on nothing has to be proven.
    let third = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    try await third.put(9, hash: try await copy.proof(of: 9, hashOnly: true))
    #expect(try await feed.proof(of: 9, digest: await third.digest(of: 9)).nodes.isEmpty)
    await expectFailure(.proofRejected) {
      try await third.put(9, someBlocks(21)[8], proof: Proof())
    }
    try await third.put(9, someBlocks(21)[9], proof: Proof())
    #expect(try await third.get(9) == someBlocks(21)[9])

    // A wrong hash, one of another block, and none.
    var wrong = try await feed.proof(of: 10, hashOnly: true)
    wrong.nodes[0].size += 1
    await expectFailure(.proofRejected) { try await copy.put(10, hash: wrong) }
    await expectFailure(.proofRejected) { try await copy.put(8, hash: proof) }
    await expectFailure(.proofRejected) { try await copy.put(10, hash: Proof()) }
    await expectFailure(.nodeMissing) { _ = try await copy.proof(of: 12, hashOnly: true) }
    await expectFailure(.nodeMissing) { _ = try await copy.proof(of: .max, hashOnly: true) }
    try await copy.close()
    for await event in events { if case .download = event { Issue.record("\(event)") } }
  }
}
