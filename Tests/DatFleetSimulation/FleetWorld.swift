package import DatFleet
package import HypercoreCrypto

/// A few hosts with a ``FleetPlan`` each, their disks, a directory that each of them sees at another time, and
/// questions that take a while or are lost.
///
/// After each step it checks what must hold at every moment: no key is without a complete copy on some disk, no host
/// lets go of a key that fewer others have than are asked for, and none frees one that fewer than two others have.
package struct FleetWorld<Random: RandomNumberGenerator> {
  /// A simulated host.
  struct Host {
    let name: String
    var plan: FleetPlan
    var isUp = true
    /// The keys on its disk; true for those that are complete.
    var disk: [DiscoveryKey: Bool] = [:]
    /// The keys that it serves.
    var served: Set<DiscoveryKey> = []
    /// When it looks at the directory next.
    var nextLook: UInt64 = 0
  }

  private struct Mail {
    let time: UInt64
    let key: DiscoveryKey
    let from: Int
    let to: Int
    let round: UInt64
  }

  private let options: FleetPlan.Options
  private let keys: [DiscoveryKey]
  private(set) var hosts: [Host] = []
  /// The number of hosts that there ever were.
  package var hostCount: Int { hosts.count }
  private var directory: Set<String> = []
  private var mail: [Mail] = []
  /// The present, in seconds.
  package private(set) var now: UInt64 = 0
  private var random: Random
  /// What did not hold.
  package private(set) var faults: [String] = []
  /// Numbers of releases and of freed copies.
  package private(set) var counts = (released: 0, freed: 0, fetched: 0)

  /// Makes a world in which the first hosts own and have all keys.
  package init(hosts count: Int, keys: [DiscoveryKey], options: FleetPlan.Options, random: Random) {
    self.options = options
    self.keys = keys
    self.random = random
    directory = Set((0..<count).map { "host-\($0)" })
    for number in 0..<count { hosts.append(start("host-\(number)", disk: [:])) }
    for number in hosts.indices {
      for key in hosts[number].served { hosts[number].disk[key] = true }
    }
  }

  /// Starts a host with what is on its disk.
  private func start(_ name: String, disk: [DiscoveryKey: Bool], kept: [DiscoveryKey: UInt64] = [:])
    -> Host
  {
    var host = Host(
      name: name, plan: FleetPlan(name: name, members: directory, options: options), disk: disk)
    // Its clock counts from the start of the world, as if it had run all the time.
    _ = host.plan.advance(to: now)
    for key in keys {
      let stored: FleetPlan.Stored =
        disk[key] == nil ? .nothing : kept[key].map { .kept(seconds: $0) } ?? .served
      for action in host.plan.insert(key, stored: stored) {
        guard case .hold = action else { continue }
        host.served.insert(key)
        if host.disk[key] == nil { host.disk[key] = false }
      }
    }
    return host
  }

  // MARK: What happens

  /// Lets a second pass: hosts look at the directory, fetch, ask and answer.
  package mutating func step() {
    now += 1
    for number in hosts.indices where hosts[number].isUp {
      if now >= hosts[number].nextLook {
        hosts[number].nextLook = now + UInt64.random(in: 1...60, using: &random)
        perform(hosts[number].plan.answer(members: directory, at: now), of: number)
      }
      perform(hosts[number].plan.advance(to: now), of: number)
      fetch(number)
    }
    deliver()
    check()
  }

  /// A host goes down, with its disk; or comes up again.
  package mutating func toggle(_ number: Int) {
    guard hosts.indices.contains(number) else { return }
    if hosts[number].isUp {
      hosts[number].isUp = false
      directory.remove(hosts[number].name)
    } else {
      directory.insert(hosts[number].name)
      hosts[number] = start(
        hosts[number].name, disk: hosts[number].disk, kept: hosts[number].plan.kept)
    }
  }

  /// A host is taken off the directory, or put on it, while it runs.
  package mutating func toggleEntry(_ number: Int) {
    guard hosts.indices.contains(number), hosts[number].isUp else { return }
    if directory.count > 2, directory.contains(hosts[number].name) {
      directory.remove(hosts[number].name)
    } else {
      directory.insert(hosts[number].name)
    }
  }

  /// A new host comes, with an empty disk.
  package mutating func join() {
    let name = "host-\(hosts.count)"
    directory.insert(name)
    hosts.append(start(name, disk: [:]))
  }

  /// All that are down come up, and all are in the directory.
  package mutating func settle() {
    for number in hosts.indices {
      if !hosts[number].isUp { toggle(number) }
      directory.insert(hosts[number].name)
    }
  }

  private mutating func perform(_ actions: [FleetPlan.Action], of number: Int) {
    for action in actions {
      switch action {
      case .hold(let key):
        hosts[number].served.insert(key)
        if hosts[number].disk[key] == nil { hosts[number].disk[key] = false }
      case .ask(let key, let names, let round):
        for name in names {
          // Some questions are lost.
          guard UInt8.random(in: 0..<10, using: &random) > 0,
            let other = hosts.firstIndex(where: { $0.name == name })
          else { continue }
          mail.append(
            Mail(
              time: now + UInt64.random(in: 0...20, using: &random), key: key, from: number,
              to: other, round: round))
        }
      case .release(let key):
        hosts[number].served.remove(key)
        counts.released += 1
        expectOthers(number, key, options.copies, "let go of")
      case .free(let key):
        hosts[number].disk[key] = nil
        counts.freed += 1
        expectOthers(number, key, 2, "freed")
      }
    }
  }

  private mutating func expectOthers(
    _ number: Int, _ key: DiscoveryKey, _ least: Int, _ verb: String
  ) {
    let others = hosts.indices.filter { $0 != number && hosts[$0].disk[key] == true }
    guard others.count < min(least, directory.count) else { return }
    faults.append(
      "\(hosts[number].name) \(verb) \(key.hex.prefix(8)) at \(now), which only \(others) have")
  }

  private mutating func fetch(_ number: Int) {
    for key in hosts[number].served.sorted(by: { $0.hex < $1.hex })
    where hosts[number].disk[key] == false {
      guard UInt8.random(in: 0..<10, using: &random) == 0 else { continue }
      let hasSource = hosts.contains {
        $0.isUp && $0.disk[key] == true && $0.served.contains(key)
      }
      if hasSource {
        hosts[number].disk[key] = true
        counts.fetched += 1
      }
    }
  }

  private mutating func deliver() {
    let arrived = mail.filter { $0.time <= now }
    mail.removeAll { $0.time <= now }
    for letter in arrived where hosts[letter.from].isUp && hosts[letter.to].isUp {
      let isOwner = hosts[letter.to].plan.mayProve(letter.key)
      let isComplete = hosts[letter.to].disk[letter.key] == true
      perform(
        hosts[letter.from].plan.answer(
          !isOwner ? .unknown : isComplete ? .proved : .incomplete, of: letter.key,
          by: hosts[letter.to].name, round: letter.round, at: now), of: letter.from)
    }
  }

  // MARK: What must hold

  private mutating func check() {
    for key in keys where !hosts.contains(where: { $0.disk[key] == true }) {
      faults.append("\(key.hex.prefix(8)) is complete nowhere at \(now)")
    }
  }

  /// Returns what is not as it is to be after a long quiet time: each key complete, and served, on its owners alone.
  package func troublesAtRest() -> [String] {
    var troubles: [String] = []
    for key in keys {
      let owners = Set(hosts[0].plan.owners(of: key))
      let serving = Set(
        hosts.filter { $0.served.contains(key) && $0.disk[key] == true }.map(\.name))
      let stored = Set(hosts.filter { $0.disk[key] != nil }.map(\.name))
      if serving != owners { troubles.append("\(owners) own \(key.hex), \(serving) serve it") }
      if options.keep != nil, stored != owners { troubles.append("\(stored) store \(key.hex)") }
    }
    return troubles
  }
}
