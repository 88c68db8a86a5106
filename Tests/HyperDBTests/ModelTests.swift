import DatTesting
import HyperDB
import Testing

/// Random histories of several writers against a model that knows nothing of tries.
struct ModelTests {
  /// A hash with few digits that differ, so that paths share long beginnings and collide.
  private static let weak = PathHash { bytes in
    UInt64(bytes.reduce(UInt8(0)) { $0 &* 31 &+ $1 } & 7) << 2
  }

  private static func keys(_ random: inout SeededRandom) -> [String] {
    var keys = ["a", "b", "a/b", "a/c", "a/b/c", "d/", "d", "e//f", "ü", "idgcmnmna", "mpomeiehc"]
    keys += (0..<4).map { "n/\($0)" }
    keys.shuffle(using: &random)
    return Array(keys.prefix(Int.random(in: 2...keys.count, using: &random)))
  }

  /// A step of a plan. Numbers of replicas are taken modulo their count, so any steps make a
  /// plan.
  private enum Step: CustomStringConvertible {
    case put(Int, String)
    case delete(Int, String)
    case batch(Int, [(key: String, isDelete: Bool)])
    case authorize(by: Int, Int)
    case sync(from: Int, to: Int, limit: Int)
    case restart(Int)

    var description: String {
      switch self {
      case .put(let replica, let key): ".put(\(replica), \"\(key)\")"
      case .delete(let replica, let key): ".delete(\(replica), \"\(key)\")"
      case .batch(let replica, let changes): ".batch(\(replica), \(changes))"
      case .authorize(let by, let other): ".authorize(by: \(by), \(other))"
      case .sync(let from, let to, let limit): ".sync(from: \(from), to: \(to), limit: \(limit))"
      case .restart(let replica): ".restart(\(replica))"
      }
    }

    static func random(
      writers: Int, keys: [String], using random: inout SeededRandom
    ) -> Step {
      let replica = Int.random(in: 0..<writers, using: &random)
      let other = Int.random(in: 0..<writers, using: &random)
      let key = keys[Int.random(in: keys.indices, using: &random)]
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<35: return .put(replica, key)
      case 35..<45: return .delete(replica, key)
      case 45..<55:
        return .batch(
          replica,
          (0..<Int.random(in: 1...6, using: &random)).map { _ in
            (
              key: keys[Int.random(in: keys.indices, using: &random)],
              isDelete: random.chance(0.2)
            )
          })
      case 55..<65: return .authorize(by: replica, other)
      case 65..<92:
        let limit = random.chance(0.6) ? Int.max : Int.random(in: 1...5, using: &random)
        return .sync(from: replica, to: other, limit: limit)
      default: return .restart(replica)
      }
    }
  }

  @Test func `every replica answers as the model says, at every step`() async {
    await checkHistories { _ in nil }
  }

  @Test func `nothing is hidden by puts that leave out heads, or pass over entries of others`()
    async
  {
    await checkHistories { random in
      var steps = Merging.Steps()
      steps.together = Int.random(in: 0...100, using: &random)
      steps.apart = Int.random(in: 0...200, using: &random)
      steps.least = 0
      steps.local = Int.random(in: 0...100, using: &random)
      return steps
    }
  }

  private func checkHistories(mergeSteps: (inout SeededRandom) -> Merging.Steps?) async {
    for failure in await failures(
      standard: 300,
      { seed in
        var random = SeededRandom(seed: seed)
        let writers = Int.random(in: 1...6, using: &random)
        let hash = random.chance(0.3) ? Self.weak : .standard
        let keys = Self.keys(&random)
        let steps = (0..<Int.random(in: 10...40, using: &random)).map { _ in
          Step.random(writers: writers, keys: keys, using: &random)
        }
        let mergeSteps = mergeSteps(&random)
        try check(seed: seed, steps) { steps in
          try run(
            steps, writers: writers, hash: hash, probes: keys + ["", "none", "a/b/c/d"],
            mergeSteps)
        }
      })
    {
      Issue.record("\(failure)")
    }
  }

  private func run(
    _ steps: [Step], writers: Int, hash: PathHash, probes: [String], _ mergeSteps: Merging.Steps?
  ) throws {
    var model = try ModelDatabase(writers: writers, hash: hash, mergeSteps: mergeSteps)
    for (number, step) in steps.enumerated() {
      let touched: Int
      switch step {
      case .put(let replica, let key):
        touched = replica
        try model.write(replica, [(key, false)])
      case .delete(let replica, let key):
        touched = replica
        try model.write(replica, [(key, true)])
      case .batch(let replica, let changes):
        touched = replica
        try model.write(replica, changes)
      case .authorize(let by, let other):
        touched = by
        try model.authorize(by, other)
      case .sync(let from, let to, let limit):
        touched = to
        try model.sync(from: from, to: to, limit: limit)
      case .restart(let replica):
        touched = replica
        try model.restart(replica)
      }
      try model.check(touched, probes: probes, "(after step \(number))")
    }
    // Once everything is everywhere, all give the same answers.
    for _ in 0..<2 {
      for from in 0..<writers {
        for to in 0..<writers where to != from {
          try model.sync(from: from, to: to, limit: .max)
        }
      }
    }
    for index in 0..<writers {
      try model.check(index, probes: probes, "(at the end, replica \(index))")
    }
  }
}
