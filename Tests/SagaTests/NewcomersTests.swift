import HypercoreCrypto
import Testing

@testable import Saga

/// In which order newcomers are let in.
@Suite struct NewcomersTests {
  private let start = ContinuousClock.now

  private func user(_ number: Int, from address: String?) -> UserData {
    var key = [UInt8](repeating: 0, count: 32)
    (key[0], key[1]) = (UInt8(number >> 8), UInt8(number & 255))
    var user = UserData(key: PublicKey(bytes: key)!, username: "user \(number)", timestamp: 0)
    user.address = address
    return user
  }

  private func add(_ number: Int, from address: String?, to newcomers: inout Newcomers) {
    let data = user(number, from: address)
    newcomers[data.key] = Newcomer(
      data: data, isAccepted: true, notBefore: start + .milliseconds(number))
  }

  /// Lets in so many, and says which.
  private func letIn(_ count: Int, of newcomers: inout Newcomers, at seconds: Int = 0) -> [String] {
    (0..<count).compactMap { _ in
      let now = start + .seconds(seconds)
      let next = newcomers.next(now: now)
      if let next { newcomers.letIn(next.data.key, now: now) }
      return next?.data.username
    }
  }

  @Test func `a crowd of made-up keys of one address waits behind everybody else`() {
    var newcomers = Newcomers()
    for number in 0..<500 { add(number, from: "192.0.2.66", to: &newcomers) }
    let crowd = letIn(30, of: &newcomers)
    #expect(crowd.count == 30)
    add(600, from: "198.51.100.1", to: &newcomers)
    // Another customer's crowd, each from another network.
    for number in 700..<800 {
      add(number, from: "2001:db8:7:\(String(number, radix: 16))::1", to: &newcomers)
    }
    add(900, from: "2001:db8:8::1", to: &newcomers)
    let next = letIn(3, of: &newcomers, at: 60)
    #expect(next == ["user 600", "user 700", "user 900"])
    // After a while nothing is held against an address, and nobody waits for ever.
    let rest = letIn(1000, of: &newcomers, at: 700)
    #expect(rest.count == 569)
  }

  @Test func `without addresses they are let in as they came`() {
    var newcomers = Newcomers()
    for number in (0..<20).reversed() { add(number, from: nil, to: &newcomers) }
    let all = letIn(20, of: &newcomers)
    #expect(all == (0..<20).map { "user \($0)" })
  }

  @Test func `claiming somebody's key from a crowded address doesn't take its turn`() {
    var newcomers = Newcomers()
    for number in 0..<40 { add(number, from: "192.0.2.66", to: &newcomers) }
    let crowd = letIn(10, of: &newcomers)
    #expect(crowd.count == 10)
    // The liar was first to name this key.
    add(500, from: "192.0.2.66", to: &newcomers)
    newcomers.claimAgain(user(500, from: "198.51.100.1"), now: start)
    let first = letIn(1, of: &newcomers)
    #expect(first == ["user 500"])
    // Nor is it taken later.
    add(501, from: "198.51.100.2", to: &newcomers)
    newcomers.claimAgain(user(501, from: "192.0.2.66"), now: start)
    let second = letIn(1, of: &newcomers)
    #expect(second == ["user 501"])
  }

  @Test func `where too many wait the address with most makes room`() {
    var newcomers = Newcomers()
    for number in 0..<50 { add(number, from: "192.0.2.66", to: &newcomers) }
    add(60, from: "198.51.100.1", to: &newcomers)
    let all = Set((0..<61).map { user($0, from: nil).key })
    let madeRoom = newcomers.makeRoom(for: user(70, from: "198.51.100.1"), present: all)
    #expect(madeRoom)
    #expect(newcomers[user(0, from: nil).key] == nil, "of the crowd, though it is here")
    #expect(newcomers[user(60, from: nil).key] != nil)
    let madeNone = newcomers.makeRoom(for: user(71, from: "192.0.2.66"), present: all)
    #expect(!madeNone)
    let madeRoomAgain = newcomers.makeRoom(for: user(71, from: "192.0.2.66"), present: [])
    #expect(madeRoomAgain)
    #expect(newcomers[user(60, from: nil).key] != nil)
    #expect(newcomers.count == 49)
  }
}
