import DatTesting
import Hypercore
import Testing

/// The limits on what all connections may hold of incomplete frames.
@Suite struct FrameBudgetTests {
  private static let mebibyte = 1 << 20

  @Test func `one connection alone is never held up`() {
    let budget = FrameBudget(bytes: 64 * Self.mebibyte)
    let hold = FrameBudget.Hold(budget)
    for count in [0, 1000, Self.mebibyte, 8 * Self.mebibyte] { #expect(hold.set(count)) }
    #expect(budget.heldBytes == 8 * Self.mebibyte)
    #expect(hold.set(0))
    #expect(budget.heldBytes == 0)
  }

  @Test(arguments: testSeeds(standard: 20))
  func `whoever sends what, the sum stays within the budget`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let budget = FrameBudget(bytes: 64 * Self.mebibyte)
    let read = 64 << 10
    let holds = (0..<100).map { _ in FrameBudget.Hold(budget) }
    var counts = [Int](repeating: 0, count: holds.count)
    var goesOn = [Bool](repeating: true, count: holds.count)
    for _ in 0..<20_000 {
      // Each needs 8 MiB; a connection that is held up reads no more.
      let place = Int.random(in: holds.indices, using: &random)
      guard goesOn[place], counts[place] < 8 * Self.mebibyte else { continue }
      counts[place] += read
      goesOn[place] = holds[place].set(counts[place])
    }
    // An optimized build would end those that nothing needs any more.
    withExtendedLifetime(holds) {
      #expect(budget.heldBytes == counts.reduce(0, +))
      #expect(budget.heldBytes <= 64 * Self.mebibyte + 8 * Self.mebibyte, "seed \(seed)")
      #expect(goesOn.contains(false))
      // Small messages are never held up.
      let small = FrameBudget.Hold(budget)
      #expect(small.set(10_000))
    }
  }

  @Test func `connections that begin one after the other stay within the budget, too`() {
    let budget = FrameBudget(bytes: 64 * Self.mebibyte)
    let holds = (0..<200).map { _ in FrameBudget.Hold(budget) }
    for hold in holds {
      var count = 0
      repeat { count += 64 << 10 } while hold.set(count) && count < 6 * Self.mebibyte
    }
    withExtendedLifetime(holds) {
      #expect(budget.heldBytes <= 64 * Self.mebibyte + holds.count * 64 << 10)
    }
  }

  @Test func `frames of 8 MiB from many at once all get done`() {
    let budget = FrameBudget(bytes: 64 * Self.mebibyte)
    var holds = (0..<20).map { _ in (hold: FrameBudget.Hold(budget), count: 0) }
    var rounds = 0
    while !holds.isEmpty, rounds < 10_000 {
      rounds += 1
      for place in holds.indices.reversed() {
        guard holds[place].hold.set(holds[place].count) else { continue }
        holds[place].count += 256 << 10
        if holds[place].count >= 8 * Self.mebibyte {
          holds[place].hold.end()
          holds.remove(at: place)
        }
      }
    }
    #expect(holds.isEmpty)
    #expect(budget.heldBytes == 0)
  }

  @Test func `who is held up goes on when others are done`() async {
    let budget = FrameBudget(bytes: 16 * Self.mebibyte)
    let (one, other) = (FrameBudget.Hold(budget), FrameBudget.Hold(budget))
    #expect(other.set(6 * Self.mebibyte))
    #expect(!one.set(7 * Self.mebibyte))
    async let waiting: Void = one.waitForRoom()
    other.end()
    await waiting
    #expect(one.set(7 * Self.mebibyte))
  }

  @Test func `who is held up and ends waits no longer`() async {
    let budget = FrameBudget(bytes: 16 * Self.mebibyte)
    let (one, other) = (FrameBudget.Hold(budget), FrameBudget.Hold(budget))
    _ = other.set(6 * Self.mebibyte)
    #expect(!one.set(7 * Self.mebibyte))
    async let waiting: Void = one.waitForRoom()
    one.end()
    await waiting
    withExtendedLifetime(other) { #expect(budget.heldBytes == 6 * Self.mebibyte) }
  }

  @Test func `two calls that wait for one connection both return`() async {
    let budget = FrameBudget(bytes: 16 * Self.mebibyte)
    let (one, other) = (FrameBudget.Hold(budget), FrameBudget.Hold(budget))
    _ = other.set(6 * Self.mebibyte)
    #expect(!one.set(7 * Self.mebibyte))
    let first = Task { await one.waitForRoom() }
    let second = Task { await one.waitForRoom() }
    while budget.waitingCount < 2 { await Task.yield() }
    other.end()
    await first.value
    await second.value
    #expect(budget.waitingCount == 0)
  }
}
