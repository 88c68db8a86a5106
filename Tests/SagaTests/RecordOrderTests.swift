import DatTesting
import Testing

@testable import Saga

struct RecordOrderTests {
  private func numbers(_ order: RecordOrder) -> [UInt32] {
    var numbers: [UInt32] = []
    var place = order.start
    while let number = order.next(&place) { numbers.append(number) }
    return numbers
  }

  @Test func `a stored order goes on as any other does`() {
    var random = SeededRandom(seed: 3)
    for count in [0, 1, 1_023, 1_024, 1_025, 5_000] {
      var order = RecordOrder(sortedCount: count)
      // Each number sorts by its key, which no other has: those of the start as they are, later ones anywhere.
      var keys = (0..<count).map { $0 * 1_000 << 14 }
      var model = Array(0..<UInt32(count))
      #expect(numbers(order) == model && order.count == count && order.last == model.last)
      for _ in 0..<3_000 {
        if random.chance(0.4), let number = model.randomElement(using: &random) {
          order.remove(number) { keys[Int($0)] < keys[Int(number)] }
          model.removeAll { $0 == number }
        } else {
          let number = UInt32(keys.count)
          keys.append(Int.random(in: 0..<6_000_000, using: &random) << 14 + keys.count)
          order.insert(number) { keys[Int($0)] < keys[Int(number)] }
          let place = model.firstIndex { keys[Int($0)] >= keys[Int(number)] }
          model.insert(number, at: place ?? model.endIndex)
        }
      }
      #expect(numbers(order) == model && order.count == model.count && order.last == model.last)
      for position in stride(from: 0, to: model.count, by: 97) {
        var place = order.place(at: position)
        #expect(order.position(of: place) == position)
        #expect(order.next(&place) == model[position])
        #expect(order.previous(&place) == model[position])
      }
    }
  }

  @Test func `numbers that go to the end share pieces`() {
    var order = RecordOrder(sortedCount: 1_500)
    for number in 1_500..<5_000 { order.append(UInt32(number)) }
    #expect(numbers(order) == Array(0..<5_000))
    #expect(order.pieceTotal == 5)
  }
}
