import DatTesting
import HypercoreCrypto
import HypercoreProtocol
import Testing

@testable import Hypercore

/// The state and the options of replication, through the calls of an application.
@Suite(.timeLimit(.minutes(1))) struct FeedPeersTests {
  private func writer(_ count: Int) async throws -> Feed {
    let feed = try await Feed.inMemory()
    if count > 0 { try await feed.append(someBlocks(count)) }
    return feed
  }

  private func reader(of feed: Feed, sparse: Bool = true) async throws -> Feed {
    try await Feed.inMemory(options: .init(key: try #require(feed.key), sparse: sparse))
  }

  /// Two feeds that replicate while the body runs.
  private func connected(
    _ one: Feed, _ other: Feed, _ options: ReplicationOptions = .live,
    _ others: ReplicationOptions? = nil,
    _ body: (ReplicationStream, ReplicationStream) async throws -> Void
  ) async throws {
    let a = try await one.replicate(options)
    let b = try await other.replicate(others ?? options)
    let joined = Task { await join(a, b) }
    try await body(a, b)
    await a.close()
    await b.close()
    await joined.value
  }

  @Test func `not live, both ends end once all is exchanged`() async throws {
    let feed = try await writer(50)
    let copy = try await reader(of: feed, sparse: false)
    let (a, b) = (try await feed.replicate(), try await copy.replicate())
    await join(a, b)
    try await a.finished()
    try await b.finished()
    #expect(await copy.downloaded() == 50)
  }

  @Test func `a reader of an empty feed ends too, and knows that it has all`() async throws {
    let feed = try await writer(0)
    let copy = try await reader(of: feed, sparse: false)
    await join(try await feed.replicate(), try await copy.replicate())
    #expect(await copy.length == 0)
    try await connected(feed, copy) { _, _ in
      while await !copy.isSynced { await Task.yield() }
    }
  }

  @Test func `a sparse reader gets what it asks for, a full one everything`() async throws {
    let feed = try await writer(100)
    let sparse = try await reader(of: feed)
    try await connected(feed, sparse) { _, _ in
      let block = try await sparse.get(42)
      #expect(block == someBlocks(100)[42])
      #expect(await sparse.length == 100)
    }
    #expect(await sparse.downloaded() == 1)
    let full = try await reader(of: feed, sparse: false)
    try await connected(feed, full) { _, _ in
      try await full.download(DownloadRange(0..<100))
    }
    #expect(await full.downloaded() == 100)
  }

  @Test func `a connection that nobody holds any more ends`() async throws {
    let feed = try await writer(3)
    do {
      let stream = try await feed.replicate(.live)
      _ = await stream.nextOutput()
      #expect(await feed.openSessions == 1)
    }
    while await feed.openSessions > 0 { await Task.yield() }
  }

  @Test func `output is waited for until there is some, or the task is cancelled`() async throws {
    let feed = try await writer(3)
    let stream = try await feed.replicate(.live)
    #expect(await stream.nextOutput()?.isEmpty == false)
    for cancelsFirst in [true, false] {
      let waiting = Task { await stream.nextOutput() }
      if !cancelsFirst { for _ in 0..<20 { await Task.yield() } }
      waiting.cancel()
      #expect(await waiting.value == nil)
    }
    let last = Task { await stream.nextOutput() }
    await stream.close()
    #expect(await last.value != [])
    while let bytes = await stream.nextOutput() { #expect(!bytes.isEmpty) }
  }

  @Test func `a side that only downloads gives nothing, one that only uploads takes nothing`()
    async throws
  {
    let feed = try await writer(10)
    let copy = try await reader(of: feed, sparse: false)
    await join(try await feed.replicate(), try await copy.replicate())

    var downloadOnly = ReplicationOptions.live
    downloadOnly.upload = false
    let third = try await reader(of: feed, sparse: false)
    try await connected(copy, third, downloadOnly, .live) { _, _ in
      await expectFailure(.timeout) {
        _ = try await third.get(0, options: .init(timeout: .milliseconds(50)))
      }
    }
    #expect(await third.downloaded() == 0)

    var uploadOnly = ReplicationOptions.live
    uploadOnly.download = false
    let fourth = try await reader(of: feed, sparse: false)
    try await connected(copy, fourth, .live, uploadOnly) { _, _ in
      await expectFailure(.timeout) {
        _ = try await fourth.get(0, options: .init(timeout: .milliseconds(50)))
      }
    }
    #expect(await fourth.downloaded() == 0)

    // A connection that isn't live ends if nobody downloads on it.
    var nothing = ReplicationOptions()
    nothing.download = false
    await join(try await copy.replicate(nothing), try await fourth.replicate(nothing))
    #expect(await fourth.downloaded() == 0)
  }

  @Test(arguments: [true, false])
  func `a range is downloaded, in order or at random`(linear: Bool) async throws {
    let feed = try await writer(300)
    let copy = try await reader(of: feed)
    let events = copy.events()
    try await connected(feed, copy) { _, _ in
      try await copy.download(DownloadRange(start: 100, end: 200, linear: linear))
    }
    #expect(await copy.has(100..<200))
    #expect(await copy.downloaded() == 100)
    try await copy.close()
    var downloaded: UInt64 = 0
    for await case .download(let range, _) in events { downloaded += UInt64(range.count) }
    #expect(downloaded == 100)
  }

  @Test func `a range without an end goes on until it is taken back`() async throws {
    let feed = try await writer(10)
    let copy = try await reader(of: feed)
    try await connected(feed, copy) { _, _ in
      let handle = try await copy.startDownload()
      while await copy.downloaded() < 10 { await Task.yield() }
      try await feed.append(someBlocks(10..<20))
      while await copy.downloaded() < 20 { await Task.yield() }
      try await copy.undownload(handle)
      try await feed.append(someBlocks(20..<30))
      // It grows, as the length is asked for, but fetches no more than that takes.
      #expect(try await copy.update(to: 30) == 30)
      #expect(await copy.downloaded() <= 22)
    }
  }

  @Test func `a download that is cancelled says so, and one whose time is up`() async throws {
    let copy = try await reader(of: try await writer(1))
    let download = Task { try await copy.download(DownloadRange(0..<10)) }
    while await copy.selectionCount == 0 { await Task.yield() }
    download.cancel()
    await expectFailure(.cancelled) { try await download.value }
    #expect(await copy.selectionCount == 0)
    await expectFailure(.timeout) {
      try await copy.download(DownloadRange(0..<10), timeout: .milliseconds(5))
    }
    #expect(await copy.selectionCount == 0)
  }

  @Test func `hashes alone are downloaded, and prove the blocks that come later`() async throws {
    let feed = try await writer(64)
    let copy = try await reader(of: feed)
    try await connected(feed, copy) { _, _ in
      try await copy.download(DownloadRange(start: 8, end: 24, hash: true))
    }
    #expect(await copy.length == 64)
    #expect(await copy.downloaded() == 0)
    for index in 8..<24 as Range<UInt64> { #expect(await copy.digest(of: index) == 1) }
    // The block alone is enough now.
    try await copy.put(9, someBlocks(64)[9], proof: Proof())
    await #expect(throws: FeedError.self) {
      try await copy.put(10, someBlocks(64)[9], proof: Proof())
    }
    #expect(await copy.downloaded() == 1)
  }

  @Test func `a byte is found with the help of peers, without fetching blocks`() async throws {
    let feed = try await writer(500)
    let copy = try await reader(of: feed)
    try await connected(feed, copy) { _, _ in
      for offset in [0, 1, 777, 2500, 5000] as [UInt64] {
        let expected = try await feed.seek(offset)
        #expect(try await copy.seek(offset) == expected)
      }
      await expectFailure(.timeout) {
        _ = try await copy.seek(1 << 40, options: .init(timeout: .milliseconds(50)))
      }
    }
    #expect(await copy.downloaded() == 0)
  }

  @Test func `update brings the length that a peer has`() async throws {
    let feed = try await writer(33)
    let copy = try await reader(of: feed)
    try await connected(feed, copy) { _, _ in
      #expect(try await copy.update() == 33)
      async let grown = copy.update()
      while await copy.waiterCount == 0 { await Task.yield() }
      try await feed.append([1])
      #expect(try await grown == 34)
    }
  }

  @Test func `unencrypted connections work between two that agree`() async throws {
    let feed = try await writer(20)
    let copy = try await reader(of: feed, sparse: false)
    var options = ReplicationOptions()
    options.encrypt = false
    let (a, b) = (try await feed.replicate(options), try await copy.replicate(options))
    // The blocks can be read on the way.
    var seen: [UInt8] = []
    let back = Task {
      while let bytes = await b.nextOutput() { await a.receive(bytes) }
      await a.finishInput()
    }
    while let bytes = await a.nextOutput() {
      seen += bytes
      await b.receive(bytes)
    }
    await b.finishInput()
    await back.value
    #expect(await copy.downloaded() == 20)
    let text = Array("block 13".utf8)
    #expect(seen.indices.contains { seen[$0...].starts(with: text) })
  }

  @Test func `each side learns what the other says about itself`() async throws {
    let feed = try await writer(1)
    let copy = try await reader(of: feed)
    var options = ReplicationOptions.live
    options.id = [UInt8](repeating: 7, count: 32)
    options.userData = Array("hello".utf8)
    options.extensions = ["b", "a"]
    options.ack = true
    options.proves = false
    try await connected(feed, copy, options, .live) { mine, theirs in
      let handshake = try #require(await theirs.handshake())
      #expect(handshake.id == options.id)
      #expect(handshake.userData == options.userData)
      #expect(handshake.extensions == ["a", "b", "dat-swift/fork"])
      #expect(handshake.ack && handshake.live)
      let other = try #require(await mine.handshake())
      #expect(!other.ack)
      #expect(other.userData == nil)
      #expect(other.extensions == ["dat-swift/fork", "dat-swift/proof"])
      while await copy.peers.isEmpty { await Task.yield() }
      #expect(await copy.peers.map(\.peer.id) == [options.id])
    }
    #expect(await copy.peers.isEmpty)
  }

  @Test func `what was exchanged is counted, with each peer and in all`() async throws {
    let feed = try await writer(40)
    let bytes = await feed.byteLength
    let copies = [
      try await reader(of: feed, sparse: false), try await reader(of: feed, sparse: false),
    ]
    try await connected(feed, copies[0]) { one, _ in
      try await connected(feed, copies[1]) { _, _ in
        for copy in copies { try await copy.download(DownloadRange(0..<40)) }
        let sent = await feed.statistics
        #expect(sent.totals.uploadedBlocks == 80)
        #expect(sent.totals.uploadedBytes == 2 * bytes)
        #expect(sent.totals.downloadedBlocks == 0)
        #expect(sent.peers.map(\.statistics.uploadedBlocks) == [40, 40])
        #expect(Set(sent.peers.map(\.peer)).count == 2)
        for copy in copies {
          let got = await copy.statistics
          #expect(got.totals.downloadedBlocks == 40)
          #expect(got.totals.downloadedBytes == bytes)
          #expect(got.peers.map(\.statistics.downloadedBytes) == [bytes])
        }
        #expect(await one.statistics.bytesSent > bytes)
      }
    }
    let later = await feed.statistics
    #expect(later.peers.isEmpty)
    #expect(later.totals.uploadedBlocks == 80)
  }

  @Test
  func `the peers of a feed show what they claim, what is asked of them and what they brought`()
    async throws
  {
    let feed = try await writer(12)
    let copy = try await reader(of: feed)
    #expect(await copy.peers.isEmpty)
    try await connected(feed, copy) { _, other in
      _ = try await copy.get(3)
      let peer = try #require(await copy.peers.first)
      #expect(peer.peer.id == (await other.remote)?.id)
      #expect(peer.remoteLength == 12)
      #expect(peer.inFlight == 0)
      #expect(peer.statistics.downloadedBlocks == 1)
      #expect(await copy.remoteLength == 12)
      #expect(await feed.peers.map(\.statistics.uploadedBlocks) == [1])
    }
    // A peer that doesn't answer.
    let waiter = try await reader(of: feed)
    let raw = try await RawPeer(waiter)
    let waiting = Task { try await waiter.get(5) }
    while await waiter.waiterCount == 0 { await Task.yield() }
    try await raw.say(.have(start: 0, length: 12))
    #expect(await waiter.peers.map(\.inFlight) == [1])
    #expect(await waiter.peers.map(\.remoteLength) == [12])
    try await waiter.close()
    await expectFailure(.closed) { _ = try await waiting.value }
  }

  @Test func `with several peers no block is fetched twice`() async throws {
    let feed = try await writer(500)
    let first = try await reader(of: feed, sparse: false)
    await join(try await feed.replicate(), try await first.replicate())
    let second = try await reader(of: feed, sparse: false)
    try await connected(feed, second) { _, _ in
      try await connected(first, second) { _, _ in
        try await second.download(DownloadRange(0..<500))
      }
    }
    let got = await second.statistics.totals.downloadedBlocks
    let sent = await feed.statistics.totals.uploadedBlocks + first.statistics.totals.uploadedBlocks
    #expect(got == 500)
    #expect(sent == 500 + 500)
  }

  @Test func `a block that a live peer gave up is not expected from it any more`() async throws {
    let feed = try await writer(5)
    let copy = try await reader(of: feed)
    try await connected(feed, copy) { _, _ in
      #expect(try await copy.get(0) == someBlocks(5)[0])
      try await feed.clear(3..<4)
      await expectFailure(.timeout) {
        _ = try await copy.get(3, options: .init(timeout: .milliseconds(50)))
      }
      #expect(try await copy.get(4) == someBlocks(5)[4])
    }
  }

  @Test func `closing the feed ends its connections`() async throws {
    let feed = try await writer(5)
    let copy = try await reader(of: feed)
    try await connected(feed, copy) { one, other in
      #expect(try await copy.get(0) == someBlocks(5)[0])
      try await feed.close()
      try await one.finished()
      try await other.finished()
    }
  }
}

extension Feed {
  fileprivate var openSessions: Int { sessions.count }
}
