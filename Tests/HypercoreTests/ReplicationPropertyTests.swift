import DatTesting
import Hypercore
import Testing

/// What has to hold whatever happens to a feed and its replicas. `SEEDS=n` tries more, `SEED=n` one.
@Suite(.timeLimit(.minutes(10))) struct ReplicationPropertyTests {
  @Test(arguments: testSeeds(standard: 500))
  func `whatever happened, every replica ends with the writer's blocks`(seed: UInt64) throws {
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
