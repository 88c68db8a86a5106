import HypercoreCrypto
import Testing

@testable import Saga

/// The events that wait for one reader of a room.
struct RoomQueueTests {
  private func request(_ number: Int) -> SagaEvent {
    let key = PublicKey(bytes: (0..<32).map { $0 < 2 ? UInt8(number >> (8 * $0) & 255) : 0 })!
    return .request(UserData(key: key, username: "user \(number)", timestamp: 0))
  }

  @Test func `the newest 4,096 that are no messages wait, also after many were read`() {
    var queue = RoomQueue()
    for round in 0..<3 {
      for number in 0..<5_000 { queue.add(.other(request(number))) }
      #expect(queue.pendingCount == 4_096, "round \(round)")
      for number in 904..<5_000 {
        guard case .other(let event)? = queue.next() else {
          Issue.record("nothing waits, \(number)")
          return
        }
        #expect(event == request(number))
        // Events that were read are let go of once they are half of those held, or all.
        #expect(queue.heldCount <= max(2_048, 2 * queue.pendingCount))
      }
      #expect(queue.next() == nil)
      #expect(queue.pendingCount == 0 && queue.heldCount == 0)
    }
  }
}
