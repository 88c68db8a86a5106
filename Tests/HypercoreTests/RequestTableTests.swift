import DatTesting
import HypercoreProtocol
import Testing

@testable import Hypercore

/// The table of requests against a plain dictionary.
@Suite struct RequestTableTests {
  private struct Model {
    var entries: [UInt64: (number: UInt64, sent: Int, isStalled: Bool)] = [:]
    var sentCount: UInt64 = 0

    var active: [UInt64] { entries.filter { !$0.value.isStalled }.map(\.key).sorted() }
  }

  @Test(
    "A table of requests finds, stalls and forgets them like a dictionary",
    arguments: testSeeds(standard: 12))
  func dictionary(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let start = ContinuousClock.now
    func instant(_ step: Int) -> Moment { Moment(start) + .milliseconds(step) }
    // From neighbours, as in a download in order, to indexes whose slots collide.
    let stride: UInt64 = [1, 1, 64, 1 << 20][Int(seed % 4)]
    var table = RequestTable()
    var model = Model()
    for step in 0..<1500 {
      let index = UInt64.random(in: 0..<400, using: &random) * stride
      switch Int.random(in: 0..<20, using: &random) {
      case 0..<9:
        table.add(index, sent: instant(step))
        model.entries[index] = (model.sentCount, step, false)
        model.sentCount += 1
      case 9..<18:
        let found = table.remove(index)
        let expected = model.entries.removeValue(forKey: index)
        #expect(found?.number == expected?.number, "seed \(seed)")
        #expect(found?.isStalled == expected?.isStalled, "seed \(seed)")
      case 18:
        let limit = step - 200
        let late = table.stall(sentBy: instant(limit)).sorted()
        let expected = model.entries.filter { !$0.value.isStalled && $0.value.sent <= limit }
        #expect(late == expected.keys.sorted(), "seed \(seed)")
        for index in expected.keys { model.entries[index]?.isStalled = true }
      default:
        if Int.random(in: 0..<20, using: &random) > 0 { continue }
        #expect(table.removeAll().sorted() == model.active, "seed \(seed)")
        model.entries = [:]
      }
      guard step % 10 == 0 else { continue }
      #expect(table.activeCount == model.active.count, "seed \(seed)")
      #expect(table.sentCount == model.sentCount)
      let oldest = model.entries.values.min { $0.number < $1.number }
      #expect(table.oldest(before: .max)?.number == oldest?.number, "seed \(seed)")
      let sent = model.entries.values.filter { !$0.isStalled }.map(\.sent).min()
      #expect(table.oldest() == sent.map(instant), "seed \(seed)")
    }
  }
}
