import DatTesting
import Hypercore
import Testing

/// What has to hold whatever happens to a feed and its replicas. `SEEDS=n` tries more, `SEED=n` one.
@Suite(.timeLimit(.minutes(10))) struct ReplicationPropertyTests {
  @Test func `whatever happened, every replica ends with the writer's blocks`() async {
    await forEachSeed(standard: 500) { seed in
      var random = SeededRandom(seed: seed)
      let readers = Int.random(in: 1...4, using: &random)
      let steps = (0..<Int.random(in: 3...25, using: &random)).map { _ in
        FeedStep.random(using: &random)
      }
      try check(seed: seed, steps) { steps in
        let world = try FeedWorld(seed: seed, readers: readers)
        try world.run(steps)
        try world.heal()
      }
    }
  }
}

/// Runs a property for one seed after the other, so that tests that wait for something get their turn;
/// stops after a few failures.
func forEachSeed(standard: Int, _ body: (UInt64) throws -> Void) async {
  var failures = 0
  for seed in testSeeds(standard: standard) where failures < 5 {
    do {
      try body(seed)
    } catch {
      failures += 1
      Issue.record("SEED=\(seed): \(error)")
    }
    await Task.yield()
  }
}
