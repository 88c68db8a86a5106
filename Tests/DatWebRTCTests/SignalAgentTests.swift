import DatSignal
import Testing

@testable import DatWebRTC

struct SignalAgentTests {
  typealias Agent = SignalAgent

  func agent(_ id: String = "m", _ limits: Agent.Limits = .init()) -> Agent {
    Agent(id: id, limits: limits, random: AgentPair.Sequence(state: 1))
  }

  func actions(_ agent: inout Agent) -> [Agent.Action] {
    var found: [Agent.Action] = []
    while let action = agent.nextAction() { found.append(action) }
    return found
  }

  func connect(_ id: String, native: Bool = false) -> SignalMessage {
    .connect(from: id, isNative: native)
  }

  func offer(_ id: String, _ number: String = "") -> SignalMessage {
    .signal(from: id, .description(isOffer: true, sdp: "offer\(number) of \(id)"))
  }

  func answer(_ id: String) -> SignalMessage {
    .signal(from: id, .description(isOffer: false, sdp: "answer of \(id)"))
  }

  @Test func `it announces itself often while alone and seldom in company`() {
    var agent = agent()
    agent.connected(0, now: 1000)
    #expect(actions(&agent) == [.say(connect("m", native: true), channel: "all", at: 0)])
    var times: [UInt64] = []
    for _ in 0..<5 {
      guard let due = agent.deadline else { break }
      times.append(due)
      agent.fire(now: due)
    }
    #expect(times.count == 5)
    #expect(zip(times, times.dropFirst()).allSatisfy { (3000..<5000).contains($1 - $0) })
    agent.heard(offer("ana"), now: times[4])
    agent.opened(1, now: times[4])
    agent.confirmed(1)
    agent.fire(now: agent.deadline ?? 0)
    let next = (agent.deadline ?? 0) - times[4]
    #expect(next >= 13_000)
  }

  @Test func `a browser that announces itself hears of us and offers`() {
    var agent = agent()
    agent.heard(connect("ana"), now: 0)
    #expect(actions(&agent) == [.say(connect("m", native: true), channel: "ana", at: 0)])
    agent.heard(offer("ana"), now: 10)
    #expect(actions(&agent) == [.answer(1, from: "ana", sdp: "offer of ana")])
    agent.signal(1, .description(isOffer: false, sdp: "ours"))
    #expect(
      actions(&agent)
        == [
          .say(.signal(from: "m", .description(isOffer: false, sdp: "ours")), channel: "ana", at: 0)
        ])
    agent.heard(.signal(from: "ana", .candidate("candidate:1")), now: 20)
    #expect(actions(&agent) == [.apply(1, .candidate("candidate:1"))])
  }

  @Test func `a peer that never offers gets an offer`() {
    var agent = agent()
    for now in stride(from: UInt64(0), to: 16_000, by: 4000) {
      agent.heard(connect("ana"), now: now)
    }
    #expect(actions(&agent).last == .offer(1, to: "ana"))
    agent.heard(answer("ana"), now: 16_000)
    #expect(actions(&agent) == [.apply(1, .description(isOffer: false, sdp: "answer of ana"))])
    // A second answer is not the peer's.
    agent.heard(answer("ana"), now: 16_001)
    #expect(actions(&agent).isEmpty)
  }

  @Test func `of two native peers the smaller id offers`() {
    var small = agent("a")
    small.heard(connect("b", native: true), now: 0)
    #expect(actions(&small) == [.offer(1, to: "b")])
    var large = agent("b")
    large.heard(connect("a", native: true), now: 0)
    #expect(actions(&large) == [.say(connect("b", native: true), channel: "a", at: 0)])
  }

  @Test func `when both offer, ours to a browser stays`() {
    var agent = agent()
    for now in stride(from: UInt64(0), to: 16_000, by: 4000) {
      agent.heard(connect("ana"), now: now)
    }
    _ = actions(&agent)
    agent.heard(offer("ana"), now: 16_000)
    #expect(actions(&agent).isEmpty)
  }

  @Test func `an id ends no connection that is open`() {
    var agent = agent()
    agent.heard(offer("ana"), now: 0)
    agent.opened(1, now: 0)
    _ = actions(&agent)
    agent.heard(offer("ana", "2"), now: 100)
    #expect(actions(&agent) == [.answer(2, from: "ana", sdp: "offer2 of ana")])
    // Further ones of the ID take the place of the one that has not opened.
    agent.heard(offer("ana", "3"), now: 200)
    #expect(actions(&agent) == [.drop(2), .answer(3, from: "ana", sdp: "offer3 of ana")])
    #expect(agent.connectionCount == 2)
  }

  @Test func `made-up ids take no more places than there are for those who begin`() {
    var limits = Agent.Limits()
    limits.messagesPerSecond = 1_000_000
    limits.burst = 1_000_000
    var agent = agent("m", limits)
    for number in 0..<10_000 {
      agent.heard(connect("x\(number)"), now: 0)
      agent.heard(offer("x\(number)"), now: 0)
    }
    #expect(agent.connectionCount == limits.pending)
    #expect(agent.rememberedCount <= limits.ids)
    _ = actions(&agent)
    agent.fire(now: 40_000)
    #expect(actions(&agent).count == limits.pending)
    #expect(agent.connectionCount == 0)
    agent.heard(offer("ana"), now: 40_001)
    #expect(actions(&agent) == [.answer(10_001, from: "ana", sdp: "offer of ana")])
  }

  @Test func `whoever makes up peers keeps no honest one from a place`() {
    var agent = agent("m")
    for number in 0..<100 { agent.heard(offer("x\(number)"), now: 0) }
    _ = actions(&agent)
    agent.heard(offer("ana"), now: 1)
    #expect(actions(&agent).contains(.answer(101, from: "ana", sdp: "offer of ana")))
    // An open one is never evicted.
    agent.opened(101, now: 2)
    for number in 0..<200 { agent.heard(offer("y\(number)"), now: 3) }
    #expect(!actions(&agent).contains(.drop(101)))
  }

  @Test func `a flood is not looked at, and then it is again`() {
    var agent = agent()
    for _ in 0..<100_000 { agent.heard(connect("ana"), now: 0) }
    #expect(agent.ignored >= 99_000)
    _ = actions(&agent)
    agent.heard(offer("bea"), now: 1000)
    #expect(actions(&agent) == [.answer(1, from: "bea", sdp: "offer of bea")])
  }

  @Test func `what a stranger says of itself without an offer is dropped`() {
    var agent = agent()
    agent.heard(answer("ana"), now: 0)
    agent.heard(.signal(from: "ana", .candidate("candidate:1")), now: 0)
    agent.heard(connect("m"), now: 0)
    agent.heard(offer("m"), now: 0)
    agent.heard(.unknown, now: 0)
    #expect(actions(&agent).isEmpty)
  }

  @Test func `a lost peer is sought at once`() {
    var agent = agent()
    agent.connected(0, now: 0)
    agent.heard(offer("ana"), now: 0)
    agent.opened(1, now: 0)
    agent.confirmed(1)
    agent.fire(now: agent.deadline ?? 0)
    agent.ended(1, now: 6000)
    #expect(agent.deadline.map { $0 <= 6500 } == true)
  }

  @Test func `a peer at two hubs is met once, and what is said of a connection goes through one`() {
    var agent = agent()
    agent.connected(0, now: 0)
    agent.connected(1, now: 0)
    #expect(
      actions(&agent) == [0, 1].map { .say(connect("m", native: true), channel: "all", at: $0) })
    agent.heard(connect("ana"), at: 1, now: 0)
    agent.heard(connect("ana"), at: 0, now: 0)
    #expect(actions(&agent) == [.say(connect("m", native: true), channel: "ana", at: 1)])
    agent.heard(offer("ana"), at: 1, now: 10)
    agent.heard(offer("ana"), at: 0, now: 11)
    #expect(actions(&agent) == [.answer(1, from: "ana", sdp: "offer of ana")])
    agent.signal(1, .candidate("candidate:2"))
    #expect(
      actions(&agent)
        == [.say(.signal(from: "m", .candidate("candidate:2")), channel: "ana", at: 1)])
    // The remaining hub is used for announcements.
    agent.disconnected(1)
    agent.fire(now: agent.deadline ?? 0)
    #expect(actions(&agent).first == .say(connect("m", native: true), channel: "all", at: nil))
    agent.disconnected(0)
    agent.opened(1, now: 20)
    agent.confirmed(1)
    #expect(agent.deadline == nil)
  }

  @Test func `a page that is loaded anew hears of us though its old connection is open`() {
    var agent = agent()
    agent.heard(offer("ana"), now: 0)
    agent.opened(1, now: 10)
    agent.confirmed(1)
    _ = actions(&agent)
    agent.heard(connect("ana"), now: 5000)
    #expect(actions(&agent) == [.say(connect("m", native: true), channel: "ana", at: 0)])
    agent.heard(connect("b", native: true), now: 5000)
    _ = actions(&agent)
  }

  @Test func `a peer that says nothing on its channel is given up`() {
    var agent = agent()
    agent.heard(offer("ana"), now: 0)
    agent.opened(1, now: 1000)
    _ = actions(&agent)
    #expect(agent.deadline == 11_000)
    agent.fire(now: 11_000)
    #expect(actions(&agent) == [.giveUp(1, of: "ana", wasOpen: true)])
  }

  @Test func `a peer that does not go on with its offer is given up`() {
    var agent = agent()
    agent.heard(offer("ana"), now: 0)
    _ = actions(&agent)
    agent.fire(now: 39_999)
    #expect(actions(&agent).allSatisfy { if case .say = $0 { true } else { false } })
    agent.fire(now: 40_000)
    #expect(actions(&agent).contains(.giveUp(1, of: "ana", wasOpen: false)))
  }

  @Test func `a peer that another transport leads to is left alone until that has ended`() {
    var agent = agent("a")
    agent.connected(0, now: 0)
    agent.heard(connect("b", native: true), now: 0)
    agent.ended(1, now: 100)
    agent.setAside("b", true, now: 100)
    _ = actions(&agent)
    agent.heard(connect("b", native: true), now: 5000)
    agent.heard(offer("b"), now: 5000)
    #expect(actions(&agent).isEmpty)
    agent.setAside("b", false, now: 9000)
    agent.heard(connect("b", native: true), now: 9001)
    #expect(actions(&agent) == [.offer(2, to: "b")])
  }
}
