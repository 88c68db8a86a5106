import DatTesting
import RandomAccessStorage
import Testing

@testable import HyperDB
@testable import Hypercore

/// The release of all memory of what is closed and no longer referenced.
@Suite(.timeLimit(.minutes(1))) struct ReleaseTests {
  @Test func `nothing is kept of databases that were closed, nor of their connection`()
    async throws
  {
    #expect(try await remainsOfTwoDatabases().left() == [])
  }

  private func remainsOfTwoDatabases() async throws -> Remains {
    var options = HyperDBOptions()
    options.contentFeed = true
    options.onWrite = { _ in }
    let owner = try await HyperDB.open(MemoryStorage(), options: options)
    let clone = try await owner.clone(options: options)
    let connection = try await LiveConnection(owner, clone)
    try await clone.put("a", [1])
    try await owner.until("a", has: [[1]])
    var remains = Remains()
    for stream in [connection.streams.0, connection.streams.1] {
      remains.note(stream)
      remains.note(await stream.parts())
    }
    for db in [owner, clone] {
      remains.note(db)
      remains.note(await db.parts())
    }
    await connection.end()
    await owner.close()
    await clone.close()
    return remains
  }

  @Test func `a database that nobody uses keeps no pages of its feeds, though it is connected`()
    async throws
  {
    let owner = try await HyperDB.open(MemoryStorage())
    let clone = try await owner.clone()
    try await owner.put("a", [1])
    #expect(await owner.cachedPages > 0)
    var options = ReplicationOptions.live
    options.timeout = .milliseconds(50)
    let (one, other) = (try await owner.replicate(options), try await clone.replicate(options))
    async let joined: Void = join(one, other)
    try await clone.until("a", has: [[1]])
    for db in [owner, clone] {
      while await db.cachedPages > 0 { try await Task.sleep(for: .milliseconds(5)) }
    }
    // Later entries are read and written as before.
    try await clone.put("a", [2])
    try await owner.until("a", has: [[2]])
    await one.close()
    await other.close()
    await joined
  }

  @Test func `nothing is kept of a feed that was closed, nor of its connection`() async throws {
    #expect(try await remainsOfTwoFeeds().left() == [])
  }

  private func remainsOfTwoFeeds() async throws -> Remains {
    let feed = try await Feed.open(storage: MemoryStorage())
    try await feed.append([1])
    var options = Feed.Options()
    options.key = feed.key
    let copy = try await Feed.open(storage: MemoryStorage(), options: options)
    let streams = [try await feed.replicate(.live), try await copy.replicate(.live)]
    async let joined: Void = join(streams[0], streams[1])
    #expect(try await copy.get(0) == [1])
    var remains = Remains()
    for stream in streams {
      remains.note(stream)
      remains.note(await stream.parts())
      await stream.close()
    }
    await joined
    for feed in [feed, copy] {
      remains.note(feed)
      remains.note(await feed.parts())
      try await feed.close()
    }
    return remains
  }
}

extension HyperDB {
  fileprivate var cachedPages: Int {
    feedSet.logs.values.reduce(0) { $0 + $1.core.tree.cachedPages }
  }

  fileprivate func parts() -> Remains {
    var remains = Remains()
    remains.note(feedSet)
    remains.note(core)
    for log in feedSet.logs.values {
      remains.note(log)
      remains.note(log.log)
      remains.note(log.core)
      remains.note(log.replicator)
    }
    for content in contents.values { remains.note(content.feed) }
    return remains
  }
}

extension Feed {
  fileprivate func parts() -> Remains {
    var remains = Remains()
    remains.note(core)
    remains.note(replicator)
    return remains
  }
}

extension ReplicationStream {
  fileprivate func parts() -> Remains {
    var remains = Remains()
    remains.note(session)
    remains.note(session.connection)
    return remains
  }
}
