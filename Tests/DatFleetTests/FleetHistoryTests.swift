import DatFleet
import DatFleetSimulation
import DatTesting
import HypercoreCrypto
import Testing

@Suite struct FleetHistoryTests {
  @Test(arguments: testSeeds(standard: 8))
  func
    `whatever hosts come, go and see, no key loses its complete copies, and all ends at its owners`(
      seed: UInt64
    )
  {
    var random = SeededRandom(seed: seed)
    var options = FleetPlan.Options()
    options.grace = 120
    options.keep = 300
    options.interval = 10
    options.patience = 60
    var world = FleetWorld(
      hosts: 5, keys: (0..<12).map { simulatedKey($0) }, options: options, random: random)
    for _ in 0..<1500 where world.faults.isEmpty {
      world.step()
      switch Int.random(in: 0..<200, using: &random) {
      case 0...2: world.toggle(Int.random(in: 0..<9, using: &random))
      case 3...4: world.toggleEntry(Int.random(in: 0..<9, using: &random))
      case 5 where world.hostCount < 9: world.join()
      default: break
      }
    }
    world.settle()
    for _ in 0..<1500 where world.faults.isEmpty { world.step() }
    #expect(world.faults == [], "SEED=\(seed)")
    #expect(world.troublesAtRest() == [], "SEED=\(seed)")
    #expect(world.counts.released > 0 && world.counts.freed > 0, "SEED=\(seed)")
  }

  @Test(arguments: testSeeds(standard: 2))
  func `a day of hosts that come and go leaves no key without a complete copy`(seed: UInt64) {
    var settings = FleetDay<SeededRandom>.Settings()
    settings.hosts = 30
    settings.keys = 1000
    settings.step = 20
    settings.joinEvery = 6 * 3600
    settings.loseEvery = 3 * 3600
    var day = FleetDay(settings: settings, random: SeededRandom(seed: seed))
    day.run()
    let figures = day.figures
    #expect(figures.lostKeys == 0 && figures.faults == 0, "SEED=\(seed) \(figures.lines)")
    #expect(figures.leastCopies >= 1 && figures.underCopiesAtEnd == 0, "SEED=\(seed)")
    #expect(figures.released > 0 && figures.freed > 0, "SEED=\(seed)")
    // The mean is 66; a host that comes or goes moves its own keys alone.
    #expect(figures.movedByComes / max(figures.comes, 1) < 100, "SEED=\(seed)")
    #expect(figures.movedByLeaves / max(figures.leaves, 1) < 100, "SEED=\(seed)")
  }
}
