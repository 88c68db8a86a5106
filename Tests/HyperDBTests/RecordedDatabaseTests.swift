import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// Every answer that the reference gave, from the same files with the same numbers of feeds.
struct RecordedDatabaseTests {
  @Test(arguments: RecordedDatabase.all)
  func `entries decode to what was recorded and encode to the same bytes`(
    database: RecordedDatabase
  ) throws {
    let core = try database.open()
    for entry in database.entries {
      let location = FeedSequence(feed: entry.feed, seq: entry.seq)
      let raw = [UInt8](hex: entry.raw)
      #expect(try core.log(of: entry.feed).block(at: entry.seq) == raw)
      let node = try #require(try core.node(at: location))
      #expect(node.key == Array(entry.key.utf8))
      #expect(try JSONValue(bytes: core.value(of: node)) == entry.value)
      #expect(node.isDeleted == entry.deleted)
      #expect(node.inflate == entry.inflate)
      for feed in 0..<max(entry.clock.count, core.feedKeys.count) {
        #expect(
          node.clock(of: feed) == (feed < entry.clock.count ? entry.clock[feed] : 0), "\(location)")
      }
      #expect(pointers(node.trie) == pointers(entry.trie), "\(location)")
      #expect(try core.reencode(node) == raw, "\(location)")
    }
    #expect(core.issueCount == 0)
  }

  @Test(arguments: RecordedDatabase.all)
  func `heads and version are the recorded ones`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    #expect(snapshot.heads.map(\.location) == database.heads.map(\.location))
    #expect(core.version(of: snapshot) == [UInt8](hex: database.version))
    let local = try core.snapshot(.local)
    #expect(local.heads.map(\.location) == database.heads.map(\.location))
    #expect(local.lengths == database.feeds.map(\.length))
    let back = try core.checkout([UInt8](hex: database.version))
    #expect(back.heads.map(\.location) == database.heads.map(\.location))
  }

  @Test(arguments: RecordedDatabase.all)
  func `raw gets are the recorded ones`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    for (key, expected) in database.get {
      let nodes = try core.get(Array(key.utf8), GetOptions(raw: true), in: snapshot)
      #expect(nodes.locations == Set(expected.map(\.location)), "\(key)")
      #expect(nodes.count == expected.count)
      for recorded in expected {
        let node = try #require(nodes.first { $0.location == recorded.location })
        #expect(node.key == Array(recorded.key.utf8))
        #expect(try JSONValue(bytes: core.value(of: node)) == recorded.value)
      }
    }
    for (key, expected) in database.getPrefix {
      let nodes = try core.get(
        Array(key.utf8), GetOptions(isPrefix: true, raw: true), in: snapshot)
      #expect(nodes.locations == Set(expected.map(\.location)), "\(key)")
      #expect(nodes.count == expected.count)
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `raw lists are the recorded ones`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    for list in database.list {
      let groups = try core.groups(list.prefix, ListOptions(list.options, raw: true), in: snapshot)
      #expect(
        groups.map { $0.map(\.location) } == list.nodes.map { $0.map(\.location) },
        "\(list.prefix) \(list.options)")
      #expect(groups.map { $0[0].key } == list.nodes.map { Array($0[0].key.utf8) })
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `raw histories are the recorded ones`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    #expect(
      try core.entries(raw: true, in: snapshot).map(\.location) == database.history.map(\.location))
    #expect(
      try core.entries(reverse: true, raw: true, in: snapshot).map(\.location)
        == database.historyReverse.map(\.location))
    for (key, expected) in database.keyHistory {
      let groups = try core.keyGroups(key, raw: true, in: snapshot)
      #expect(groups.map(\.locations) == expected.map { Set($0.map(\.location)) }, "\(key)")
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `raw checkouts and diffs are the recorded ones`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    let raw = ListOptions(raw: true)
    func check(_ right: Snapshot, _ expected: [RecordedDatabase.Difference]) throws {
      let differences = try core.differences(snapshot, right, raw)
      #expect(
        differences.map { $0.left?.map(\.location) } == expected.map { $0.left?.map(\.location) })
      #expect(
        differences.map { $0.right?.map(\.location) } == expected.map { $0.right?.map(\.location) })
    }
    for checkout in database.checkouts {
      let older = try core.checkout([UInt8](hex: checkout.version))
      let groups = try core.groups("", raw, in: older)
      #expect(groups.map { $0.map(\.location) } == checkout.list.map { $0.map(\.location) })
      try check(older, checkout.diff)
    }
    try check(.empty, database.diffEmpty)
  }
}

extension ListOptions {
  init(_ recorded: RecordedDatabase.List.Options, raw: Bool = false) {
    self.init(
      recursive: recorded.recursive ?? true, reverse: recorded.reverse ?? false,
      after: recorded.gt ?? false, deletes: recorded.deletes ?? false, raw: raw)
  }
}
