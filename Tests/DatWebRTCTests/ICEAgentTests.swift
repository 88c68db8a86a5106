import Testing

@testable import DatWebRTC

/// Two agents and the network between them, on virtual time.
struct AgentPair {
  /// The fate of a packet in the network.
  struct Network {
    var delay: ICEAgent.Instant = 5
    /// True if packets from the first to the second, or back, get there on this path.
    var passes: (_ fromFirst: Bool, TransportAddress) -> Bool = { _, _ in true }
  }

  enum Packet {
    case request(number: UInt32, ICEAgent.Request)
    case answer(number: UInt32, isConflict: Bool)
    case timeout(number: UInt32)
  }

  var agents: [ICEAgent]
  var network = Network()
  var now: ICEAgent.Instant = 1000
  var flight: [(due: ICEAgent.Instant, order: Int, to: Int, Packet)] = []
  var selected: [ICEAgent.Path?] = [nil, nil]
  var failures: [ICEAgent.Failure?] = [nil, nil]
  var checks = 0
  private var order = 0

  static let addresses = [
    TransportAddress(bytes: [192, 0, 2, 1], port: 1001),
    TransportAddress(bytes: [192, 0, 2, 2], port: 1002),
  ]

  init(firstControls: Bool = true, secondControls: Bool = false, seed: UInt64 = 1) {
    agents = [
      ICEAgent(isControlling: firstControls, random: Sequence(state: seed)),
      ICEAgent(isControlling: secondControls, random: Sequence(state: seed &+ 77)),
    ]
    for index in 0..<2 { agents[index].addLeg(0, isIPv6: false, isRelay: false, now: now) }
  }

  /// A generator that repeats itself.
  struct Sequence: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state
    }
  }

  mutating func start() {
    for index in 0..<2 { agents[index].start(now: now) }
    settle()
  }

  private mutating func send(_ packet: Packet, to: Int, after delay: ICEAgent.Instant) {
    order += 1
    flight.append((now + delay, order, to, packet))
  }

  /// Carries out the actions of both agents.
  mutating func settle() {
    for index in 0..<2 {
      while let action = agents[index].nextAction() {
        switch action {
        case .check(let number, let path, let isControlling, let nominates):
          checks += 1
          var request = ICEAgent.Request(
            path: ICEAgent.Path(leg: 0, remote: Self.addresses[index]), priority: 1,
            nominates: nominates)
          request.claim = (isControlling, agents[index].claim)
          let arrives =
            path.remote == Self.addresses[1 - index] && network.passes(index == 0, path.remote)
          if arrives {
            send(.request(number: number, request), to: 1 - index, after: network.delay)
          } else {
            send(.timeout(number: number), to: index, after: 2000)
          }
        case .select(let path): selected[index] = path
        case .fail(let why): failures[index] = why
        }
      }
    }
  }

  /// Lets time pass until an instant, or until nothing is due.
  mutating func run(until end: ICEAgent.Instant) {
    while true {
      let packet = flight.min { ($0.due, $0.order) < ($1.due, $1.order) }
      let next = ([packet?.due] + agents.map(\.deadline)).compactMap { $0 }.min()
      guard let next, next <= end else { break }
      now = max(now, next)
      if let packet, packet.due <= now {
        flight.removeAll { $0.order == packet.order }
        deliver(packet.3, to: packet.to)
      } else {
        for index in 0..<2 where agents[index].deadline.map({ $0 <= now }) ?? false {
          agents[index].fire(now: now)
        }
      }
      settle()
    }
    now = max(now, end)
  }

  private mutating func deliver(_ packet: Packet, to index: Int) {
    switch packet {
    case .request(let number, let request):
      let verdict = agents[index].received(request, now: now)
      guard verdict != .ignore else { return }
      if network.passes(index == 0, Self.addresses[1 - index]) {
        send(
          .answer(number: number, isConflict: verdict == .roleConflict), to: 1 - index,
          after: network.delay)
      } else {
        send(.timeout(number: number), to: 1 - index, after: 2000)
      }
    case .answer(let number, let isConflict):
      agents[index].answered(number, isConflict ? .refused(487) : .answered, now: now)
    case .timeout(let number): agents[index].answered(number, .timedOut, now: now)
    }
  }

  mutating func exchangeCandidates() {
    for index in 0..<2 {
      agents[index].addRemote(Self.addresses[1 - index], priority: 100, now: now)
    }
  }
}

struct ICEAgentTests {
  @Test func `two agents that know each other's address agree on the path`() {
    var pair = AgentPair()
    pair.exchangeCandidates()
    pair.start()
    pair.run(until: 1500)
    #expect(pair.selected[0]?.remote == AgentPair.addresses[1])
    #expect(pair.selected[1]?.remote == AgentPair.addresses[0])
  }

  @Test func `a side that knows no address learns it from the other's checks`() {
    var pair = AgentPair()
    pair.agents[0].addRemote(AgentPair.addresses[1], priority: 100, now: pair.now)
    pair.start()
    pair.run(until: 1500)
    #expect(pair.selected.allSatisfy { $0 != nil })
  }

  @Test func `a candidate that comes late is checked`() {
    var pair = AgentPair()
    pair.start()
    pair.run(until: 6000)
    #expect(pair.selected[0] == nil)
    pair.exchangeCandidates()
    pair.run(until: 7000)
    #expect(pair.selected.allSatisfy { $0 != nil })
  }

  @Test(arguments: [true, false], [UInt64(1), 2, 3, 4])
  func `two that claim one role settle who has it`(both: Bool, seed: UInt64) {
    var pair = AgentPair(firstControls: both, secondControls: both, seed: seed)
    pair.exchangeCandidates()
    pair.start()
    pair.run(until: 3000)
    #expect(pair.selected.allSatisfy { $0 != nil })
    #expect(pair.agents[0].isControlling != pair.agents[1].isControlling)
  }

  @Test func `without a path both give up after thirty seconds`() {
    var pair = AgentPair()
    pair.network.passes = { _, _ in false }
    pair.exchangeCandidates()
    pair.start()
    pair.run(until: 40_000)
    #expect(pair.failures == [.noPath, .noPath])
    // Each pair is tried again and again, but not without a pause.
    #expect(pair.checks < 60)
  }

  @Test func `a path that only one direction passes is not chosen`() {
    var pair = AgentPair()
    pair.network.passes = { fromFirst, _ in fromFirst }
    pair.exchangeCandidates()
    pair.start()
    pair.run(until: 40_000)
    #expect(pair.selected == [nil, nil])
  }

  @Test func `a peer that goes silent is given up after thirty seconds`() {
    var pair = AgentPair()
    pair.exchangeCandidates()
    pair.start()
    pair.run(until: 120_000)
    #expect(pair.failures == [nil, nil])
    pair.network.passes = { _, _ in false }
    pair.run(until: 160_000)
    #expect(pair.failures == [.noConsent, .noConsent])
  }

  @Test func `consent costs a check every four to six seconds`() {
    var pair = AgentPair()
    pair.exchangeCandidates()
    pair.start()
    pair.run(until: 2000)
    let before = pair.checks
    pair.run(until: 62_000)
    // Two sides, 60 s; each check is answered by none of its own, since the pair is valid.
    #expect((20...32).contains(pair.checks - before))
  }

  @Test func `the checks of consent of many connections fall on few instants`() {
    var instants: Set<UInt64> = []
    for seed in 1...50 {
      var agent = ICEAgent(isControlling: false, random: AgentPair.Sequence(state: UInt64(seed)))
      agent.addLeg(0, isIPv6: false, isRelay: false, now: 0)
      agent.addRemote(
        TransportAddress(bytes: [10, 0, 0, 1], port: UInt16(seed)), priority: 1, now: 0)
      // Each begins at a time of its own.
      var now = 17 * UInt64(seed)
      var last: UInt64?
      agent.start(now: now)
      while now < 60_000 {
        while let action = agent.nextAction() {
          guard case .check(let number, let path, _, _) = action else { continue }
          agent.answered(number, .answered, now: now)
          var request = ICEAgent.Request(path: path, priority: 1, nominates: true)
          request.claim = (true, 1)
          _ = agent.received(request, now: now)
        }
        now = agent.deadline ?? 60_000
        if agent.path != nil, now < 60_000 {
          if let last { #expect((4000..<6000).contains(now - last)) }
          instants.insert(now)
          last = now
        }
        agent.fire(now: now)
      }
      #expect(agent.path != nil)
    }
    // 50 connections make some 550 checks.
    #expect((1...240).contains(instants.count))
  }

  @Test func `more addresses than a peer has are not tried`() {
    var agent = ICEAgent(isControlling: true, random: AgentPair.Sequence(state: 1))
    agent.addLeg(0, isIPv6: false, isRelay: false, now: 0)
    for number in 0..<10_000 {
      agent.addRemote(
        TransportAddress(bytes: [10, 0, UInt8(number / 256 % 256), UInt8(number % 256)], port: 1),
        priority: 1, now: 0)
    }
    agent.start(now: 0)
    var checks = 0
    for now in stride(from: UInt64(0), to: 20_000, by: 20) {
      agent.fire(now: now)
      while case .check? = agent.nextAction() { checks += 1 }
    }
    #expect(checks == ICEAgent.remoteLimit)
  }

  @Test func `requests from ever new addresses make no more than the limit of pairs`() {
    var agent = ICEAgent(isControlling: false, random: AgentPair.Sequence(state: 1))
    agent.addLeg(0, isIPv6: false, isRelay: false, now: 0)
    agent.start(now: 0)
    var accepted = 0
    for number in 0..<10_000 {
      let address = TransportAddress(
        bytes: [10, 0, UInt8(number / 256 % 256), UInt8(number % 256)], port: 1)
      let request = ICEAgent.Request(
        path: ICEAgent.Path(leg: 0, remote: address), priority: 1, nominates: true)
      if agent.received(request, now: UInt64(number)) == .accept { accepted += 1 }
    }
    #expect(accepted == ICEAgent.pairLimit)
  }
}
