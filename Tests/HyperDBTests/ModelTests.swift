import DatTesting
import HyperDB
import Testing

/// Random histories of several writers against a model that knows nothing of tries.
struct ModelTests {
  /// Few digits that differ, so that paths share long ways and collide.
  private static let weak = PathHash { bytes in
    UInt64(bytes.reduce(UInt8(0)) { $0 &* 31 &+ $1 } & 7) << 2
  }

  private static func keys(_ random: inout SeededRandom) -> [String] {
    var keys = ["a", "b", "a/b", "a/c", "a/b/c", "d/", "d", "e//f", "ü", "idgcmnmna", "mpomeiehc"]
    keys += (0..<4).map { "n/\($0)" }
    keys.shuffle(using: &random)
    return Array(keys.prefix(Int.random(in: 2...keys.count, using: &random)))
  }

  @Test(arguments: testSeeds(standard: 300))
  func `every replica answers as the model says, at every step`(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let writers = Int.random(in: 1...6, using: &random)
    let hash = random.chance(0.3) ? Self.weak : .standard
    let keys = Self.keys(&random)
    var model = try ModelDatabase(writers: writers, hash: hash)
    let probes = keys + ["", "none", "a/b/c/d"]
    for step in 0..<Int.random(in: 10...40, using: &random) {
      let index = Int.random(in: 0..<writers, using: &random)
      let other = Int.random(in: 0..<writers, using: &random)
      let key = try #require(keys.randomElement(using: &random))
      var touched = index
      let action: String
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<35:
        action = "put \(key)"
        try model.write(index, [(key, false)])
      case 35..<45:
        action = "delete \(key)"
        try model.write(index, [(key, true)])
      case 45..<55:
        action = "batch"
        let changes = (0..<Int.random(in: 1...6, using: &random)).map { _ in
          (key: keys.randomElement(using: &random) ?? key, isDelete: random.chance(0.2))
        }
        try model.write(index, changes)
      case 55..<65:
        action = "authorize \(other)"
        try model.authorize(index, other)
      case 65..<92:
        let limit = random.chance(0.6) ? Int.max : Int.random(in: 1...5, using: &random)
        action = "sync to \(other), at most \(limit)"
        try model.sync(from: index, to: other, limit: limit)
        touched = other
      default:
        action = "restart"
        try model.restart(index)
      }
      try model.check(
        touched, probes: probes, "(seed \(seed), step \(step): replica \(index) \(action))")
    }
    // Once everything is everywhere, all say the same.
    for _ in 0..<2 {
      for from in 0..<writers {
        for to in 0..<writers where to != from {
          try model.sync(from: from, to: to, limit: .max)
        }
      }
    }
    for index in 0..<writers {
      try model.check(index, probes: probes, "(seed \(seed), at the end: replica \(index))")
    }
  }
}
