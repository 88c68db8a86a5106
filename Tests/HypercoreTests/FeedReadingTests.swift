import DatTesting
import Foundation
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import Hypercore

@Suite(.timeLimit(.minutes(1))) struct FeedReadingTests {
  private func reader(of feed: Feed, sparse: Bool = true) async throws -> Feed {
    try await Feed.inMemory(options: .init(key: try #require(feed.key), sparse: sparse))
  }

  @Test func `what is here is read without waiting, and what isn't is said to be missing`()
    async throws
  {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(10))
    try await feed.clear(4..<6)
    #expect(try await feed.get(3, options: .init(wait: false)) == someBlocks(10)[3])
    #expect(try await feed.get(6..<10, options: .init(wait: false)) == someBlocks(6..<10))
    #expect(try await feed.get(2..<2) == [])
    await expectFailure(.blockNotStored, "4") {
      _ = try await feed.get(4, options: .init(wait: false))
    }
    await expectFailure(.blockNotStored) {
      _ = try await feed.get(0..<5, options: .init(wait: false))
    }
    await expectFailure(.blockNotStored, "10") {
      _ = try await feed.get(10, options: .init(wait: false))
    }
    #expect(await feed.has(3))
    #expect(await feed.has(4) == false)
    #expect(await feed.has(0..<4))
    #expect(await feed.has(0..<5) == false)
    #expect(await feed.has(10) == false)
    #expect(await feed.downloaded() == 8)
    #expect(await feed.downloaded(in: 3..<7) == 2)
    #expect(try await feed.head() == someBlocks(10)[9])
  }

  @Test func `a get is answered by the append that it waits for`() async throws {
    let feed = try await Feed.inMemory()
    async let late = feed.get(2, as: .utf8)
    try await feed.append(contentsOf: ["a", "b", "c"], as: .utf8)
    #expect(try await late == "c")
  }

  @Test func `a get gives up when its time is up, its task cancelled, or the feed closed`()
    async throws
  {
    let feed = try await Feed.inMemory()
    await expectFailure(.timeout, "block 7") {
      _ = try await feed.get(7, options: .init(timeout: .milliseconds(5)))
    }
    await expectFailure(.timeout) {
      _ = try await feed.get(7..<9, options: .init(timeout: .milliseconds(5)))
    }
    await expectFailure(.timeout, "length 3") {
      try await feed.update(to: 3, timeout: .milliseconds(5))
    }
    for cancelsFirst in [true, false] {
      let gets = [
        Task { _ = try await feed.get(7) }, Task { _ = try await feed.get(7..<9) },
        Task { _ = try await feed.update() },
        Task { for try await _ in feed.blocks(.init(live: true)) {} },
      ]
      if !cancelsFirst { await waiters(of: feed, 4) }
      for get in gets { get.cancel() }
      for get in gets { await expectFailure(.cancelled) { try await get.value } }
    }
    let ends = [
      Task { _ = try await feed.get(7) }, Task { _ = try await feed.get(7..<9) },
      Task { _ = try await feed.update() },
      Task { for try await _ in feed.blocks(.init(live: true)) {} },
    ]
    await waiters(of: feed, 4)
    try await feed.close()
    for end in ends { await expectFailure(.closed) { try await end.value } }
  }

  /// Returns once this many calls wait for something.
  private func waiters(of feed: Feed, _ count: Int) async {
    while await feed.waiterCount < count { await Task.yield() }
  }

  @Test func `a cancelled range fails those who wait for it, and only those`() async throws {
    let feed = try await Feed.inMemory()
    let low = Task { try await feed.get(3) }
    let high = Task { try await feed.get(8) }
    await waiters(of: feed, 2)
    try await feed.cancel(0..<5)
    await expectFailure(.cancelled, "block 3") { _ = try await low.value }
    try await feed.append(someBlocks(9))
    #expect(try await high.value == someBlocks(9)[8])
  }

  @Test func `update returns with the length once it is reached`() async throws {
    let feed = try await Feed.inMemory()
    #expect(try await feed.update(to: 0) == 0)
    async let grown = feed.update()
    async let long = feed.update(to: 4)
    await waiters(of: feed, 2)
    try await feed.append([1])
    #expect(try await grown == 1)
    try await feed.append(someBlocks(5))
    #expect(try await long == 6)
  }

  // MARK: Seeking

  @Test(arguments: RecordedFeed.all)
  func `a byte is found where the reference finds it`(recorded: RecordedFeed) async throws {
    let copy = try TemporaryFolder(copyOf: recorded.folder)
    let feed = try await Feed.open(folder: copy.path, access: .readOnly)
    for seek in recorded.seeks ?? [] {
      if let index = seek.index {
        let found = try await feed.seek(seek.bytes, options: .init(wait: false))
        #expect(found == BytePosition(block: index, offset: seek.offset ?? 0))
      } else {
        let options = Feed.GetOptions(wait: false)
        await #expect(throws: FeedError.self) {
          _ = try await feed.seek(seek.bytes, options: options)
        }
      }
    }
  }

  @Test func `a byte past the end is waited for, as a block is, or out of bounds`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append([[1, 2, 3], [], [4, 5]])
    #expect(try await feed.seek(0) == BytePosition(block: 0, offset: 0))
    #expect(try await feed.seek(2) == BytePosition(block: 0, offset: 2))
    #expect(try await feed.seek(3) == BytePosition(block: 2, offset: 0))
    await expectFailure(.outOfBounds, "Byte 5") {
      _ = try await feed.seek(5, options: .init(wait: false))
    }
    await expectFailure(.timeout, "byte 5") {
      _ = try await feed.seek(5, options: .init(timeout: .milliseconds(5)))
    }
    async let later = feed.seek(7)
    await waiters(of: feed, 1)
    try await feed.append([6, 7])
    #expect(await feed.waiterCount == 1)
    try await feed.append([8])
    #expect(try await later == BytePosition(block: 4, offset: 0))
    // One that is given up is not waited for any more.
    let waiting = Task { try await feed.seek(1000) }
    await waiters(of: feed, 1)
    waiting.cancel()
    await expectFailure(.cancelled) { _ = try await waiting.value }
    #expect(await feed.waiterCount == 0)
  }

  // MARK: Values

  struct Point: Codable, Equatable, Sendable {
    var x: Int
    var path = "a/b"
  }

  @Test func `values are kept in the encoding that is asked for`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append([0xff, 0], as: .binary)
    try await feed.append("grüße", as: .utf8)
    try await feed.append(Point(x: 3), as: .json())
    #expect(try await feed.get(0, as: .binary) == [0xff, 0])
    #expect(try await feed.get(1, as: .utf8) == "grüße")
    #expect(try await feed.get(2, as: .json(Point.self)) == Point(x: 3))
    // As Node writes it: compact, unescaped slashes, one line.
    let text = try await feed.get(2, as: .utf8)
    #expect([#"{"x":3,"path":"a/b"}"# + "\n", #"{"path":"a/b","x":3}"# + "\n"].contains(text))
    // Invalid UTF-8 is read with replacement characters.
    #expect(try await feed.get(0, as: .utf8) == "\u{fffd}\0")
    await #expect(throws: DecodingError.self) { try await feed.get(1, as: .json(Point.self)) }
  }

  @Test func `an encoding of one's own is used, and what it throws is thrown before writing`()
    async throws
  {
    struct Odd: Error {}
    let even = ValueEncoding<Int>(
      encode: { if $0 % 2 == 1 { throw Odd() } else { Array(String($0).utf8) } },
      decode: { Int(String(decoding: $0, as: UTF8.self)) ?? -1 })
    let numbers = try await Feed.inMemory().of(even)
    #expect(try await numbers.append(contentsOf: [2, 4]) == 0)
    await #expect(throws: Odd.self) { try await numbers.append(contentsOf: [6, 7]) }
    #expect(await numbers.feed.length == 2)
    #expect(
      try await numbers.write(
        AsyncStream {
          $0.yield(6); $0.finish()
        }) == 1)
    #expect(try await numbers.append(8) == 3)
    #expect(try await numbers.get(1) == 4)
    #expect(try await numbers.get(0..<3) == [2, 4, 6])
    #expect(try await numbers.head() == 8)
    var all: [Int] = []
    for try await number in numbers.values(.init(start: 1)) { all.append(number) }
    #expect(all == [4, 6, 8])
  }

  @Test func `the recorded JSON feed is read as JSON`() async throws {
    for recorded in RecordedFeed.all where recorded.name.contains("json") {
      let copy = try TemporaryFolder(copyOf: recorded.folder)
      let feed = try await Feed.open(folder: copy.path, access: .readOnly)
      for (index, block) in (recorded.blockBytes ?? []).enumerated() {
        guard let block else { continue }
        let expected = try JSONDecoder().decode(JSONValue.self, from: Data(block))
        #expect(try await feed.get(UInt64(index), as: .json(JSONValue.self)) == expected)
      }
    }
  }

  // MARK: Proofs

  @Test(arguments: RecordedFeed.all)
  func `proofs, digests, roots and signatures are those of the reference`(
    recorded: RecordedFeed
  ) async throws {
    let copy = try TemporaryFolder(copyOf: recorded.folder)
    let feed = try await Feed.open(folder: copy.path, access: .readOnly)
    for proof in recorded.proofs ?? [] where !proof.hash {
      let ours = try await feed.proof(of: proof.index, digest: proof.digest)
      #expect(ours.nodes == proof.nodes.map(\.node))
      #expect(ours.signature?.hex == proof.signature)
    }
    for (index, digest) in (recorded.digests ?? []).enumerated() {
      #expect(await feed.digest(of: UInt64(index)) == digest)
    }
    #expect(try await feed.rootHashes() == (recorded.roots ?? []).map(\.node))
    if let signature = recorded.signature, recorded.live {
      let found = try #require(try await feed.signature())
      #expect(found.index == signature.index)
      #expect(found.signature.hex == signature.signature)
      #expect(try await feed.verify(found.signature, upTo: found.index))
      if recorded.length > 1 {
        #expect(try await feed.verify(found.signature, upTo: recorded.length - 2) == false)
      }
    }
  }

  @Test func `a block is put with its proof, and refused with another's`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(9))
    let copy = try await reader(of: feed)
    let waiting = Task { try await copy.get(5) }
    for index in [5, 0, 8, 4, 1] as [UInt64] {
      let proof = try await feed.proof(of: index, digest: copy.digest(of: index))
      await expectFailure(.proofRejected) { try await copy.put(index, [1, 2, 3], proof: proof) }
      #expect(await copy.has(index) == false)
      try await copy.put(index, feed.get(index), proof: proof)
      #expect(await copy.has(index))
    }
    #expect(try await waiting.value == someBlocks(9)[5])
    #expect(await copy.length == 9)
    #expect(await copy.treeHash == feed.treeHash)
    let other = try await feed.proof(of: 3, digest: 0)
    await #expect(throws: FeedError.self) { try await copy.put(2, someBlocks(9)[2], proof: other) }
    #expect(await copy.downloaded() == 5)
  }

  // MARK: Space

  @Test func `cleared blocks are gone, and come back from a peer`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(30))
    let copy = try await reader(of: feed, sparse: false)
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(await copy.downloaded() == 30)
    let hash = await copy.treeHash
    try await copy.clear(10..<20)
    #expect(await copy.downloaded() == 20)
    #expect(await copy.length == 30)
    #expect(await copy.treeHash == hash)
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(try await copy.get(0..<30, options: .init(wait: false)) == someBlocks(30))
  }

  @Test func `an audit counts what is whole, and leaves the record of what isn't`() async throws {
    let folder = try TemporaryFolder()
    let feed = try await Feed.open(folder: folder.path)
    try await feed.append(someBlocks(20))
    #expect(try await feed.audit() == AuditReport(valid: 20, invalidRanges: []))
    let damaged = try await feed.seek(60)
    let found = AuditReport(valid: 19, invalidRanges: [damaged.block..<damaged.block + 1])
    #expect(found.invalid == 1)
    try await feed.close()
    let data = folder.url.appendingPathComponent("data")
    var bytes = try Data(contentsOf: data)
    bytes[60] ^= 1
    try bytes.write(to: data)
    let files = try contents(of: folder)

    let viewer = try await Feed.open(folder: folder.path, access: .readOnly)
    #expect(try await viewer.audit() == found)
    #expect(await viewer.has(damaged.block) == false)
    try await viewer.close()
    #expect(try contents(of: folder) == files)

    let owner = try await Feed.open(folder: folder.path)
    #expect(try await owner.audit() == found)
    #expect(await owner.has(damaged.block) == false)
    #expect(try await owner.audit() == found)
    await expectFailure(.blockNotStored) {
      _ = try await owner.get(damaged.block, options: .init(wait: false))
    }
    try await owner.close()
    for name in ["bitfield", "data", "tree", "signatures"] {
      #expect(try contents(of: folder)[name] == files[name])
    }
  }
}
