import DatFleet
import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import Hyperdrive
import Logging
import Testing

@testable import DatHost

@Suite(.serialized, .timeLimit(.minutes(1))) struct PossessionTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Opens a copy of what is stored in a folder, as a host does.
  private func replica(_ kind: HostedKind, _ key: PublicKey, copy name: String) async throws
    -> HostedReplica
  {
    let path = "\(folder.path)/\(name)"
    if name != "source" {
      try FileManager.default.copyItem(atPath: "\(folder.path)/source", toPath: path)
    }
    let replica = HostedReplica(
      HostedKey(kind: kind, key: key), folder: path, options: ReplicaHost.Options(),
      logger: Logger(label: "test")
    ) { _ in }
    await replica.open(stored: kind)
    return replica
  }

  private func question(_ sample: HostedReplica.Sample) -> FleetQuestion {
    FleetQuestion(
      id: 1, key: KeyPair.generate().publicKey.discoveryKey, nonce: randomBytes(32),
      feeds: sample.feeds, blocks: sample.blocks)
  }

  private func makeFeed(blocks: Int = 20) async throws -> PublicKey {
    let feed = try await Feed.open(folder: folder.path + "/source")
    for number in 0..<blocks { try await feed.append(Array("block \(number)".utf8)) }
    let key = try #require(feed.key)
    try await feed.close()
    return key
  }

  @Test func `a host that has all proves random blocks, and one that lacks one can't`() async throws
  {
    let key = try await makeFeed()
    let one = try await replica(.feed, key, copy: "one")
    let other = try await replica(.feed, key, copy: "other")
    let sample = try await one.sample()
    #expect(sample.feeds == [FleetFeed(feed: key.discoveryKey, length: 20, stored: 20)])
    #expect(sample.blocks.count == 8 && Set(sample.blocks).count == 8)
    let asked = question(sample)
    #expect(await other.answer(asked) == .proved(asked.proof(of: sample.bytes)))
    // Another nonce, another proof.
    #expect(await other.answer(question(sample)) != .proved(asked.proof(of: sample.bytes)))
    guard case .feed(let feed) = await other.content else {
      Issue.record("no feed")
      return
    }
    try await feed.clear(3..<4)
    #expect(await other.answer(asked) == .incomplete)
    // It says that it has as many, and is asked for that one.
    var lie = asked
    lie.feeds = [FleetFeed(feed: key.discoveryKey, length: 20, stored: 0)]
    lie.blocks = [.init(feed: 0, index: 3)]
    #expect(await other.answer(lie) == .incomplete)
    lie.blocks = [.init(feed: 0, index: .max)]
    #expect(await other.answer(lie) == .incomplete)
    lie.feeds = [FleetFeed(feed: key.discoveryKey, length: 21, stored: 0)]
    #expect(await other.answer(lie) == .incomplete)
    lie.feeds = [FleetFeed(feed: KeyPair.generate().publicKey.discoveryKey, length: 1, stored: 1)]
    #expect(await other.answer(lie) == .incomplete)
    for replica in [one, other] { await replica.close() }
    #expect(await other.answer(asked) == .incomplete)
  }

  @Test func `blocks that a disk has changed prove nothing: here nobody is asked, there it shows`()
    async throws
  {
    let key = try await makeFeed()
    let data = URL(fileURLWithPath: folder.path + "/source/data")
    let good = try await replica(.feed, key, copy: "good")
    let sample = try await good.sample()
    let bytes = try Data(contentsOf: data)
    try Data(bytes.map { $0 ^ 1 }).write(to: data)
    let bad = try await replica(.feed, key, copy: "bad")
    await #expect(throws: (any Error).self) { try await bad.sample() }
    let asked = question(sample)
    #expect(await bad.answer(asked) != .proved(asked.proof(of: sample.bytes)))
    for replica in [good, bad] { await replica.close() }
  }

  @Test func `of a database the feeds of its writers are asked for`() async throws {
    let database = try await HyperDB.open(folder: folder.path + "/source")
    for number in 0..<5 { try await database.put("key \(number)", [1, 2, 3]) }
    let key = database.key
    await database.close()
    let one = try await replica(.database, key, copy: "one")
    let other = try await replica(.database, key, copy: "other")
    let sample = try await one.sample()
    #expect(sample.feeds.first == FleetFeed(feed: key.discoveryKey, length: 6, stored: 6))
    let asked = question(sample)
    #expect(await other.answer(asked) == .proved(asked.proof(of: sample.bytes)))
    for replica in [one, other] { await replica.close() }
  }

  @Test func `of an archive its entries and its content are asked for`() async throws {
    var options = Archive.Options()
    options.durability = .buffered
    let archive = try await Archive.open(folder: folder.path + "/source", options: options)
    try await archive.write("a.txt", Array("hello".utf8))
    let key = archive.key
    try await archive.close()
    let one = try await replica(.archive, key, copy: "one")
    let other = try await replica(.archive, key, copy: "other")
    let sample = try await one.sample()
    #expect(sample.feeds.count == 2 && sample.blocks.count == 3)
    let asked = question(sample)
    #expect(await other.answer(asked) == .proved(asked.proof(of: sample.bytes)))
    guard
      let content = try await { () async throws -> Feed? in
        guard case .archive(let archive) = await other.content else { return nil }
        return await archive.content
      }()
    else {
      Issue.record("no content")
      return
    }
    try await content.clear(0..<1)
    #expect(await other.answer(asked) == .incomplete)
    for replica in [one, other] { await replica.close() }
  }

  @Test func `a key of which nothing was ever seen is proven without blocks`() async throws {
    let key = KeyPair.generate().publicKey
    let replica = HostedReplica(
      HostedKey(key: key), folder: folder.path + "/none", options: ReplicaHost.Options(),
      logger: Logger(label: "test")
    ) { _ in }
    await replica.open(stored: nil)
    let sample = try await replica.sample()
    #expect(sample.feeds.isEmpty && sample.blocks.isEmpty)
    let asked = question(sample)
    #expect(await replica.answer(asked) == .proved(asked.proof(of: [])))
    await replica.close()
  }
}
