import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Entries that no correct writer makes, read through the public database.
@Suite(.timeLimit(.minutes(1))) struct DatabaseHostilityTests {
  /// Makes a replica of a database whose source has these blocks after the header.
  private func database(_ blocks: (PublicKey) throws -> [[UInt8]]) async throws -> HyperDB {
    let storage = MemoryStorage()
    let pair = KeyPair.generate()
    var options = Feed.Options(keyPair: pair, isNew: true)
    options.prefix = "source/"
    options.storeSecretKey = false
    let feed = try await Feed.open(storage: storage, options: options)
    try await feed.append([EntryMessageCodec.header] + blocks(pair.publicKey))
    try await feed.close()
    return try await HyperDB.open(storage, key: pair.publicKey)
  }

  private func entry(
    _ key: String, _ value: [UInt8]? = [1], clock: [UInt64], inflate: UInt64 = 1,
    trie: [UInt8] = [], feeds: [[UInt8]]? = nil
  ) -> [UInt8] {
    var message = EntryMessage(key: Array(key.utf8), value: value)
    message.clock = clock
    message.inflate = inflate
    message.trie = trie
    message.feeds = feeds
    return EntryMessageCodec().encode(message)
  }

  static let bad: [(name: String, code: HyperDBError.Code, block: [UInt8])] = {
    func entry(clock: [UInt64] = [3], inflate: UInt64 = 1, trie: [UInt8] = []) -> [UInt8] {
      var message = EntryMessage(key: Array("bad".utf8), value: [1])
      message.clock = clock
      message.inflate = inflate
      message.trie = trie
      return EntryMessageCodec().encode(message)
    }
    return [
      ("no protobuf", .malformedEntry, [0xff, 0xff, 0xff]),
      ("nothing", .malformedEntry, []),
      ("a clock longer than the list", .missingFeedMappings, entry(clock: [3, 1])),
      ("a list to come", .malformedFeedList, entry(inflate: 9)),
      ("a list that is none", .malformedFeedList, entry(inflate: 2)),
      ("a trie that is cut short", .malformedEntry, entry(trie: [0, 1])),
      ("a pointer to a feed past the list", .malformedEntry, entry(trie: [0, 1, 8, 1])),
      (
        "a trie with an absurd index", .malformedEntry,
        entry(trie: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 1])
      ),
    ]
  }()

  @Test(arguments: bad.indices)
  func `a bad entry is named and left out, and the rest goes on`(index: Int) async throws {
    let (name, code, block) = Self.bad[index]
    let db = try await database { key in
      [entry("good", clock: [2], feeds: [key.bytes]), block]
    }
    try await db.put("later", [3])
    #expect(try await db.get("later").map(\.value) == [[3]], "\(name)")
    #expect(try await db.get("good").map(\.value) == [[1]], "\(name)")
    #expect(try await db.history().collect().map(\.key) == ["good", "later"])
    #expect(Set(try await db.list().collect().map { $0[0].key }) == ["good", "later"])
    let issue = try #require(await db.issues.first, "\(name)")
    #expect(issue.code == code, "\(name)")
    #expect(issue.feed == 0 && issue.seq == 2)
    #expect(
      issue.reason.contains(db.key.hex) && issue.reason.contains("block 2"), "\(issue.reason)")
  }

  @Test func `pointers to nowhere and in circles end`() async throws {
    let forward: [UInt8] = (0..<32).flatMap { [UInt8($0), 0x0f, 0, 9, 0, 9, 0, 9, 0, 9] }
    let circle: [UInt8] = (0..<32).flatMap { [UInt8($0), 0x0f, 0, 3, 0, 3, 0, 3, 0, 3] }
    for trie in [forward, circle] {
      let db = try await database { key in
        [
          entry("one", clock: [2], feeds: [key.bytes]), entry("two", clock: [3], trie: trie),
          entry("three", clock: [4], trie: trie),
        ]
      }
      for key in ["one", "two", "three", "none"] {
        do { _ = try await db.get(key) } catch let error as HyperDBError {
          #expect(error.code == .tooManySteps)
        }
      }
      for options in [ListingOptions(), ListingOptions(reverse: true)] {
        var count = 0
        do {
          for try await _ in db.list(options: options) {
            count += 1
            #expect(count < 10_000)
          }
        } catch let error as HyperDBError {
          #expect(error.code == .tooManySteps)
          #expect(error.feed != nil && error.seq != nil)
        }
      }
      #expect(try await !db.history().collect().isEmpty)
    }
  }

  @Test func `long keys and large values of others are read`() async throws {
    let key = String(repeating: "k", count: 1 << 20)
    let value = [UInt8](repeating: 7, count: 8 * 1024 * 1024 - (1 << 20))
    let long = try await database { [entry(key, [1], clock: [2], feeds: [$0.bytes])] }
    #expect(try await long.get(key).map(\.value) == [[1]])
    #expect(try await long.get(key + "x").isEmpty)
    let db = try await database { feed in
      [
        entry(key, [1], clock: [2], feeds: [feed.bytes]), entry("large", value, clock: [3]),
      ]
    }
    #expect(try await db.get("large").map(\.value) == [value])
    #expect(try await db.history().collect().map(\.keyBytes.count) == [1 << 20, 5])
    #expect(try await db.history().collect().last?.value == value)
    try await db.put("after", [1])
    #expect(try await db.get("after").count == 1)
  }

  @Test func `a feed that is no hyperdb is refused with a reason`() async throws {
    let storage = MemoryStorage()
    var options = Feed.Options()
    options.prefix = "source/"
    let feed = try await Feed.open(storage: storage, options: options)
    try await feed.append([[1, 2, 3]])
    try await feed.close()
    let error = await #expect(throws: HyperDBError.self) { try await HyperDB.open(storage) }
    #expect(error?.code == .notADatabase)
    #expect(error?.reason.contains(feed.key?.hex ?? "?") == true)
  }

  @Test func `a hostile writer's bad blocks don't stop replication`() async throws {
    let db = try await database { key in
      [entry("good", clock: [2], feeds: [key.bytes])] + Self.bad.map(\.block)
    }
    let clone = try await db.clone(authorized: false)
    try await sync(db, clone)
    #expect(try await clone.values("good") == [[1]])
    #expect(await clone.feeds[0].storedLength == UInt64(Self.bad.count + 2))
    #expect(await clone.issues.count == Self.bad.count)
  }

  @Test func `an owner's folder whose newest entry is bad is refused with a reason`() async throws {
    let storage = MemoryStorage()
    var options = Feed.Options()
    options.prefix = "source/"
    let feed = try await Feed.open(storage: storage, options: options)
    try await feed.append([EntryMessageCodec.header, [0xff, 0xff]])
    try await feed.close()
    let error = await #expect(throws: HyperDBError.self) { try await HyperDB.open(storage) }
    #expect(error?.code == .malformedEntry)
    #expect(error?.reason.contains(feed.key?.hex ?? "?") == true)
  }
}
