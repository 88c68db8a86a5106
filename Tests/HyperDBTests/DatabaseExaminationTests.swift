import DatTesting
import Foundation
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import HyperDB

/// The faults that `dat doctor` finds in a database's files, and mends.
@Suite(.timeLimit(.minutes(1))) struct DatabaseExaminationTests {
  private let pair = KeyPair(seed: [UInt8](repeating: 7, count: 32))!

  /// Makes a database whose source has these blocks after the header, written by another replica.
  private func storage(_ blocks: [[UInt8]]) async throws -> MemoryStorage {
    let storage = MemoryStorage()
    var options = Feed.Options(keyPair: pair, isNew: true)
    options.prefix = "source/"
    options.storeSecretKey = false
    let feed = try await Feed.open(storage: storage, options: options)
    try await feed.append([EntryMessageCodec.header] + blocks)
    try await feed.close()
    return storage
  }

  private func good() -> [UInt8] {
    var message = EntryMessage(key: Array("good".utf8), value: [1])
    message.clock = [2]
    message.inflate = 1
    message.feeds = [pair.publicKey.bytes]
    return EntryMessageCodec().encode(message)
  }

  @Test func `every bad entry is named with its feed and number, and is no fault of the files`()
    async throws
  {
    let bad = DatabaseHostilityTests.bad.map(\.block)
    // More than a database remembers while it is open.
    let count = HyperDBLimits.rememberedIssues + 10
    let storage = try await storage([good()] + (0..<count).map { bad[$0 % bad.count] })
    let before = storage.names.sorted()
    let found = try await HyperDB.examine(storage)
    #expect(storage.names.sorted() == before)
    #expect(found.isHealthy && found.failure == nil)
    #expect(found.entryCount == 1)
    #expect(found.badEntries.map(\.seq) == Array(2..<count + 2))
    #expect(found.badEntries.allSatisfy { $0.feed == pair.publicKey && !$0.message.isEmpty })
  }

  @Test func `a bad entry that arrives is told as an event, and the rest is read and written`()
    async throws
  {
    let bad = DatabaseHostilityTests.bad.map(\.block)
    let db = try await HyperDB.open(await storage([good()] + bad), key: pair.publicKey)
    let clone = try await HyperDB.open(MemoryStorage(), key: pair.publicKey)
    let updates = clone.updates()
    try await sync(db, clone)
    var told: [HyperDBError] = []
    for await update in updates {
      if case .issue(let error) = update { told.append(error) }
      if told.count == bad.count { break }
    }
    #expect(Set(told.map(\.seq)) == Set(2..<bad.count + 2) && told.allSatisfy { $0.feed == 0 })
    #expect(try await clone.get("good").map(\.value) == [[1]])
    try await clone.put("mine", [2])
    #expect(try await clone.get("mine").map(\.value) == [[2]])
  }

  @Test func `an owner's database whose newest entry is bad says why it can't be opened`()
    async throws
  {
    let storage = MemoryStorage()
    var options = Feed.Options(keyPair: pair, isNew: true)
    options.prefix = "source/"
    let feed = try await Feed.open(storage: storage, options: options)
    try await feed.append([EntryMessageCodec.header, [0xff, 0xff]])
    try await feed.close()
    let found = try await HyperDB.examine(storage)
    #expect(!found.isHealthy)
    #expect(found.failure?.contains(pair.publicKey.hex) == true)
    // The feed itself is sound.
    #expect(found.feeds.map(\.examination.isHealthy) == [true])
  }

  @Test func `a damaged feed of another writer is mended, and named by its folder`() async throws {
    let storage = MemoryStorage()
    let db = try await HyperDB.open(storage)
    let other = try await db.clone()
    for number in 0..<6 { try await other.put("key/\(number)", [UInt8(number)]) }
    try await sync(db, other)
    let key = other.localKey
    await db.close()
    let folder = "peers/\(key.discoveryKey.hex)"
    try storage.storage(named: folder + "/tree").write([
      StorageWrite(offset: 32 + 40, bytes: [9, 9, 9])
    ])
    let found = try await HyperDB.examine(storage)
    #expect(!found.isHealthy)
    #expect(found.feeds.filter { !$0.examination.isHealthy }.map(\.folder) == [folder])
    let mended = try await HyperDB.examine(storage, repairing: true)
    #expect(mended.isHealthy)
    #expect(mended.feeds.flatMap(\.examination.repairs).count == 1)
    let again = try await HyperDB.open(storage)
    #expect(try await again.get("key/3").map(\.value) == [[3]])
    await again.close()
  }

  @Test func `an authorized writer that never wrote is told`() async throws {
    let storage = MemoryStorage()
    let db = try await HyperDB.open(storage)
    let silent = KeyPair.generate().publicKey
    try await db.authorize(silent)
    await db.close()
    let found = try await HyperDB.examine(storage)
    #expect(found.isHealthy && found.silentWriters == [silent])
  }

  private static let recorded: [String] = {
    struct Rooms: Decodable {
      struct Replica: Decodable { var dir: String }
      var replicas: [String: Replica]
    }
    let rooms: Rooms? = try? Fixtures.json("rooms/manifest.json")
    return RecordedDatabase.all.map(\.dir) + (rooms?.replicas.values.map(\.dir).sorted() ?? [])
  }()

  @Test(arguments: recorded)
  func `recorded databases and rooms are healthy, and looking changes no byte`(dir: String)
    async throws
  {
    let folder = try TemporaryFolder(copyOf: dir)
    let before = try files(of: folder)
    #expect(!before.isEmpty)
    let found = try await HyperDB.examine(FolderStorage(path: folder.path))
    #expect(found.isHealthy && found.badEntries.isEmpty, "\(found)")
    #expect(found.entryCount > 0)
    #expect(try files(of: folder) == before)
  }

  private func files(of folder: TemporaryFolder) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
      files[name] = FileManager.default.contents(atPath: folder.path + "/" + name)
    }
    return files
  }

  @Test func `what is no database is refused`() async {
    await #expect(throws: FeedError.self) { try await HyperDB.examine(MemoryStorage()) }
  }

  @Test func `of a database that can't be opened each feed below it is looked at`() async throws {
    let owner = try await HyperDB.inMemory()
    try await owner.put("a", [1])
    let storage = MemoryStorage()
    let clone = try await HyperDB.open(storage, key: owner.key)
    let local = clone.localKey
    await clone.close()
    try storage.storage(named: "source/tree").write([StorageWrite(offset: 0, bytes: [1, 2, 3, 4])])
    let found = try await HyperDB.examine(storage, folders: ["local/", "peers/none/"])
    #expect(!found.isHealthy && found.failure != nil)
    let below = try #require(found.feeds.first { $0.folder == "local" })
    #expect(below.key == local && below.examination.isHealthy)
  }
}
