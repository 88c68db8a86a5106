import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import RandomAccessStorage
import Testing

@testable import Hypercore

/// Blocks that no peer could receive are not appended.
@Suite struct BlockSizeTests {
  private static let maximum = FeedLimits.maximumBlockSize

  @Test func `the longest block fits a frame with the largest proof, and little is left`() throws {
    let nodes = (0..<62 as Range<UInt64>).map { place in
      Node(
        index: (1 << 33) - 1 - place, hash: TreeHash.leaf([UInt8(place)]), size: (1 << 53) - 1)
    }
    let block = [UInt8](repeating: 1, count: Self.maximum)
    var output = OutputBuffer()
    let encoder = MessageEncoder(channel: 255)
    let fits = block.withUnsafeBytes {
      encoder.data(
        index: (1 << 32) - 1, value: $0, nodes: nodes, signature: keyPair(1).secretKey.sign([]),
        to: &output)
    }
    #expect(fits)
    let overhead = output.count - Self.maximum
    #expect(overhead > 3000 && overhead <= 4096, "\(overhead)")
  }

  @Test func `the proof of no block of any length has more nodes than were counted`() {
    var most = 0
    // The most other roots, under the highest root.
    for bits in 1...32 as ClosedRange<UInt64> {
      let roots = FlatTree.fullRoots(length: (1 << bits) - 1).map { $0 }
      most = max(most, Int(FlatTree.depth(roots[0])) + roots.count - 1)
    }
    #expect(most == 62)
  }

  @Test func `a block that is too long is refused before anything is written`() async throws {
    let storage = TrackingStorage()
    let feed = try await Feed.open(storage: storage)
    try await feed.append("first", as: .utf8)
    storage.reset()
    let long = [UInt8](repeating: 0, count: Self.maximum + 1)
    await expectFailure(.blockTooLarge, "8384512", "8384513") { try await feed.append(long) }
    await expectFailure(.blockTooLarge) { try await feed.append([[1], long, [2]]) }
    await expectFailure(.blockTooLarge) {
      try await feed.write(
        AsyncStream<[UInt8]> { stream in
          stream.yield(long)
          stream.finish()
        })
    }
    #expect(storage.calls(.write).isEmpty)
    #expect(await feed.length == 1)
    #expect(await feed.isWritable)
    // Blocks that are written together with it are not refused.
    async let refused: Void = expectFailure(.blockTooLarge) { try await feed.append(long) }
    async let taken = feed.append([7])
    await refused
    #expect(try await taken == 1)
  }

  @Test func `the longest block that is taken reaches a peer`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append((0..<5).map { [UInt8($0)] })
    let long = [UInt8](repeating: 9, count: Self.maximum)
    try await feed.append(long)
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    var options = ReplicationOptions()
    options.timeout = nil
    await join(try await feed.replicate(options), try await copy.replicate(options))
    #expect(await copy.downloaded() == 6)
    #expect(try await copy.get(5) == long)
  }
}
