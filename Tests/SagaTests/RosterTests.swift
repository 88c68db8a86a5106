import HypercoreCrypto
import Testing

@testable import Saga

@Suite struct RosterTests {
  private func user(_ number: UInt8, _ name: String) -> UserData {
    UserData(
      key: PublicKey(bytes: [UInt8](repeating: number, count: 32))!, username: name, timestamp: 0)
  }

  /// Returns the events of a sequence of connects (positive) and disconnects (negative) of users all called
  /// ana; each disconnect is that of the user's first connection.
  private func told(_ steps: [Int]) -> [String] {
    var roster = Roster()
    var connections: [Int: [UInt64]] = [:]
    return steps.enumerated().map { index, step in
      let user = user(UInt8(abs(step)), "ana")
      if step > 0 {
        connections[step, default: []].append(UInt64(index))
        return roster.connect(user, on: UInt64(index)) ? "join \(step)" : ""
      }
      let number = connections[-step]?.first ?? 99
      if connections[-step]?.isEmpty == false { connections[-step]?.removeFirst() }
      return roster.disconnect(user.key, on: number).gone == nil ? "" : "leave \(-step)"
    }
  }

  @Test func `two users of one name come and go each for itself`() {
    #expect(told([1, 2, -1, -2]) == ["join 1", "join 2", "leave 1", "leave 2"])
  }

  @Test func `a user with two connections joins with the first and leaves with the last`() {
    #expect(told([1, 1, -1, -1, -1]) == ["join 1", "", "", "leave 1", ""])
  }

  @Test func `a claim never replaces what a proven connection of the key said`() {
    var roster = Roster()
    _ = roster.connect(user(1, "ana"), on: 1)
    let first = roster.prove(user(1, "").key, on: 1)
    #expect(first?.isProven == true)
    for number in 2...5 as ClosedRange<UInt64> {
      let isNew = roster.connect(user(1, "a rude name"), on: number)
      #expect(!isNew)
    }
    #expect(roster.users.map(\.username) == ["ana"])
    #expect(roster.users.map(\.isProven) == [true])
    // The other way round: the claim was first.
    _ = roster.connect(user(2, "another rude name"), on: 6)
    _ = roster.connect(user(2, "bea"), on: 7)
    #expect(roster[user(2, "").key]?.username == "another rude name")
    let second = roster.prove(user(2, "").key, on: 7)
    #expect(second?.username == "bea")
    // When the proven connection is gone, the claim is shown as what it is.
    let (gone, changed) = roster.disconnect(user(2, "").key, on: 7)
    #expect(gone == nil)
    #expect(changed?.username == "another rude name")
    #expect(changed?.isProven == false)
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
