import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// This implementation's answers where the reference has defects, unless `raw` answers are asked for: they are
/// the recorded answers without everything that a later entry of the same key replaced.
struct DefaultModeTests {
  private func current(_ nodes: [EntryNode], deletes: Bool) -> [EntryNode] {
    let current = nodes.filter { node in
      !nodes.contains { $0 !== node && $0.key == node.key && $0.covers(node) }
    }
    return !deletes && current.allSatisfy(\.isDeleted) ? [] : current
  }

  private func nodes(_ locations: [FeedSequence], _ core: DatabaseCore) throws -> [EntryNode] {
    try locations.map { try #require(try core.node(at: $0)) }
  }

  @Test(arguments: RecordedDatabase.all)
  func `a get gives current values only`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    for (key, recorded) in database.get {
      let expected = current(try nodes(recorded.map(\.location), core), deletes: false)
      let found = try core.get(Array(key.utf8), in: snapshot)
      #expect(found.locations == expected.locations, "\(key)")
    }
    for (key, recorded) in database.getPrefix {
      let expected = current(try nodes(recorded.map(\.location), core), deletes: true)
      let found = try core.get(Array(key.utf8), GetOptions(isPrefix: true), in: snapshot)
      #expect(found.locations == expected.locations, "\(key)")
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `a list gives current values only, and one key a folder`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    for list in database.list {
      let options = ListOptions(list.options)
      let prefix = Array(list.prefix.utf8)
      let leavesOut = options.after || prefix.isEmpty
      let depth = list.prefix.split(separator: "/").count
      var folders: Set<String> = []
      var expected: [Set<FeedSequence>] = []
      for group in list.nodes {
        let group = current(try nodes(group.map(\.location), core), deletes: options.deletes)
        guard let first = group.first else { continue }
        let key = String(decoding: first.key, as: UTF8.self)
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        if leavesOut, parts.filter({ !$0.isEmpty }).count == depth { continue }
        if !options.recursive, !folders.insert(String(parts.dropFirst(depth).first ?? "")).inserted
        {
          continue
        }
        expected.append(group.locations)
      }
      let found = try core.groups(list.prefix, options, in: snapshot)
      guard options.reverse else {
        #expect(found.map(\.locations) == expected, "\(list.prefix) \(list.options)")
        continue
      }
      // The reference doesn't reverse the order of keys with the same path.
      var forward = options
      forward.reverse = false
      #expect(Set(found.map(\.locations)) == Set(expected))
      #expect(
        found.map(\.locations)
          == (try core.groups(list.prefix, forward, in: snapshot).reversed().map(\.locations)))
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `histories keep to who knew whom`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    let forward = try core.entries(in: snapshot)
    let backward = try core.entries(reverse: true, in: snapshot)
    #expect(forward.locations == Set(database.history.map(\.location)))
    #expect(backward.locations == forward.locations)
    #expect(forward.count == database.history.count)
    for (index, node) in forward.enumerated() {
      #expect(!forward[..<index].contains { $0.covers(node) }, "\(node)")
    }
    for (index, node) in backward.enumerated() {
      #expect(!backward[..<index].contains { node.covers($0) }, "\(node)")
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `a key's history has every value once, first entries included`(
    database: RecordedDatabase
  ) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    for (key, recorded) in database.keyHistory {
      let expected = try recorded.flatMap {
        current(try nodes($0.map(\.location), core), deletes: true).map(\.location)
      }
      let found = try core.keyGroups(key, in: snapshot).flatMap { $0 }
      #expect(found.locations.isSuperset(of: expected), "\(key)")
      #expect(found.count == found.locations.count)
      for (index, node) in found.enumerated() {
        #expect(!found[(index + 1)...].contains { $0.covers(node) && $0 !== node }, "\(key)")
      }
    }
  }

  @Test(arguments: RecordedDatabase.all)
  func `a diff is the difference of two lists, in their order`(database: RecordedDatabase) throws {
    let core = try database.open()
    let snapshot = try core.snapshot()
    var others = [Snapshot.empty]
    for checkout in database.checkouts {
      others.append(try core.checkout([UInt8](hex: checkout.version)))
    }
    for other in others {
      for options in [ListOptions(), ListOptions(reverse: true), ListOptions(deletes: true)] {
        let left = try core.groups("", options, in: snapshot)
        let right = try core.groups("", options, in: other)
        let differences = try core.differences(snapshot, other, options)
        var keys: [[UInt8]: (left: Set<FeedSequence>?, right: Set<FeedSequence>?)] = [:]
        for group in left { keys[group[0].key, default: (nil, nil)].left = group.locations }
        for group in right { keys[group[0].key, default: (nil, nil)].right = group.locations }
        keys = keys.filter { $0.value.left != $0.value.right }
        #expect(differences.count == keys.count)
        for difference in differences {
          let key = try #require((difference.left ?? difference.right)?.first?.key)
          let expected = try #require(keys[key])
          #expect(difference.left?.locations == expected.left)
          #expect(difference.right?.locations == expected.right)
        }
        #expect(
          differences.compactMap { $0.left?[0].key }
            == left.map { $0[0].key }.filter { keys[$0] != nil })
        #expect(
          differences.compactMap { $0.right?[0].key }
            == right.map { $0[0].key }.filter { keys[$0] != nil })
      }
    }
  }
}
