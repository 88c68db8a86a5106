import DatTesting
import Foundation

/// Every shape of feed that is recorded, given by one side and fetched by the other, then opened by either.
struct FeedCases {
  let node: NodePeer.Place

  /// The recorded feeds, by the names of their folders.
  static func shapes() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: Fixtures.url("feeds").path)
      .filter { Fixtures.exists("feeds/\($0)/key") }.sorted()
  }

  private func end(_ side: Side) async throws -> any FeedEnd {
    switch side {
    case .node: try await NodeFeed(node)
    case .swift: SwiftFeed()
    }
  }

  func run(shape: String, from giver: Side, to taker: Side, live: Bool) async throws -> String {
    let source = try TemporaryFolder(copyOf: "feeds/\(shape)")
    let copy = try TemporaryFolder()
    let server = try await end(giver)
    let (key, isWritable) = try await server.open(folder: source.path, key: nil, live: live)
    var given = try await server.contents()
    let reader = try await end(taker)
    _ = try await reader.open(folder: copy.path, key: key, live: live)
    try await reader.connect(try await server.listen())
    try await reader.wait(length: given.length, count: given.stored)
    if live, isWritable {
      // And what is appended while they are connected.
      for number in 0..<5 {
        try await server.append((0...number).map { Data("live \(number).\($0)".utf8) })
      }
      given = try await server.contents()
      try await reader.wait(length: given.length, count: given.stored)
    }
    let taken = try await reader.contents()
    try require(taken == given, "the copy differs: \(taken.length) blocks, \(given.length) given")
    try await reader.close()
    try await server.close()
    // Each folder as the other side sees it.
    for (folder, side) in [(source, taker), (copy, giver)] {
      let other = try await end(side)
      _ = try await other.open(folder: folder.path, key: nil, live: live)
      try require(try await other.contents() == given, "\(side) reads other blocks in the folder")
      let audit = try await other.audit()
      try require(
        audit.invalid == 0 && audit.valid == given.stored,
        "\(side) finds \(audit.invalid) bad blocks")
      try await other.close()
    }
    return "\(given.stored) of \(given.length) blocks"
  }

  /// One folder, opened in turn by one and the other, which appends and reads all that is there.
  func alternate(first: Side, turns: Int) async throws -> String {
    var random = SeededRandom(seed: 7)
    let folder = try TemporaryFolder()
    var expected: [Data] = []
    for turn in 0..<turns {
      let end = try await end(turn.isMultiple(of: 2) ? first : first.other)
      _ = try await end.open(folder: folder.path, key: nil, live: true)
      let before = try await end.contents()
      try require(before.blocks == expected, "turn \(turn) finds other blocks than were written")
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let batch = (0..<Int.random(in: 1...40, using: &random)).map { _ in
          Data(random.bytes(Int.random(in: 0...300, using: &random)))
        }
        try await end.append(batch)
        expected += batch
      }
      let audit = try await end.audit()
      try require(
        audit.invalid == 0 && audit.valid == expected.count, "turn \(turn) leaves bad blocks")
      try await end.close()
    }
    return "\(turns) turns, \(expected.count) blocks"
  }
}
