import HypercoreCrypto
import Testing

@testable import Saga

@Suite struct PresenceTests {
  /// Returns a key that follows from a name.
  private func key(_ name: String) -> PublicKey {
    let bytes = Array(name.utf8)
    return PublicKey(bytes: (0..<32).map { $0 < bytes.count ? bytes[$0] : 0 })!
  }

  @Test func `a return within the patience leaves no trace`() {
    let bea = UserData(key: key("bea"), username: "bea", timestamp: 1)
    var presence = Presence(patience: .seconds(30), here: [], now: 0)
    presence.join(bea, now: 1_000)
    presence.leave(bea.key, now: 2_000)
    #expect(presence.deadline == 32_000)
    let early = presence.tick(31_999)
    #expect(!early)
    presence.join(bea, now: 31_999)
    #expect(presence.deadline == nil)
    let late = presence.tick(99_000)
    #expect(!late)
    #expect(presence.notices.map(\.kind) == [.join])
    #expect(presence.people[bea.key]?.since == 1_000)
  }

  @Test func `a leave shows after the patience, with the time at which it was`() {
    let bea = UserData(key: key("bea"), username: "bea", timestamp: 1)
    let cai = UserData(key: key("cai"), username: "cai", timestamp: 1)
    var presence = Presence(patience: .seconds(30), here: [bea, cai], now: 0)
    presence.leave(cai.key, now: 4_000)
    presence.leave(bea.key, now: 5_000)
    presence.leave(bea.key, now: 20_000)
    let first = presence.tick(34_000)
    #expect(first)
    #expect(presence.notices.map(\.username) == ["cai"])
    let second = presence.tick(35_000)
    #expect(second)
    #expect(presence.notices.map(\.kind) == [.leave, .leave])
    #expect(presence.notices.map(\.time) == [4_000, 5_000])
    #expect(presence.people[bea.key]?.isHere == false)
  }

  @Test func `two users of one name are two`() {
    let one = UserData(key: key("1"), username: "bea", timestamp: 1)
    let other = UserData(key: key("2"), username: "bea", timestamp: 1)
    var presence = Presence(patience: .zero, here: [], now: 0)
    presence.join(one, now: 1)
    presence.join(other, now: 2)
    presence.leave(one.key, now: 3)
    _ = presence.tick(3)
    #expect(presence.people[other.key]?.isHere == true)
    #expect(presence.people[one.key]?.isHere == false)
  }

  @Test func `strangers with ever new keys and nonsense don't fill memory or the view`() {
    var presence = Presence(patience: .zero, here: [], now: 0)
    for index in 0..<2_000 {
      let key = key("\(index)")
      presence.join(UserData(key: key, username: "x", timestamp: 0), now: Int64(index))
      presence.leave(key, now: Int64(index))
      _ = presence.tick(Int64(index))
    }
    for _ in 0..<100 { presence.noteUnreadable(key("bad"), now: 1) }
    #expect(presence.people.count <= Presence.keptPeople + 1)
    #expect(presence.notices.count { $0.kind == .unreadable } == 1)
    // Thousands that come and go share one line.
    #expect(presence.notices.count { $0.kind == .crowd } == 1)
    #expect(presence.notices.first { $0.kind == .crowd }?.detail == "3980")
    #expect(presence.notices.count == Presence.passingLines + 2)
    // After a quiet time each gets its own line again.
    let bea = UserData(key: key("bea"), username: "bea", timestamp: 1)
    presence.join(bea, now: 700_000)
    #expect(presence.notices.last?.kind == .join)
  }
}
