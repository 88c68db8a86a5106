import DatFuzzing
import DatTesting
import Foundation
import Testing

/// The fuzzer's targets without the fuzzer.
@Suite struct FuzzTargetTests {
  @Test(arguments: FuzzTarget.allCases)
  func `random bytes do no harm`(target: FuzzTarget) {
    for seed in testSeeds(standard: 20) {
      var random = SeededRandom(seed: seed)
      target.run(random.bytes(Int.random(in: 0..<200, using: &random)))
    }
  }

  @Test(arguments: FuzzTarget.allCases)
  func `what the reference recorded does no harm, whole or damaged`(target: FuzzTarget) throws {
    let seeds = try target.seeds()
    #expect(!seeds.isEmpty)
    var random = SeededRandom(seed: 1)
    for seed in seeds {
      target.run(seed)
      guard !seed.isEmpty else { continue }
      var damaged = seed
      damaged[Int.random(in: seed.indices, using: &random)] ^= UInt8.random(
        in: 1...255, using: &random)
      target.run(damaged)
    }
  }

  /// `FUZZ_RUNS` says how many inputs, and `SEED` where to start.
  @Test(arguments: FuzzTarget.allCases)
  func `what is made of recorded inputs does no harm, and takes no second`(
    target: FuzzTarget
  ) throws {
    let environment = ProcessInfo.processInfo.environment
    let runs = environment["FUZZ_RUNS"].flatMap(Int.init) ?? 200
    let seed = environment["SEED"].flatMap(UInt64.init) ?? 0
    var mutator = FuzzMutator(try target.seeds(), longest: target.longest, seed: seed)
    for number in 0..<runs {
      let input = mutator.next()
      let start = processorTime()
      target.run(input)
      if processorTime() - start > 1 {
        Issue.record("input \(number) of seed \(seed) took more than a second")
      }
    }
  }

  /// The processor time of this thread, in seconds: a busy machine doesn't count.
  private func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// `Tests/Fuzz/Finds` has every input that once did harm, by its target; `Corpus` those that reach
  /// most of the code.
  @Test(arguments: FuzzTarget.allCases)
  func `inputs that were found do no harm any more`(target: FuzzTarget) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Fuzz")
    for folder in ["Finds", "Corpus"] {
      let files = FileManager.default.enumerator(
        at: root.appendingPathComponent(folder).appendingPathComponent(target.rawValue),
        includingPropertiesForKeys: nil)
      for case let file as URL in files ?? .init() {
        target.run(Array(try Data(contentsOf: file)))
      }
    }
  }
}
