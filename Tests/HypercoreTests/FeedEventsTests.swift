import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

@testable import Hypercore

@Suite(.timeLimit(.minutes(1))) struct FeedEventsTests {
  private func all(_ events: FeedEvents) async -> [FeedEvent] {
    var seen: [FeedEvent] = []
    for await event in events { seen.append(event) }
    return seen
  }

  @Test func `ready comes first and close last, and nothing between is lost`() async throws {
    let feed = try await Feed.inMemory()
    let events = feed.events()
    try await feed.append([1])
    try await feed.clear(0..<1)
    try await feed.close()
    #expect(await all(events) == [.ready, .append(length: 1), .clear(0..<1), .close])
    // A reader that comes after the end is notified of it.
    #expect(await all(feed.events()) == [.ready, .close])
  }

  @Test func `both sides of a replication are told what happens`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(30))
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    let (sent, got) = (feed.events(), copy.events())
    let (one, other) = (try await feed.replicate(), try await copy.replicate())
    await join(one, other)
    let (reader, writer) = (await one.remote?.id, await other.remote?.id)
    try await feed.close()
    try await copy.close()

    let sentEvents = await all(sent)
    #expect(sentEvents.first == .ready)
    #expect(
      sentEvents.contains { event in
        if case .upload(0..<30, let peer?) = event { peer.id == reader } else { false }
      })
    #expect(sentEvents.last == .close)
    let gotEvents = await all(got)
    #expect(gotEvents.first == .ready)
    #expect(gotEvents.contains(.remoteUpdate))
    #expect(gotEvents.contains(.append(length: 30)))
    #expect(
      gotEvents.contains { event in
        if case .download(0..<30, let peer?) = event { peer.id == writer } else { false }
      })
    #expect(gotEvents.contains(.sync))
    #expect(gotEvents.last == .close)
  }

  @Test func `peers are told as they come and go`() async throws {
    let feed = try await Feed.inMemory()
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    var events = feed.events().makeAsyncIterator()
    #expect(await events.next() == .ready)
    let (one, other) = (try await feed.replicate(.live), try await copy.replicate(.live))
    let joined = Task { await join(one, other) }
    guard case .peerAdd(let peer)? = await events.next() else {
      Issue.record("no peer was told")
      return
    }
    #expect(peer.id == (await one.remote)?.id)
    await other.close()
    await joined.value
    #expect(await events.next() == .peerRemove(peer))
  }

  @Test func `a reader that waits is woken, one that is cancelled ends`() async throws {
    let feed = try await Feed.inMemory()
    let events = feed.events()
    let reading = Task {
      var lengths: [UInt64] = []
      for await case .append(let length) in events {
        lengths.append(length)
        if length == 3 { break }
      }
      return lengths.last
    }
    for number in 0..<3 as Range<UInt8> { try await feed.append([number]) }
    #expect(await reading.value == 3)
    let waiting = Task { await all(feed.events()) }
    waiting.cancel()
    #expect(await waiting.value.contains(.close) == false)
  }

  @Test func `a reader that doesn't read holds what changed last, and loses nothing`() async throws
  {
    let feed = try await Feed.inMemory()
    let events = feed.events()
    for round in 0..<2000 as Range<UInt64> {
      try await feed.append([[1], [2]])
      try await feed.clear(2 * round..<2 * round + 1)
    }
    // Ready, a length, and a set of cleared blocks.
    #expect(feed.hub.pendingCounts == [3])
    try await feed.close()
    var cleared: Set<UInt64> = []
    var last: FeedEvent?
    for await event in events {
      if case .append(let length) = event { #expect(length == 4000) }
      if case .clear(let range) = event { cleared.formUnion(range) }
      last = event
    }
    #expect(cleared == Set(stride(from: 0, to: 4000, by: 2)))
    #expect(last == .close)
  }

  @Test func `blocks are announced with the peers that brought or took them`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append(someBlocks(6))
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key), sparse: true))
    let (sent, got) = (feed.events(), copy.events())
    var givers: [FeedPeerID] = []
    var takers: [FeedPeerID] = []
    for range in [0..<2, 2..<5] as [Range<UInt64>] {
      let (one, other) = (try await feed.replicate(.live), try await copy.replicate(.live))
      let joined = Task { await join(one, other) }
      _ = try await copy.get(range)
      givers.append(try #require(await copy.peers.first?.peer))
      takers.append(try #require(await feed.peers.first?.peer))
      await other.close()
      await joined.value
    }
    try await copy.put(5, someBlocks(6)[5], proof: try await feed.proof(of: 5))
    try await feed.close()
    try await copy.close()
    // The name is the same on both connections, the number is not.
    #expect(givers[0].id == givers[1].id && givers[0] != givers[1])
    var came: [UInt64: FeedPeerID?] = [:]
    for await case .download(let range, let peer) in got {
      for index in range { came[index] = peer }
    }
    #expect(came.count == 6)
    for index in 0..<6 as Range<UInt64> {
      #expect(came[index] == .some(index < 2 ? givers[0] : index < 5 ? givers[1] : nil))
    }
    var went: [UInt64: FeedPeerID?] = [:]
    for await case .upload(let range, let peer) in sent {
      for index in range { went[index] = peer }
    }
    #expect(went.count == 5)
    for index in 0..<5 as Range<UInt64> { #expect(went[index] == .some(takers[index < 2 ? 0 : 1])) }
  }

  @Test func `of many peers a slow reader is told the blocks, and the peers of most`() async throws
  {
    var queue = EventQueue()
    _ = queue.next()
    let peers = (0..<200).map { FeedPeerID(number: UInt64($0 + 1), id: nil) }
    for (number, peer) in peers.enumerated() {
      let block = UInt64(number)
      queue.add(.upload(block..<block + 1, to: peer))
      queue.add(.download(block..<block + 1, from: peer))
    }
    #expect(queue.pendingCount == 2 * (BlocksByPeer.peers + 1))
    queue.add(.clear(0..<10))
    var known: Set<UInt64> = []
    var taken: Set<UInt64> = []
    var brought: Set<UInt64> = []
    while let event = queue.next() {
      switch event {
      case .upload(let range, let peer):
        taken.formUnion(range)
        if let peer {
          known.formUnion(range)
          #expect(range == peer.number - 1..<peer.number)
        }
      case .download(let range, _): brought.formUnion(range)
      default: #expect(event == .clear(0..<10))
      }
    }
    #expect(taken == Set(0..<200))
    #expect(known == Set(0..<UInt64(BlocksByPeer.peers)))
    #expect(brought == Set(10..<200))
    #expect(queue.pendingCount == 0)
  }

  @Test func `peers that came and went unseen aren't kept`() async throws {
    let feed = try await Feed.inMemory()
    let events = feed.events()
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    for _ in 0..<20 { await join(try await feed.replicate(), try await copy.replicate()) }
    #expect((feed.hub.pendingCounts.first ?? 0) <= 2)
    withExtendedLifetime(events) {}
  }

  @Test func `each reader is told everything, and one that is let go of is forgotten`() async throws
  {
    let feed = try await Feed.inMemory()
    var one: FeedEvents? = feed.events()
    let other = feed.events()
    try await feed.append([1])
    #expect(feed.hub.pendingCounts == [2, 2])
    one = nil
    _ = one
    #expect(feed.hub.pendingCounts == [2])
    try await feed.close()
    #expect(await all(other) == [.ready, .append(length: 1), .close])
  }
}
