import DatTesting
import HypercoreProtocol
import Testing

@testable import Hypercore

@Suite struct RequestQueueTests {
  private func question(_ request: Request) -> RequestQueue.Question {
    RequestQueue.Question(index: request.index, bytes: request.bytes, hash: request.hash)
  }

  @Test(arguments: testSeeds(standard: 12))
  func `requests come in their order, without those that were taken back`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var queue = RequestQueue()
    var model: [Request] = []
    // From many requests for each block to hardly two for the same.
    let blocks: UInt64 = [3, 100, 5000][Int(seed % 3)]
    for step in 0..<300 {
      let action = Int.random(in: 0..<10, using: &random)
      for _ in 0..<Int.random(in: 1...40, using: &random) {
        let request = Request(
          index: .random(in: 0..<blocks, using: &random), bytes: random.chance(0.1) ? 7 : 0,
          hash: random.chance(0.2), nodes: UInt64(step))
        switch action {
        case 0..<5:
          queue.append(request)
          model.append(request)
        case 5..<7:
          let expected: Request? = model.isEmpty ? nil : model.removeFirst()
          let request = queue.popFirst()
          #expect(request == expected, "seed \(seed)")
        default:
          queue.cancel(question(request))
          model.removeAll { question($0) == question(request) }
        }
        #expect(queue.count == model.count && queue.isEmpty == model.isEmpty, "seed \(seed)")
      }
    }
    var rest: [Request] = []
    while let request = queue.popFirst() { rest.append(request) }
    #expect(rest == model, "seed \(seed)")
  }

  @Test func `taking back most of many leaves the others, and little of what was taken back`() {
    var queue = RequestQueue()
    for index in 0..<10_000 as Range<UInt64> { queue.append(Request(index: index)) }
    for index in 0..<100 as Range<UInt64> {
      let request = queue.popFirst()
      #expect(request?.index == index)
    }
    for index in 0..<20_000 as Range<UInt64> where !index.isMultiple(of: 3) {
      queue.cancel(question(Request(index: index)))
      queue.cancel(question(Request(index: index - index % 3, hash: true)))
    }
    queue.append(Request(index: 101))
    #expect(queue.upcoming.count <= queue.count + queue.count / 4 + 257)
    var expected = (100..<10_000 as Range<UInt64>).filter { $0.isMultiple(of: 3) }
    expected.append(101)
    var rest: [UInt64] = []
    while let request = queue.popFirst() { rest.append(request.index) }
    #expect(rest == expected)
  }
}
