import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Keys without feeds that a writer lists, over real connections.
@Suite(.timeLimit(.minutes(2))) struct JunkKeyTests {
  /// Makes a storage of a database's copy whose own feed ends with an entry that lists made-up keys.
  private func evil(
    _ owner: HyperDB, junk: Int
  ) async throws -> HyperDB {
    let storage = MemoryStorage()
    let pair = KeyPair.generate()
    var options = Feed.Options(keyPair: pair, isNew: true)
    options.prefix = "local/"
    let feed = try await Feed.open(storage: storage, options: options)
    var message = EntryMessage(key: Array("junk".utf8), value: [1])
    message.feeds =
      [owner.key.bytes, pair.publicKey.bytes]
      + (0..<junk).map { _ in KeyPair.generate().publicKey.bytes }
    message.clock = [0, 2]
    message.inflate = 1
    try await feed.append([EntryMessageCodec.header, EntryMessageCodec().encode(message)])
    try await feed.close()
    try await owner.authorize(pair.publicKey)
    return try await HyperDB.open(storage, key: owner.key)
  }

  @Test(arguments: [253, 3000])
  func `a newcomer gets in and is read by all, however many keys were made up`(
    junk: Int
  ) async throws {
    let folder = try TemporaryFolder()
    let owner = try await HyperDB.open(folder: folder.path)
    try await owner.put("first", [1])
    let evil = try await evil(owner, junk: junk)
    try await sync(owner, evil)
    #expect(try await owner.values("junk") == [[1]])
    #expect(await owner.feedCount == 2)
    let newcomer = try await owner.clone()
    try await newcomer.put("from/newcomer", [2])
    await owner.expect(newcomer.localKey)
    try await sync(owner, newcomer)
    #expect(try await owner.values("from/newcomer") == [[2]])
    // A later replica gets all of it, too.
    let late = try await HyperDB.inMemory(key: owner.key)
    try await sync(owner, late)
    #expect(try await late.values("from/newcomer") == [[2]])
    #expect(try await late.values("junk") == [[1]])
    // The owner's next entry does not list them, and nothing is stored for them.
    #expect(await owner.feedCount == 3)
    let names = FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String] ?? []
    #expect(names.filter { $0.hasPrefix("peers/") && $0.hasSuffix("/key") }.count == 2)
    for db in [evil, newcomer, late, owner] { await db.close() }
    let again = try await HyperDB.open(folder: folder.path)
    #expect(await again.feedCount == 3)
    #expect(try await again.values("from/newcomer") == [[2]])
    await again.close()
  }

  @Test func `a feed that nobody claims is found among made-up keys sooner or later`() async throws
  {
    let owner = try await HyperDB.inMemory()
    let quiet = try await owner.clone()
    try await quiet.put("from/quiet", [3])
    try await sync(owner, quiet)
    let evil = try await evil(owner, junk: 300)
    try await sync(owner, evil)
    // The writer that lists it comes after the one that lists made-up keys.
    let late = try await HyperDB.inMemory(key: owner.key)
    try await sync(evil, late)
    for _ in 0..<40 where try await late.values("from/quiet").isEmpty {
      try await sync(owner, late)
    }
    #expect(try await late.values("from/quiet") == [[3]])
    for db in [owner, quiet, evil, late] { await db.close() }
  }

  @Test func `entries that were read before the first block of a feed lead to it afterwards`()
    async throws
  {
    // The owner's entry points to those of a feed of which the reader has nothing when it reads it.
    let owner = try await HyperDB.inMemory()
    let writer = try await owner.clone()
    for number in 0..<20 { try await writer.put("w/\(number)", [UInt8(number)]) }
    try await sync(owner, writer)
    try await owner.put("w/owner", [99])
    let reader = try await HyperDB.inMemory(key: owner.key)
    try await sync(owner, reader)
    for number in 0..<20 {
      #expect(try await reader.values("w/\(number)") == [[UInt8(number)]])
    }
    #expect(try await reader.list("w").collect().count == 21)
    for db in [owner, writer, reader] { await db.close() }
  }
}
