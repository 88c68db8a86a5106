import DatSwarm
import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import Hyperdrive
import Saga
import Testing

/// Feeds, databases, archives and rooms that are joined by one call.
@Suite(.timeLimit(.minutes(1))) struct JoiningTests {
  /// Two swarms that share the same thing, one of which has the address of the other.
  private func sharing(
    _ one: some Replicable, _ other: some Replicable, _ body: (Swarm, Swarm) async throws -> Void
  ) async throws {
    let (host, guest) = (Swarm(), Swarm())
    let address = try await host.listen(host: "127.0.0.1")
    try await host.join(one)
    try await guest.join(other)
    let key = try await one.topic
    #expect(try await other.topic == key)
    await guest.connect(to: address, about: key)
    try await body(host, guest)
    await guest.close()
    await host.close()
  }

  @Test func `a feed is joined, and left`() async throws {
    let feed = try await Feed.inMemory()
    try await feed.append([1])
    let copy = try await Feed.inMemory(options: .init(key: try #require(feed.key)))
    try await sharing(feed, copy) { host, guest in
      #expect(try await copy.get(0) == [1])
      // Live: what comes later is shared as well.
      try await feed.append([2])
      #expect(try await copy.get(1) == [2])
      #expect(await host.topics == [feed.discoveryKey])
      await host.leave(feed)
      #expect(await host.topics.isEmpty)
      while await !host.peers.isEmpty { await Task.yield() }
    }
  }

  @Test func `a database is joined`() async throws {
    let db = try await HyperDB.inMemory()
    try await db.put("a", [1])
    let clone = try await HyperDB.inMemory(key: db.key)
    try await sharing(db, clone) { _, _ in
      let changes = await clone.watch("a")
      // A clone that has nothing waits for the first peer.
      if try await clone.get("a").first?.value == [1] { return }
      for try await _ in changes where try await clone.get("a").first?.value == [1] { return }
    }
  }

  @Test func `an archive is joined`() async throws {
    let archive = try await Archive.inMemory()
    try await archive.write("/a.txt", Array("hello".utf8))
    let copy = try await Archive.inMemory(options: .init(key: archive.key))
    try await sharing(archive, copy) { _, _ in
      try await copy.metadata.download(DownloadRange(0..<2))
      #expect(try await copy.read("/a.txt").collect() == Array("hello".utf8))
    }
  }

  @Test func `a room is joined, its users meet, and newcomers write`() async throws {
    let ana = await Saga(db: try await HyperDB.inMemory(), username: "ana")
    await ana.initialize()
    try await ana.writeMessage("hello")
    let bea = await Saga(db: try await HyperDB.inMemory(key: ana.key), username: "bea")
    await bea.initialize()
    #expect(ana.discoveryKey == ana.key.discoveryKey)
    let (heard, other) = (ana.events(), bea.events())
    try await sharing(ana, bea) { _, _ in
      for await case .message(let message) in other where message.text == "hello" { break }
      try await bea.writeMessage("good day")
      var users: [UserData] = []
      for await event in heard {
        if case .join(let user) = event { users.append(user) }
        if case .message(let message) = event, message.text == "good day" { break }
      }
      #expect(users.map(\.username) == ["bea"])
      #expect(users.first?.address == "127.0.0.1")
    }
    await ana.close()
    await bea.close()
  }

  @Test func `what can't be joined says why`() async throws {
    var options = Feed.Options()
    options.live = false
    let feed = try await Feed.inMemory(options: options)
    let swarm = Swarm()
    let error = await #expect(throws: FeedError.self) { try await swarm.join(feed) }
    #expect(error?.code == .keyMissing)
    #expect(error?.reason.contains("finalized") == true)
    await swarm.leave(feed)
    try await feed.append([1])
    try await feed.finalize()
    try await swarm.join(feed)
    #expect(await swarm.topics == [try await feed.topic])
    await swarm.close()
    let closed = await #expect(throws: SwarmError.self) { try await swarm.join(feed) }
    #expect(closed?.code == .closed)
  }
}
