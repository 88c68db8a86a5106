import HypercoreCrypto
import Testing

@testable import Saga

@Suite struct RosterTests {
  private func user(_ number: UInt8, _ name: String) -> UserData {
    UserData(
      key: PublicKey(bytes: [UInt8](repeating: number, count: 32))!, username: name, timestamp: 0)
  }

  /// What a row of comings (positive) and goings (negative) of users all called ana tells.
  private func told(_ steps: [Int]) -> [String] {
    var roster = Roster()
    return steps.map { step in
      let user = user(UInt8(abs(step)), "ana")
      if step > 0 { return roster.connect(user) ? "join \(step)" : "" }
      return roster.disconnect(user.key) == nil ? "" : "leave \(-step)"
    }
  }

  @Test func `two users of one name come and go each for itself`() {
    #expect(told([1, 2, -1, -2]) == ["join 1", "join 2", "leave 1", "leave 2"])
  }

  @Test func `a user with two connections joins with the first and leaves with the last`() {
    #expect(told([1, 1, -1, -1, -1]) == ["join 1", "", "", "leave 1", ""])
  }

  @Test func `no more than the limit are authorized in a minute`() {
    var burst = BurstLimit()
    let start = ContinuousClock.now
    let first = (0..<30).map { _ in burst.take(now: start, limit: 30) }
    #expect(first.allSatisfy { $0 == nil })
    let next = burst.take(now: start, limit: 30)
    #expect(next == start + .seconds(60))
    let later = burst.take(now: start + .seconds(61), limit: 30)
    #expect(later == nil)
  }
}
