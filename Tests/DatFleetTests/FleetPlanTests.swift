import DatFleet
import DatFleetSimulation
import DatTesting
import HypercoreCrypto
import Testing

@Suite struct FleetPlanTests {
  private var options: FleetPlan.Options {
    var options = FleetPlan.Options()
    options.keep = 3600
    return options
  }

  /// A plan of host a among others, and a key of which a is an owner until c comes.
  private func scene() throws -> (plan: FleetPlan, key: DiscoveryKey) {
    var plan = FleetPlan(name: "a", members: ["a", "b", "d"], options: options)
    let key = try #require(
      (0..<200).map { simulatedKey($0) }.first { key in
        var other = FleetPlan(name: "a", members: ["a", "b", "d"])
        let isMine = other.insert(key, stored: .nothing) == [.hold(key)]
        _ = other.answer(members: ["a", "b", "c", "d"], at: 0)
        return isMine && other.stage(of: key) == .leaving && other.owners(of: key).contains("b")
      })
    #expect(plan.insert(key, stored: .nothing) == [.hold(key)])
    return (plan, key)
  }

  /// Answers a question as all who are asked would.
  private func proofs(
    _ plan: inout FleetPlan, _ actions: [FleetPlan.Action], at time: UInt64,
    but others: [String: FleetPlan.Answer] = [:]
  ) -> [FleetPlan.Action] {
    var next: [FleetPlan.Action] = []
    for action in actions {
      guard case .ask(let key, let hosts, let round) = action else { continue }
      for host in hosts {
        next += plan.answer(
          others[host] ?? .proved, of: key, by: host, round: round, at: time)
      }
    }
    return next
  }

  @Test func `a host lets go when every new owner has proved that it has all`() throws {
    var (plan, key) = try scene()
    #expect(plan.answer(members: ["a", "b", "c", "d"], at: 10) == [])
    #expect(plan.stage(of: key) == .leaving && !plan.mayProve(key))
    var asked = plan.advance(to: 10)
    #expect(asked == [.ask(key, hosts: plan.owners(of: key), round: 1)])
    #expect(proofs(&plan, asked, at: 11, but: ["c": .incomplete]) == [])
    #expect(plan.stage(of: key) == .leaving)
    // The one that lacked something is asked again.
    #expect(plan.advance(to: 39) == [])
    asked = plan.advance(to: 40)
    #expect(asked == [.ask(key, hosts: ["c"], round: 1)])
    #expect(proofs(&plan, asked, at: 41) == [.release(key)])
    #expect(plan.stage(of: key) == .kept(seconds: 3600))
  }

  @Test func `a proof from before the owners changed counts for nothing`() throws {
    var (plan, key) = try scene()
    _ = plan.answer(members: ["a", "b", "c", "d"], at: 0)
    let old = plan.advance(to: 0)
    // b is gone and d or a takes its place.
    _ = plan.answer(members: ["a", "c", "d"], at: 1)
    _ = plan.answer(members: ["a", "c", "d"], at: 601)
    _ = plan.advance(to: 601)
    #expect(proofs(&plan, old, at: 602) == [])
    #expect(plan.stage(of: key) != .kept(seconds: 3600))
  }

  @Test func `what is kept is freed after its time, and after two others have proved it anew`()
    throws
  {
    var (plan, key) = try scene()
    _ = plan.answer(members: ["a", "b", "c", "d"], at: 0)
    #expect(proofs(&plan, plan.advance(to: 0), at: 0) == [.release(key)])
    #expect(plan.advance(to: 3599) == [])
    var asked = plan.advance(to: 3600)
    #expect(proofs(&plan, asked, at: 3601, but: ["c": .unknown]) == [])
    #expect(plan.stage(of: key) == .kept(seconds: 0))
    asked = plan.advance(to: 3700)
    #expect(proofs(&plan, asked, at: 3701) == [.free(key)])
    #expect(plan.stage(of: key) == .elsewhere)
  }

  @Test func `an owner that lacks something gets it from one that kept it`() throws {
    var (plan, key) = try scene()
    _ = plan.answer(members: ["a", "b", "c", "d"], at: 0)
    #expect(proofs(&plan, plan.advance(to: 0), at: 0) == [.release(key)])
    let asked = plan.advance(to: 3600)
    #expect(proofs(&plan, asked, at: 3600, but: ["c": .incomplete]).contains(.hold(key)))
    #expect(plan.stage(of: key) == .leaving)
  }

  @Test func `one copy is never freed: two others can't prove it`() throws {
    var options = options
    options.copies = 1
    var plan = FleetPlan(name: "a", members: ["b", "c"], options: options)
    let key = simulatedKey(1)
    #expect(plan.insert(key, stored: .served) == [.hold(key)])
    #expect(proofs(&plan, plan.advance(to: 0), at: 0) == [.release(key)])
    for time in stride(from: UInt64(3600), to: 100_000, by: 600) {
      let asked = plan.advance(to: time)
      #expect(proofs(&plan, asked, at: time) == [])
    }
    #expect(plan.stage(of: key) == .kept(seconds: 0))
  }

  @Test func `a host that is taken off the directory hands over everything, then lets go`() throws {
    var plan = FleetPlan(name: "a", members: ["a", "b", "c"], options: options)
    let keys = (0..<40).map { simulatedKey($0) }
    for key in keys { _ = plan.insert(key, stored: .served) }
    _ = plan.answer(members: ["b", "c"], at: 0)
    #expect(plan.counts.owned > 10)
    _ = plan.answer(members: ["b", "c"], at: 600)
    let asked = plan.advance(to: 600)
    #expect(plan.counts == (0, 40, 0))
    #expect(proofs(&plan, asked, at: 600).count == 40)
    #expect(plan.counts == (0, 0, 40))
  }

  @Test func `half of the fleet that vanishes at once leaves everything where it is for the grace`()
  {
    let names = (0..<10).map { "host-\($0)" }
    var plan = FleetPlan(name: "host-0", members: names, options: options)
    for number in 0..<200 { _ = plan.insert(simulatedKey(number), stored: .nothing) }
    let before = plan.counts.owned
    #expect(plan.answer(members: Set(names.prefix(5)), at: 0) == [])
    #expect(plan.advance(to: 599) == [] && plan.counts.owned == before)
    // The others are merely down.
    #expect(plan.answer(members: Set(names), at: 599) == [] && plan.advance(to: 10_000) == [])
    #expect(plan.counts.owned == before && plan.orphans.isEmpty)
  }

  @Test func `keys whose owners are all gone are named, until one is back`() {
    let names = (0..<4).map { "host-\($0)" }
    var plan = FleetPlan(name: "host-0", members: names, options: options)
    var lost: Set<DiscoveryKey> = []
    for number in 0..<200 {
      let key = simulatedKey(number)
      _ = plan.insert(key, stored: .nothing)
      if Set(plan.owners(of: key)) == ["host-2", "host-3"] { lost.insert(key) }
    }
    _ = plan.answer(members: ["host-0", "host-1"], at: 0)
    _ = plan.answer(members: ["host-0", "host-1"], at: 600)
    let actions = plan.advance(to: 600)
    #expect(lost.allSatisfy { actions.contains(.hold($0)) })
    #expect(Set(plan.orphans.keys) == lost)
    #expect(plan.orphans.values.allSatisfy { Set($0) == ["host-2", "host-3"] })
    _ = plan.answer(members: ["host-0", "host-1", "host-2"], at: 700)
    #expect(plan.orphans.isEmpty)
  }

  @Test
  func `a key that was let go before a restart has the rest of its time, at most the present one`()
  {
    var plan = FleetPlan(name: "a", members: ["b", "c"], options: options)
    #expect(plan.insert(simulatedKey(1), stored: .kept(seconds: 100)) == [])
    #expect(plan.insert(simulatedKey(2), stored: .kept(seconds: .max)) == [])
    #expect(plan.kept == [simulatedKey(1): 100, simulatedKey(2): 3600])
    #expect(plan.advance(to: 99) == [])
    #expect(plan.advance(to: 100).count == 1)
  }

  @Test func `a step asks about a bounded number of keys`() {
    var plan = FleetPlan(name: "a", members: ["b", "c"], options: options)
    for number in 0..<1000 { _ = plan.insert(simulatedKey(number), stored: .served) }
    #expect((0..<5).map { _ in plan.advance(to: 0).count } == [256, 256, 256, 232, 0])
    #expect(plan.deadline == 30)
  }
}

@Suite struct FleetRestartTests {
  @Test func `a key that is served again because somebody lacked it is kept no longer for that`()
    throws
  {
    var options = FleetPlan.Options()
    options.keep = 3600
    var plan = FleetPlan(name: "a", members: ["b", "c"], options: options)
    let key = simulatedKey(1)
    #expect(plan.insert(key, stored: .kept(seconds: 0)) == [])
    guard case .ask(_, let hosts, let round)? = plan.advance(to: 10).first else {
      Issue.record("nobody is asked")
      return
    }
    #expect(
      plan.answer(.incomplete, of: key, by: hosts[0], round: round, at: 10) == [.hold(key)])
    func proofs(at time: UInt64) -> [FleetPlan.Action] {
      var next: [FleetPlan.Action] = []
      for action in plan.advance(to: time) {
        guard case .ask(_, let hosts, let round) = action else { continue }
        for host in hosts {
          next += plan.answer(.proved, of: key, by: host, round: round, at: time)
        }
      }
      return next
    }
    #expect(proofs(at: 50) == [.release(key)])
    #expect(proofs(at: 51) == [.free(key)])
  }

  @Test func `keys that had their last copies on hosts that are gone are known after a restart`() {
    let names = ["a", "b", "c", "d"]
    var plan = FleetPlan(name: "a", members: names)
    var key = simulatedKey(0)
    for number in 0... {
      key = simulatedKey(number)
      if Set(plan.owners(of: key)) == ["c", "d"] { break }
    }
    _ = plan.insert(key, stored: .nothing)
    _ = plan.answer(members: ["a", "b"], at: 0)
    _ = plan.answer(members: ["a", "b"], at: 600)
    _ = plan.advance(to: 600)
    #expect(Set(plan.orphans[key] ?? []) == ["c", "d"])
    var next = FleetPlan(name: "a", members: plan.membership.names)
    _ = next.insert(key, stored: .nothing)
    next.restore(gone: plan.membership.gone, orphans: plan.orphans)
    #expect(next.orphans == plan.orphans)
    _ = next.answer(members: ["a", "b", "d"], at: 0)
    #expect(next.orphans.isEmpty)
  }
}

@Suite struct FleetNeighboursTests {
  /// Returns the hosts that a change reaches, over as many hosts at most.
  private func reached(_ start: Int, _ names: [String], _ down: Set<String>, hops: Int) -> Int {
    var links: [String: Set<String>] = [:]
    for name in names where !down.contains(name) {
      for other in FleetNeighbours.names(of: name, among: names) where !down.contains(other) {
        links[name, default: []].insert(other)
        links[other, default: []].insert(name)
      }
    }
    var reached: Set<String> = [names[start]]
    for _ in 0..<hops { for name in reached { reached.formUnion(links[name] ?? []) } }
    return reached.count
  }

  @Test func `a small fleet is connected all to all`() {
    let names = (0..<16).map { "host-\($0)" }
    for name in names {
      #expect(FleetNeighbours.names(of: name, among: names) == Set(names).subtracting([name]))
    }
    #expect(FleetNeighbours.names(of: "a", among: [String]()) == [])
  }

  @Test
  func `in a large one each dials few, and a change reaches all, also around hosts that are down`()
  {
    let names = (0..<300).map { "host-\($0)" }
    #expect(names.allSatisfy { FleetNeighbours.names(of: $0, among: names).count == 9 })
    #expect(reached(0, names, [], hops: 9) == 300)
    #expect(reached(0, names, Set(names[100..<200]), hops: 9) == 200)
  }
}

@Suite struct FleetKeyLogTests {
  @Test(arguments: testSeeds(standard: 10))
  func `what is torn or changed is passed over, and the rest is read`(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let entries = (0..<20).map { number in
      FleetEntry(
        key: PublicKey(bytes: random.bytes(32)) ?? PublicKey(), kind: number % 3 == 0 ? nil : 2,
        stamp: UInt64(number))
    }
    var bytes = entries.flatMap { FleetKeyLog.record(of: $0) }
    #expect(FleetKeyLog.read(bytes).entries == entries && FleetKeyLog.read(bytes).unreadable == 0)
    #expect(FleetKeyLog.read([]).entries.isEmpty)
    bytes.removeLast(Int.random(in: 1..<48, using: &random))
    #expect(FleetKeyLog.read(bytes).entries == entries.dropLast())
    #expect(FleetKeyLog.read(bytes).unreadable == 1)
    let place = Int.random(in: 0..<48 * 19, using: &random)
    bytes[place] ^= UInt8.random(in: 1...255, using: &random)
    var left = entries.dropLast().map(\.self)
    left.remove(at: place / 48)
    #expect(FleetKeyLog.read(bytes).entries == left && FleetKeyLog.read(bytes).unreadable == 2)
  }
}
