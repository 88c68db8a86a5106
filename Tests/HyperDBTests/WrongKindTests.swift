import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Keys of other things, given in place of a database's.
@Suite(.timeLimit(.minutes(1))) struct WrongKindTests {
  @Test func `a first block says what a feed belongs to`() {
    func kind(_ text: String) -> FeedKind { FeedKind(firstBlock: Array(text.utf8)) }
    #expect(kind("\u{0a}\u{07}hyperdb") == .database)
    #expect(
      kind("\u{0a}\u{0a}hyperdrive\u{12}\u{20}\(String(repeating: "k", count: 32))") == .archive)
    #expect(kind("\u{0a}\u{09}hypertrie") == .trie)
    for other in ["", "\u{0a}", "hyperdb", "\u{0a}\u{08}hyperdb", "\u{0a}\u{06}hyperdb"] {
      #expect(kind(other) == .feed)
    }
    #expect(FeedKind(firstBlock: [0x0a, 0xff, 0xff]) == .feed)
  }

  private func feed(_ first: [UInt8]) async throws -> Feed {
    let feed = try await Feed.inMemory()
    try await feed.append([first] + (0..<500).map { [UInt8]("block \($0)".utf8) })
    return feed
  }

  @Test(arguments: ["plain", "\u{0a}\u{0a}hyperdrive", "\u{0a}\u{09}hypertrie"])
  func `the wrong key is refused by its first block, and nothing is kept`(first: String)
    async throws
  {
    let feed = try await feed(Array(first.utf8))
    let key = try #require(feed.key)
    let folder = try TemporaryFolder()
    let refusals = AsyncStream.makeStream(of: HyperDBError.self)
    var options = HyperDBOptions()
    options.onRefusal = { refusals.continuation.yield($0) }
    let db = try await HyperDB.open(folder: folder.path, key: key, options: options)
    let waiting = Task { try await db.get("anything") }
    let (one, other) = (try await feed.replicate(.live), try await db.replicate(.live))
    let joined = Task { await join(one, other) }
    var told: HyperDBError?
    for await refusal in refusals.stream {
      told = refusal
      break
    }
    #expect(
      told?.code == .notADatabase && told?.reason.contains(key.hex) == true, "\(told?.reason ?? "")"
    )
    await #expect(throws: HyperDBError.self) { try await waiting.value }
    await #expect(throws: HyperDBError.self) { try await db.put("a", [1]) }
    await joined.value
    // Only the first block was requested.
    #expect(await feed.statistics.totals.uploadedBlocks == 1)
    await db.close()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  @Test func `a right key is opened as before, and what is stored stays`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("a", [1])
    let folder = try TemporaryFolder()
    let db = try await HyperDB.open(folder: folder.path, key: owner.key)
    var options = ReplicationOptions()
    options.timeout = nil
    await join(try await owner.replicate(options), try await db.replicate(options))
    #expect(try await db.get("a").first?.value == [1])
    await db.close()
    #expect(FileManager.default.fileExists(atPath: folder.path + "/source/key"))
  }
}
