import DatTesting
import Foundation

/// Databases whose writers are Node and Swift: random histories, compared entry by entry.
struct DatabaseCases {
  let node: NodePeer.Place

  private func end(_ side: Side) async throws -> any DatabaseEnd {
    switch side {
    case .node: try await NodeDatabase(node)
    case .swift: SwiftDatabase()
    }
  }

  private struct Replica {
    let side: Side
    let end: any DatabaseEnd
    let folder: TemporaryFolder
    let local: String
    let port: Int
  }

  private func open(_ side: Side, key: String?) async throws -> (Replica, key: String) {
    let end = try await end(side)
    let folder = try TemporaryFolder()
    let (key, local) = try await end.open(folder: folder.path, key: key)
    let replica = Replica(
      side: side, end: end, folder: folder, local: local, port: try await end.listen())
    return (replica, key)
  }

  /// Writers of `sides` in turn, the first of them the database's owner, write, meet and part at random.
  func run(seed: UInt64, sides: [Side], steps: Int) async throws -> String {
    var random = SeededRandom(seed: seed)
    let (owner, key) = try await open(sides[0], key: nil)
    var replicas = [owner]
    try await owner.end.put("first", "of \(seed)")
    for side in sides.dropFirst() {
      let (replica, _) = try await open(side, key: key)
      try await owner.end.authorize(replica.local)
      replicas.append(replica)
    }
    for _ in 0..<steps {
      if random.chance(0.25) {
        let pair = replicas.shuffled(using: &random).prefix(2)
        try await meet(pair[0], pair[1], writing: random.chance(0.5), &random)
      } else if let replica = replicas.randomElement(using: &random) {
        try await write(replica.end, &random)
      }
    }
    // Along the line until what the last one wrote is with the first.
    for _ in replicas.dropFirst() {
      for (one, other) in zip(replicas, replicas.dropFirst()) {
        try await meet(one, other, writing: false, &random)
      }
    }
    let expected = try await owner.end.list()
    for replica in replicas {
      try compare(
        try await replica.end.list(), expected, "the \(replica.side) replica and the owner")
    }
    for replica in replicas { try await replica.end.close() }
    // Each folder once more, by the other side.
    for replica in replicas {
      let other = try await end(replica.side.other)
      _ = try await other.open(folder: replica.folder.path, key: nil)
      try compare(
        try await other.list(), expected,
        "\(replica.side.other) in the folder of \(replica.side) and the owner")
      try await other.close()
    }
    return "\(expected.count) entries"
  }

  private func compare(_ one: Set<Entry>, _ other: Set<Entry>, _ who: String) throws {
    let differences = [
      ("only the first", one.subtracting(other)), ("only the second", other.subtracting(one)),
    ]
    .flatMap { name, entries in entries.map { "\(name) has \($0)" } }
    try require(
      differences.isEmpty, "\(who) list other entries: \(differences.joined(separator: "; "))")
  }

  private static let keys = [
    "a", "b", "a/b", "a/c", "a/b/c", "dé/ü", "x/y/z", "long/" + String(repeating: "k", count: 60),
  ]

  private func write(_ end: any DatabaseEnd, _ random: inout SeededRandom) async throws {
    let folder = Self.keys[Int.random(in: 0..<Self.keys.count, using: &random)]
    let key = random.chance(0.4) ? folder + "/\(Int.random(in: 0..<6, using: &random))" : folder
    let value = "v\(UInt32.random(in: 0 ... .max, using: &random)) ✓"
    switch Int.random(in: 0..<10, using: &random) {
    case 0, 1: try await end.delete(key)
    case 2: try await end.batch([(key, value), (key + "/batch", value), ("batch", value)])
    default: try await end.put(key, value)
    }
  }

  /// Two replicas connect, perhaps write at the same time, and part when they are equal.
  private func meet(
    _ one: Replica, _ other: Replica, writing: Bool, _ random: inout SeededRandom
  ) async throws {
    try await one.end.connect(other.port)
    if writing {
      for _ in 0..<3 {
        try await write(one.end, &random)
        try await write(other.end, &random)
      }
    }
    try await eventually("the feeds of a \(one.side) and a \(other.side) replica to be equal") {
      // Node counts feeds that were named and of which nothing came; ours are those that exist.
      let first = try await one.end.feeds().filter { $0.value != 0 }
      let second = try await other.end.feeds().filter { $0.value != 0 }
      return first == second && !first.values.contains(-1)
    }
    try await one.end.disconnect()
    try await other.end.disconnect()
  }

  /// One folder, opened in turn by one and the other, which write and compare what they list.
  func alternate(first: Side, turns: Int) async throws -> String {
    var random = SeededRandom(seed: 11)
    let folder = try TemporaryFolder()
    var expected: Set<Entry> = []
    for turn in 0..<turns {
      let end = try await end(turn.isMultiple(of: 2) ? first : first.other)
      _ = try await end.open(folder: folder.path, key: nil)
      try require(try await end.list() == expected, "turn \(turn) lists other entries")
      for _ in 0..<Int.random(in: 1...10, using: &random) { try await write(end, &random) }
      expected = try await end.list()
      try await end.close()
    }
    return "\(turns) turns, \(expected.count) entries"
  }
}
