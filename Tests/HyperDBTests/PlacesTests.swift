import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// The feeds that have a place in a database, if writers list more than there are.
struct PlacesTests {
  /// Feeds by the numbers of their keys, with the entries that authorize others.
  private struct Plan {
    /// For each writer, lists in the order of writing: keys, and whether an authorizing entry has them.
    var lists: [Int: [(keys: [Int], isAuthorization: Bool)]] = [:]

    mutating func letIn(_ key: Int, by writer: Int) {
      lists[writer, default: []].append(([key], true))
    }

    mutating func list(_ keys: [Int], by writer: Int) {
      lists[writer, default: []].append((keys, false))
    }

    /// The blocks of each writer's feed.
    func blocks(of writer: Int) throws -> [[UInt8]] {
      var blocks = [EntryMessageCodec.header]
      var keys = [try HostileRoom.key(0).bytes]
      if writer != 0 { keys.append(try HostileRoom.key(writer).bytes) }
      for (named, isAuthorization) in lists[writer] ?? [] {
        for key in named {
          let bytes = try HostileRoom.key(key).bytes
          if !keys.contains(bytes) { keys.append(bytes) }
        }
        let seq = UInt64(blocks.count)
        var message = EntryMessage(
          key: isAuthorization ? [] : Array("k/\(writer)/\(seq)".utf8),
          value: isAuthorization ? nil : [1])
        message.inflate = seq
        message.feeds = keys
        message.clock = keys.map { _ in 0 }
        message.clock[writer == 0 ? 0 : 1] = seq + 1
        blocks.append(EntryMessageCodec().encode(message))
      }
      return blocks
    }

    var keys: Set<Int> { Set(lists.keys).union(lists.values.joined().flatMap(\.keys)) }

    /// Returns the keys that have a place once everything was read, in an order that `random` chooses.
    func places(existing: Set<Int>, _ random: inout SeededRandom) throws -> Set<Int> {
      var logs: [PublicKey: MemoryLog] = [:]
      var numbers: [PublicKey: Int] = [:]
      for number in keys.union([0]) where existing.contains(number) || number == 0 {
        let key = try HostileRoom.key(number)
        numbers[key] = number
        logs[key] = MemoryLog(key: key, isWritable: false, blocks: try blocks(of: number))
      }
      let source = try #require(logs[try HostileRoom.key(0)])
      // Stored blocks, and later ones.
      let stored = Set(logs.keys.sorted { $0.hex < $1.hex }.filter { _ in random.chance(0.3) })
      let core = try DatabaseCore(source: source, local: nil) { key in
        stored.contains(key) ? logs[key] : nil
      }
      let inspected = Inspected()
      core.onVacate = { [unowned core] in inspected.next[core.feedKeys[$0]] = nil }
      try read(core, inspected)
      while let key = core.candidates.filter({ logs[$0] != nil }).randomElement(using: &random) {
        try core.admit(try #require(logs[key]))
        try read(core, inspected)
      }
      return Set(core.authorized.compactMap { numbers[core.feedKeys[$0]] })
    }

    /// By feed, the next block to look at.
    private final class Inspected { var next: [PublicKey: Int] = [:] }

    private func read(_ core: DatabaseCore, _ inspected: Inspected) throws {
      var changes = -1
      while changes != core.feedChanges {
        changes = core.feedChanges
        for feed in core.feedKeys.indices {
          let key = core.feedKeys[feed]
          while inspected.next[key, default: 1] < core.log(of: feed).length {
            try core.inspect(feed: feed, seq: inspected.next[key, default: 1])
            inspected.next[key, default: 1] += 1
          }
        }
        try core.assignPlaces()
      }
    }
  }

  @Test func `a host lets in newcomers, whatever one of them lists`() throws {
    var random = SeededRandom(seed: 1)
    var plan = Plan()
    let host = 1
    plan.letIn(host, by: 0)
    for newcomer in 2..<202 { plan.letIn(newcomer, by: host) }
    // One of them has written 400 feeds, and lists them one by one.
    for junk in 1000..<1400 { plan.letIn(junk, by: 7) }
    let places = try plan.places(existing: plan.keys, &random)
    #expect(places.isSuperset(of: 0..<202))
    #expect(places.count == HyperDBLimits.places + 1)
  }

  @Test func `the owner has a place to give when others have filled them all`() throws {
    var random = SeededRandom(seed: 2)
    var plan = Plan()
    for early in 1..<10 { plan.letIn(early, by: 0) }
    for evil in 1..<10 { for junk in 0..<60 { plan.letIn(evil * 100 + 1000 + junk, by: evil) } }
    for late in 10..<20 { plan.letIn(late, by: 0) }
    #expect(try plan.places(existing: plan.keys, &random).isSuperset(of: 0..<20))
  }

  @Test func `keys that a sound writer repeats come after those that somebody let in`() throws {
    var random = SeededRandom(seed: 3)
    var plan = Plan()
    let (host, evil) = (1, 2)
    plan.letIn(host, by: 0)
    plan.letIn(evil, by: 0)
    plan.list(Array(1000..<1400), by: evil)
    // As the reference does with the lists that it has read.
    plan.list(Array(1000..<1400), by: 0)
    for newcomer in 3..<150 { plan.letIn(newcomer, by: host) }
    #expect(try plan.places(existing: plan.keys, &random).isSuperset(of: 0..<150))
  }

  @Test func `keys that nobody writes keep nobody out`() throws {
    var random = SeededRandom(seed: 4)
    var plan = Plan()
    plan.letIn(1, by: 0)
    plan.list(Array(1000..<1900), by: 1)
    for newcomer in 2..<100 { plan.letIn(newcomer, by: 0) }
    let places = try plan.places(existing: Set(0..<100), &random)
    #expect(places == Set(0..<100))
  }

  @Test func `replicas with the same blocks have the same feeds, whatever came first`() async {
    for failure in await failures(
      standard: 10,
      { seed in
        var random = SeededRandom(seed: seed)
        var plan = Plan()
        var writers = [0]
        for key in 1..<Int.random(in: 200...420, using: &random) {
          let writer = writers[Int.random(in: 0..<min(writers.count, 30), using: &random)]
          if random.chance(0.7) {
            plan.letIn(key, by: writer)
          } else {
            plan.list([key] + (random.chance(0.3) ? [key / 2 + 1] : []), by: writer)
          }
          writers.append(key)
        }
        let existing = plan.keys.filter { _ in random.chance(0.9) }
        let first = try plan.places(existing: existing, &random)
        for _ in 0..<2 {
          guard try plan.places(existing: existing, &random) == first else {
            throw Different(description: "SEED=\(seed): another order gives other feeds")
          }
        }
      })
    {
      Issue.record("\(failure)")
    }
  }

  private struct Different: Error, CustomStringConvertible { let description: String }
}
