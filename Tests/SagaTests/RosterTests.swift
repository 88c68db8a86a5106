import HypercoreCrypto
import Testing

@testable import Saga

@Suite struct RosterTests {
  private func user(_ number: UInt8, _ name: String) -> UserData {
    UserData(
      key: PublicKey(bytes: [UInt8](repeating: number, count: 32))!, username: name, timestamp: 0)
  }

  @Test func `two users of one name come and go each for itself`() {
    var roster = Roster()
    do {
      let result = roster.connect(user(1, "ana"))
      #expect(result)
    }
    do {
      let result = roster.connect(user(2, "ana"))
      #expect(result)
    }
    #expect(roster.users.count == 2)
    do {
      let result = roster.disconnect(user(1, "ana").key)
      #expect(result?.username == "ana")
    }
    #expect(roster.users.map(\.key) == [user(2, "ana").key])
  }

  @Test func `a user with two connections joins with the first and leaves with the last`() {
    var roster = Roster()
    do {
      let result = roster.connect(user(1, "ana"))
      #expect(result)
    }
    do {
      let result = roster.connect(user(1, "ana"))
      #expect(!result)
    }
    do {
      let result = roster.disconnect(user(1, "ana").key)
      #expect(result == nil)
    }
    do {
      let result = roster.disconnect(user(1, "ana").key)
      #expect(result != nil)
    }
    do {
      let result = roster.disconnect(user(1, "ana").key)
      #expect(result == nil)
    }
  }

  @Test func `no more than the limit are authorized in a minute`() {
    var burst = BurstLimit()
    let start = ContinuousClock.now
    for _ in 0..<30 {
      let free = burst.take(now: start, limit: 30)
      #expect(free == nil)
    }
    let next = burst.take(now: start, limit: 30)
    #expect(next == start + .seconds(60))
    let later = burst.take(now: start + .seconds(61), limit: 30)
    #expect(later == nil)
  }
}
