import DatTesting
import HyperDB
import HypercoreCrypto
import Testing

/// The index of paths gives the same answers as a walk through the entries.
struct PathIndexTests {
  /// A hash with few digits that differ, so that paths share long beginnings and collide.
  private static let weak = PathHash { bytes in
    UInt64(bytes.reduce(UInt8(0)) { $0 &* 31 &+ $1 } & 7) << 2
  }

  private static func key(_ random: inout SeededRandom, of count: Int) -> [UInt8] {
    let number = Int.random(in: 0..<count, using: &random)
    let key =
      switch Int.random(in: 0..<10, using: &random) {
      case 0: "people"
      case 1: "people/\(number % 7)"
      case 2: "people/\(number % 7)/\(number)/more"
      case 3: "\(number)"
      default: "people/\(number % 7)/\(number)"
      }
    return Array(key.utf8)
  }

  private static func open(
    _ log: MemoryLog, _ hash: PathHash, _ cacheBytes: Int
  ) throws -> DatabaseCore {
    var options = DatabaseCore.Options()
    options.hash = hash
    options.cacheBytes = cacheBytes
    return try DatabaseCore(source: log, local: nil, options: options) {
      MemoryLog(key: $0, isWritable: false)
    }
  }

  /// Gets a key three times, of which the index answers the last at the latest, and once without it.
  private static func checkGet(_ core: DatabaseCore, _ key: [UInt8]) throws {
    let snapshot = try core.snapshot(.local)
    let walked = try core.get(key, in: snapshot, onLookup: { _ in }).map(\.location)
    for _ in 0..<3 {
      let found = try core.get(key, in: core.snapshot(.local)).map(\.location)
      try #require(found == walked, "\(String(decoding: key, as: UTF8.self))")
    }
  }

  @Test func `tries and gets are those of a walk, whatever fits the index`() async {
    for failure in await failures(
      standard: 100,
      { seed in
        var random = SeededRandom(seed: seed)
        let hash = random.chance(0.3) ? Self.weak : .standard
        // With no room, little, and plenty: an index gets half of it.
        let cacheBytes = [0, 8192, 40_000, 1 << 20].randomElement(using: &random) ?? 0
        let keys = [5, 50, 400].randomElement(using: &random) ?? 5
        let log = MemoryLog(key: try HostileRoom.key(1), isWritable: true)
        var core = try Self.open(log, hash, cacheBytes)
        for _ in 0..<Int.random(in: 5...60, using: &random) {
          if random.chance(0.05) { core = try Self.open(log, hash, cacheBytes) }
          let changes = (0..<Int.random(in: 1...12, using: &random)).map { _ in
            let key = Self.key(&random, of: keys)
            return random.chance(0.1) ? Change.delete(key) : Change.put(key, [1])
          }
          var heads = try core.snapshot(.local).heads
          for node in try core.write(changes) {
            let walked = try core.trie(for: node.key, on: heads)
            try #require(node.trie == walked, "\(node)")
            heads = [node]
          }
          for _ in 0..<3 { try Self.checkGet(core, Self.key(&random, of: keys)) }
        }
      })
    { Issue.record("\(failure)") }
  }

  @Test func `entries that point anywhere don't mislead it`() async {
    for failure in await failures(
      standard: 100,
      { seed in
        var random = SeededRandom(seed: seed)
        let hash = random.chance(0.5) ? Self.weak : .standard
        // The same happens in both.
        let rooms = try [true, false].map { try HostileRoom(hash: hash, indexesPaths: $0) }
        func put() throws {
          let key = Self.key(&random, of: 9)
          for room in rooms { try room.core.put(key, [2]) }
        }
        // One head that knows everything, and tries with pointers to any places.
        for number in 1...20 {
          let slots = (0..<Int.random(in: 0...4, using: &random)).map { _ in
            Int.random(in: 0...70, using: &random)
          }
          var trie: [UInt8] = []
          for index in Set(slots).sorted() {
            trie += [UInt8(index), 1 << UInt8.random(in: 0...4, using: &random)]
            let isOwners = number == 1 || random.chance(0.3)
            let last = isOwners ? 3 : number - 1
            trie += [isOwners ? 0 : 2, UInt8(Int.random(in: 1...last, using: &random))]
          }
          let clock = [UInt64(rooms[0].core.log(of: 0).length), UInt64(number) + 1]
          let key = String(decoding: Self.key(&random, of: 9), as: UTF8.self)
          for room in rooms { room.append(0, key, trie: trie, clock: clock) }
          try Self.checkGet(rooms[0].core, Self.key(&random, of: 9))
          if random.chance(0.2) { try put() }
        }
        for _ in 0..<20 {
          try put()
          try Self.checkGet(rooms[0].core, Self.key(&random, of: 9))
        }
        let logs = rooms.compactMap { $0.core.log(of: 0) as? MemoryLog }
        try #require(logs.count == 2 && logs[0].blocks == logs[1].blocks)
      })
    { Issue.record("\(failure)") }
  }
}
