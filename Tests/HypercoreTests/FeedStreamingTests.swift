import DatTesting
import HypercoreCrypto
import Testing

@testable import Hypercore

@Suite(.timeLimit(.minutes(1))) struct FeedStreamingTests {
  private func feed(_ count: Int) async throws -> Feed {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(count))
    return feed
  }

  private func read(_ feed: Feed, _ options: Feed.StreamOptions = .init()) async throws -> [[UInt8]]
  {
    var blocks: [[UInt8]] = []
    for try await block in feed.blocks(options) { blocks.append(block) }
    return blocks
  }

  @Test func `a stream reads from its start to its end`() async throws {
    let feed = try await feed(3000)
    #expect(try await read(feed) == someBlocks(3000))
    #expect(try await read(feed, .init(start: 2990)) == someBlocks(2990..<3000))
    #expect(try await read(feed, .init(start: 10, end: 12)) == someBlocks(10..<12))
    #expect(try await read(feed, .init(end: 1)) == someBlocks(1))
    #expect(try await read(feed, .init(end: 0)) == [])
    #expect(try await read(feed, .init(start: 3000)) == [])
    #expect(try await read(feed, .init(start: 9999)) == [])
    #expect(try await read(feed, .init(start: 9, end: 3)) == [])
    #expect(try await read(feed, .init(tail: true)) == [])
    #expect(try await read(try await self.feed(0)) == [])
  }

  @Test func `large and empty blocks are read as well`() async throws {
    let feed = try await Feed.inMemory()
    let blocks = (0..<20).map { [UInt8](repeating: UInt8($0), count: $0 % 3 == 0 ? 0 : 200_000) }
    try await feed.append(blocks)
    #expect(try await read(feed) == blocks)
  }

  @Test
  func `a stream ends where the feed did at its first read, or where it does when it gets there`()
    async throws
  {
    for snapshot in [true, false] {
      let feed = try await feed(2)
      var blocks = feed.blocks(.init(snapshot: snapshot)).makeAsyncIterator()
      #expect(try await blocks.next() == someBlocks(1)[0])
      try await feed.append(someBlocks(2..<4))
      var rest: [[UInt8]] = []
      while let block = try await blocks.next() { rest.append(block) }
      #expect(rest == someBlocks(1..<(snapshot ? 2 : 4)))
    }
  }

  @Test func `a live stream goes on with what is appended`() async throws {
    let feed = try await feed(2)
    var all = feed.blocks(.init(live: true)).makeAsyncIterator()
    var tail = feed.blocks(.init(live: true, tail: true)).makeAsyncIterator()
    #expect(try await all.next() == someBlocks(2)[0])
    #expect(try await all.next() == someBlocks(2)[1])
    for number in 2..<6 {
      try await feed.append(someBlocks(6)[number])
      #expect(try await all.next() == someBlocks(6)[number])
    }
    for number in 2..<6 { #expect(try await tail.next() == someBlocks(6)[number]) }
  }

  @Test func `a tail begins when it is made, whenever it is read`() async throws {
    let feed = try await feed(2)
    let tail = feed.blocks(.init(tail: true))
    try await feed.append(someBlocks(2..<4))
    let later = feed.blocks(.init(tail: true))
    try await feed.append(someBlocks(4..<5))
    for _ in 0..<2 {
      var blocks: [[UInt8]] = []
      for try await block in tail { blocks.append(block) }
      #expect(blocks == someBlocks(2..<5))
    }
    var blocks: [[UInt8]] = []
    for try await block in later { blocks.append(block) }
    #expect(blocks == someBlocks(4..<5))

    // Of a feed that grows by what peers prove, and of one that was opened with blocks.
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    let all = copy.blocks(.init(tail: true))
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(try await read(copy, .init(tail: true)) == [])
    blocks = []
    for try await block in all { blocks.append(block) }
    #expect(blocks == someBlocks(5))
  }

  @Test func `with an end beyond the length a stream waits for it`() async throws {
    let feed = try await feed(2)
    async let blocks = read(feed, .init(end: 5))
    try await feed.append(someBlocks(2..<9))
    #expect(try await blocks == someBlocks(5))
    await expectFailure(.blockNotStored) {
      for try await _ in feed.blocks(.init(start: 8, end: 12, get: .init(wait: false))) {}
    }
    await expectFailure(.timeout) {
      for try await _ in feed.blocks(.init(end: 12, get: .init(timeout: .milliseconds(5)))) {}
    }
  }

  @Test func `a stream of a sparse feed downloads what it reads, and nothing else`() async throws {
    let feed = try await feed(200)
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key), sparse: true))
    let (one, other) = (try await feed.replicate(.live), try await copy.replicate(.live))
    let joined = Task { await join(one, other) }
    #expect(try await copy.update(to: 200) == 200)
    #expect(try await read(copy, .init(start: 20, end: 60)) == someBlocks(20..<60))
    // Besides these only what the update brought.
    #expect(await copy.downloaded() <= 42)
    #expect(await copy.has(20..<60))
    #expect(await copy.selectionCount == 0)

    // A stream that is released downloads nothing more.
    var partly: FeedBlocks.Iterator? = copy.blocks(.init(start: 100, live: true))
      .makeAsyncIterator()
    #expect(try await partly?.next() == someBlocks(200)[100])
    #expect(await copy.selectionCount == 1)
    partly = nil
    while await copy.selectionCount > 0 { await Task.yield() }
    await one.close()
    await other.close()
    await joined.value
  }
}

extension Feed {
  /// The number of calls that wait for something.
  var waiterCount: Int {
    replicator.waits.count + replicator.plan.selections.count { $0.completion != nil }
  }

  /// The number of ranges to download.
  var selectionCount: Int { replicator.plan.selections.count }
}
