import DatTesting
import Foundation
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// A database's folder that was copied, with both copies written; found when they meet each other or a third
/// replica.
@Suite struct ForkedDatabaseTests {
  struct Cell: CustomTestStringConvertible, Sendable {
    var common: Int
    var own: Int
    var foreign: Int
    /// True if the forked feed is the database's first one.
    var isSource: Bool
    var isThroughThird: Bool

    var testDescription: String {
      "\(common) in common, \(own) here, \(foreign) there, \(isSource ? "source" : "local"), "
        + (isThroughThird ? "through a third" : "direct")
    }

    static let all = [1, 4].flatMap { common in
      [(2, 1), (1, 1), (1, 2)].flatMap { own, foreign in
        [true, false].flatMap { isSource in
          [true, false].map {
            Cell(
              common: common, own: own, foreign: foreign, isSource: isSource, isThroughThird: $0)
          }
        }
      }
    }
  }

  /// Makes two copies of a folder, both written, and another replica of the database with what both share.
  private func copies(
    _ cell: Cell, in folder: TemporaryFolder
  ) async throws -> (here: HyperDB, there: HyperDB, third: HyperDB) {
    let (one, two) = (folder.path + "/one", folder.path + "/two")
    var third: HyperDB
    if cell.isSource {
      let db = try await HyperDB.open(folder: one)
      for number in 0..<cell.common { try await db.put("common/\(number)", [1]) }
      third = try await db.clone()
      try await third.put("third", [3])
      try await sync(db, third)
      await db.close()
    } else {
      third = try await HyperDB.inMemory()
      try await third.put("third", [3])
      let db = try await HyperDB.open(folder: one, key: third.key)
      try await third.authorize(db.localKey)
      try await sync(db, third)
      for number in 0..<cell.common { try await db.put("common/\(number)", [1]) }
      try await sync(db, third)
      await db.close()
    }
    try FileManager.default.copyItem(atPath: one, toPath: two)
    let (here, there) = (try await HyperDB.open(folder: one), try await HyperDB.open(folder: two))
    for number in 0..<cell.own { try await here.put("here/\(number)", [1]) }
    for number in 0..<cell.foreign { try await there.put("there/\(number)", [2]) }
    return (here, there, third)
  }

  @Test(arguments: Cell.all)
  func `both are told, and nothing of one is in the other`(cell: Cell) async throws {
    let folder = try TemporaryFolder()
    let (here, there, third) = try await copies(cell, in: folder)
    if cell.isThroughThird {
      try await sync(here, third)
      try await sync(third, there)
      try await sync(here, third)
    } else {
      try await sync(here, there)
    }
    let told = cell.isThroughThird ? [here, there, third] : [here, there]
    for db in told {
      let forks = await db.forks
      #expect(forks.count == 1)
      let fork = try #require(forks.first)
      #expect(fork.isProven)
      #expect(fork.key == here.localKey)
      // The header is a block, and so is the list of writers.
      let shared = try #require(await db.feeds.first { $0.key == fork.key })
      #expect(fork.commonLength < shared.length)
    }
    #expect(await here.forks.first?.commonLength == there.forks.first?.commonLength)
    for (db, own, other) in [(here, "here", "there"), (there, "there", "here")] {
      #expect(try await db.values("\(own)/0").count == 1)
      #expect(try await db.values("\(other)/0").isEmpty)
      await #expect {
        try await db.put("more", [4])
      } throws: {
        ($0 as? FeedError)?.code == .forked
      }
    }
    if cell.isThroughThird {
      #expect(try await third.values("here/0").count == 1)
      #expect(try await third.values("there/0").isEmpty)
      // It writes on: its own feed is sound.
      try await third.put("after", [5])
    }
    for db in [here, there, third] { await db.close() }
  }

  @Test func `a follower is told of each fork once, also of one that is known already`()
    async throws
  {
    let folder = try TemporaryFolder()
    let cell = Cell(common: 1, own: 1, foreign: 1, isSource: true, isThroughThird: false)
    let (here, there, third) = try await copies(cell, in: folder)
    func firstFork(_ updates: DatabaseUpdates) async -> ForkEvidence? {
      for await case .forked(let evidence) in updates { return evidence }
      return nil
    }
    let updates = here.updates()
    async let told = firstFork(updates)
    try await sync(here, there)
    let evidence = await told
    #expect(evidence?.isProven == true)
    #expect(await firstFork(here.updates()) == evidence)
    for db in [here, there, third] { await db.close() }
    let again = try await HyperDB.open(folder: folder.path + "/one")
    #expect(await again.forks.count == 1)
    #expect(await firstFork(again.updates()) == again.forks.first)
    await again.close()
  }

  @Test(arguments: [true, false])
  func `keys without blocks write nothing until a peer has brought what was written before`(
    isSource: Bool
  ) async throws {
    let folder = try TemporaryFolder()
    let cell = Cell(common: 3, own: 0, foreign: 0, isSource: isSource, isThroughThird: true)
    let (here, there, third) = try await copies(cell, in: folder)
    for db in [here, there] { await db.close() }
    let own = folder.path + "/one/" + (isSource ? "source" : "local")
    for name in try FileManager.default.contentsOfDirectory(atPath: own)
    where name != "key" && name != "secret_key" {
      try FileManager.default.removeItem(atPath: own + "/" + name)
    }
    let db = try await HyperDB.open(folder: folder.path + "/one")
    #expect(await db.isRestoring)
    for _ in 0..<2 {
      await #expect {
        try await db.put("early", [1])
      } throws: {
        ($0 as? FeedError)?.code == .restoring
      }
    }
    // It follows before there is anything to report.
    var updates = db.updates().makeAsyncIterator()
    while let update = await updates.next() { if case .caughtUp = update { break } }
    let connection = try await LiveConnection(db, third)
    while let update = await updates.next() { if case .restored = update { break } }
    try await db.put("late", [9])
    try await third.until("late", has: [[9]])
    #expect(try await db.values("common/0") == [[1]])
    #expect(await third.forks.isEmpty)
    #expect(await db.forks.isEmpty)
    await connection.end()
    for db in [db, third] { await db.close() }
  }
}
