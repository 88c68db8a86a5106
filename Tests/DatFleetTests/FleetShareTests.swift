import DatFleet
import DatFleetSimulation
import DatTesting
import HypercoreCrypto
import Testing

@Suite struct FleetShareTests {
  /// The keys that fall to a host, from the weights of all.
  private func expected(_ own: FleetID, _ keys: [DiscoveryKey], _ copies: Int, _ roll: FleetRoll)
    -> Set<DiscoveryKey>
  {
    Set(keys.filter { FleetRanking(of: $0, copies: copies, in: roll).contains(own) })
  }

  @Test(arguments: testSeeds(standard: 12))
  func `as hosts come and go, the share is that of a full ranking, and the changes are all`(
    seed: UInt64
  ) {
    var random = SeededRandom(seed: seed)
    let copies = Int.random(in: 1...3, using: &random)
    let names = (0..<12).map { "host-\($0)" }
    var roll = FleetRoll(names.prefix(Int.random(in: 1...8, using: &random)))
    let own = roll.number(of: "host-0")
    var share = FleetShare(own: own, copies: copies)
    var keys: [DiscoveryKey] = []
    var mine: Set<DiscoveryKey> = []
    for number in 0..<60 {
      let key = simulatedKey(number)
      keys.append(key)
      if share.insert(key, roll) { mine.insert(key) }
    }
    for step in 0..<40 {
      let chosen = names.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random))
      var (came, left) = ([FleetID](), Set<FleetID>())
      for name in chosen {
        let number = roll.number(of: name)
        if roll.contains(number) {
          roll.remove(number)
          left.insert(number)
        } else {
          came.append(roll.insert(name))
        }
      }
      let (gained, lost) = share.update(came: came, left: left, roll)
      #expect(mine.isDisjoint(with: gained) && mine.isSuperset(of: lost), "seed \(seed)")
      mine = mine.union(gained).subtracting(lost)
      if step % 7 == 0, let key = keys.randomElement(using: &random) {
        share.remove(key)
        mine.remove(key)
        keys.removeAll { $0 == key }
      }
      #expect(mine == expected(own, keys, copies, roll), "seed \(seed), step \(step)")
      #expect(keys.allSatisfy { share.isMine($0) == mine.contains($0) }, "seed \(seed)")
    }
  }

  @Test func `a search costs a few hashes, not one for each host`() {
    let roll = FleetRoll((0..<500).map { "host-\($0)" })
    var share = FleetShare(own: 0, copies: 2)
    for number in 0..<1000 { _ = share.insert(simulatedKey(number), roll) }
    // About 2 · (1 + ln 250) for each key; a full ranking would take 500.
    #expect(share.hashes < 25 * 1000)
  }

  @Test
  func `a host that comes costs a hash for each own key, and one that goes those that name it`() {
    var roll = FleetRoll((0..<200).map { "host-\($0)" })
    var share = FleetShare(own: 0, copies: 2)
    for number in 0..<2000 { _ = share.insert(simulatedKey(number), roll) }
    var before = share.hashes
    _ = share.update(came: [roll.insert("new")], left: [], roll)
    #expect(share.hashes - before < 2 * 100)
    before = share.hashes
    roll.remove(7)
    _ = share.update(came: [], left: [7], roll)
    #expect(share.hashes - before < 2000)
  }
}

@Suite struct FleetMembershipTests {
  @Test func `a host that the directory names no longer is a member for the grace time`() {
    var members = FleetMembership(names: ["a", "b", "c"], grace: 600)
    #expect(members.answer(["a", "b"], at: 100) == [])
    #expect(members.names == ["a", "b", "c"] && members.missing == ["c"])
    #expect(members.answer(["a", "b"], at: 699) == [] && members.advance(to: 699) == [])
    #expect(members.answer(["a", "b"], at: 700) == [] && members.deadline == 700)
    #expect(members.advance(to: 700) == ["c"])
    #expect(members.names == ["a", "b"] && members.gone == ["c"])
  }

  @Test func `one that is back within the grace never left`() {
    var members = FleetMembership(names: ["a", "b"], grace: 600)
    #expect(members.answer(["a"], at: 0) == [])
    #expect(members.answer(["a", "b"], at: 599) == [])
    #expect(members.advance(to: 10_000) == [])
    // The grace is counted anew.
    #expect(members.answer(["a"], at: 10_000) == [])
    #expect(members.answer(["a"], at: 10_599) == [] && members.advance(to: 10_599) == [])
    #expect(members.answer(["a"], at: 10_600) == [] && members.advance(to: 10_600) == ["b"])
    #expect(members.answer(["a", "b"], at: 10_700) == ["b"] && members.gone.isEmpty)
  }

  @Test func `an answer that names nobody removes nobody`() {
    var members = FleetMembership(names: ["a", "b"], grace: 1)
    #expect(members.answer([], at: 0) == [])
    #expect(members.missing.isEmpty && members.advance(to: 1000) == [])
  }

  @Test func `a clock that jumps back makes nobody leave earlier`() {
    var members = FleetMembership(names: ["a", "b"], grace: 600)
    _ = members.answer(["a"], at: 10_000)
    #expect(members.answer(["a"], at: 5) == [] && members.advance(to: 10_599) == [])
    #expect(members.answer(["a"], at: 10_600) == [] && members.advance(to: 10_600) == ["b"])
  }

  @Test
  func `a directory that is silent while the grace ends removes nobody, until it answers again`() {
    var members = FleetMembership(names: ["a", "b"], grace: 600)
    _ = members.answer(["a"], at: 0)
    #expect(members.advance(to: 100_000) == [] && members.deadline == nil)
    var other = members
    _ = members.answer(["a"], at: 100_001)
    #expect(members.advance(to: 100_001) == ["b"])
    _ = other.answer(["a", "b"], at: 100_001)
    #expect(other.advance(to: 200_000) == [] && other.missing.isEmpty)
  }
}
