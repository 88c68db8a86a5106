import DatTesting
import HyperDB
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

/// Keys as they are passed in and given out.
@Suite(.timeLimit(.minutes(1))) struct KeyTests {
  /// Keys that are easily confused.
  private static let keys: [[UInt8]] =
    ["a", "//a", "a/", "///", "//", "a//b", "a/b", "é", "e\u{301}", "ab"].map { Array($0.utf8) } + [
      [0xff], [0xfe], [0xef, 0xbf, 0xbd], [0x61, 0xff], [0x61, 0xfe], [0],
    ]

  @Test func `every key is found as it is listed, and none is taken for another`() async throws {
    let db = try await HyperDB.inMemory()
    var written: [[UInt8]: [UInt8]] = [:]
    for (number, key) in Self.keys.enumerated() where key != Array("//".utf8) {
      written[key] = [UInt8(number)]
      try await db.put(key, [UInt8(number)])
    }
    var listed: [[UInt8]: [UInt8]] = [:]
    for group in try await db.list().collect() {
      #expect(group.count == 1)
      listed[group[0].keyBytes] = group[0].value
    }
    #expect(listed == written)
    for (key, value) in listed { #expect(try await db.get(key).map(\.value) == [value]) }
    #expect(Set(try await db.history().collect().map(\.keyBytes)) == Set(written.keys))
    // Listed keys can be written unchanged elsewhere.
    let copy = try await HyperDB.inMemory()
    _ = try await copy.batch(listed.map { .put($0.key, $0.value) })
    for (key, value) in listed { #expect(try await copy.get(key).map(\.value) == [value]) }
    #expect(try await copy.list().collect().count == listed.count)
    await db.close()
    await copy.close()
  }

  @Test(arguments: ["", "/", "//"])
  func `a key without a name is refused, and nothing is written`(key: String) async throws {
    let db = try await HyperDB.inMemory()
    try await db.put("a", [1])
    let length = await db.feeds[0].length
    for change in [HyperDB.BatchChange.put(key, [1]), .delete(key)] {
      do {
        _ = try await db.batch([.put("b", [2]), change])
        Issue.record("\"\(key)\" was written")
      } catch let error as HyperDBError {
        #expect(error.code == .emptyKey)
      }
    }
    #expect(await db.feeds[0].length == length)
    await db.close()
  }

  @Test func `a delete of what is not there says so and writes nothing`() async throws {
    let db = try await HyperDB.inMemory()
    try await db.put("a", [1])
    let length = await db.feeds[0].length
    #expect(try await db.delete(ifPresent: "b") == nil)
    #expect(await db.feeds[0].length == length)
    #expect(try await db.delete(ifPresent: "a")?.isDeleted == true)
    #expect(try await db.delete(ifPresent: "a") == nil)
    #expect(try await db.get("a").isEmpty)
    // As in the reference, a delete is written whatever was there.
    #expect(try await db.delete("b").isDeleted)
    await db.close()
  }

  @Test func `the history of a prefix has the entries under it`() async throws {
    let db = try await HyperDB.inMemory()
    for key in ["a", "ab", "a/b", "b", "a/c/d"] { try await db.put(key, [1]) }
    try await db.delete("a/b")
    let keys = try await db.history(under: "a").collect().map(\.key)
    #expect(keys == ["a", "a/b", "a/c/d", "a/b"])
    #expect(try await db.history(under: "/a/", reverse: true).collect().map(\.key).first == "a/b")
    #expect(try await db.history(under: "").collect().count == 6)
    // More entries than one turn skips.
    _ = try await db.batch((0..<3000).map { .put("x/\($0)", [1]) })
    #expect(try await db.history(under: "b").collect().map(\.key) == ["b"])
    await db.close()
  }

  @Test(arguments: testSeeds(standard: 60))
  func `a list goes on after any of its keys`(seed: UInt64) async throws {
    var random = SeededRandom(seed: seed)
    let db = try await HyperDB.inMemory()
    let other = try await db.clone()
    try await sync(db, other)
    let names = ["a", "b", "idgcmnmna", "mpomeiehc", "a/b", "a/", "c/d/e", "c/d"]
    for number in 0..<Int.random(in: 1...40, using: &random) {
      let name = names[Int.random(in: names.indices, using: &random)]
      let key = random.chance(0.5) ? name : "\(name)/\(number)"
      try await (random.chance(0.5) ? db : other).put(key, [UInt8(number)])
      if random.chance(0.1) { try await sync(db, other) }
    }
    try await sync(db, other)
    for (recursive, reverse, prefix) in [
      (true, false, ""), (true, true, ""), (false, false, ""), (false, true, ""),
      (true, false, "a"),
      (false, false, "c"),
    ] {
      var options = ListingOptions(recursive: recursive, reverse: reverse)
      let all = try await db.list(prefix, options: options).collect().map { $0[0].keyBytes }
      for index in all.indices {
        options.following = all[index]
        let rest = try await db.list(prefix, options: options).collect().map { $0[0].keyBytes }
        #expect(
          rest == Array(all[(index + 1)...]), "seed \(seed), \(recursive), \(reverse), \(prefix)")
      }
    }
    await db.close()
    await other.close()
  }

  @Test func `a list goes on after a value that can't be read`() async throws {
    let db = try await HyperDB.inMemory()
    for number in 0..<200 {
      try await db.put("k/\(number)", number == 77 ? [0xff] : Array("1".utf8))
    }
    var count = 0
    var failures = 0
    var walk = db.view(of: Int.self, under: "k").all().makeAsyncIterator()
    while true {
      do {
        guard try await walk.next() != nil else { break }
        count += 1
      } catch { failures += 1 }
    }
    #expect(count == 199)
    #expect(failures == 1)
    struct Bad: Error {}
    var options = ListingOptions()
    options.transform = NodeTransform(map: { if $0.value == [0xff] { throw Bad() } else { $0 } })
    var list = db.list("k", options: options).makeAsyncIterator()
    (count, failures) = (0, 0)
    while true {
      do {
        guard try await list.next() != nil else { break }
        count += 1
      } catch { failures += 1 }
    }
    #expect(count == 199)
    #expect(failures == 1)
    await db.close()
  }

  @Test func `who may write is not known before anything of the owner is here`() async throws {
    let db = try await HyperDB.inMemory()
    #expect(await db.isAuthorizationKnown)
    let copy = try await db.clone()
    #expect(await !copy.isAuthorizationKnown)
    try await sync(db, copy)
    #expect(await copy.isAuthorizationKnown)
    #expect(await copy.isLocalAuthorized)
    await db.close()
    await copy.close()
  }

  @Test func `a database of before May 2018 is named for what it is`() async throws {
    let storage = MemoryStorage()
    var options = Feed.Options()
    options.prefix = "source/"
    let feed = try await Feed.open(storage: storage, options: options)
    // Key, value, trie, clock, inflate, feeds.
    try await feed.append([
      [0x0a, 1, 0x61, 0x12, 1, 0x31, 0x1a, 0, 0x20, 1, 0x28, 0, 0x32, 2, 0x0a, 0]
    ])
    try await feed.close()
    do {
      _ = try await HyperDB.open(storage)
      Issue.record("it was opened")
    } catch let error as HyperDBError {
      #expect(error.code == .notADatabase)
      #expect(error.reason.contains("before May 2018"), "\(error.reason)")
    }
  }
}
