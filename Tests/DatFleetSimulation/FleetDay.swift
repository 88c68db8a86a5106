package import DatFleet
internal import Foundation
package import HypercoreCrypto

/// Returns the key of a number in simulated fleets.
package func simulatedKey(_ number: Int) -> DiscoveryKey {
  var key = PublicKey()
  key.withUnsafeMutableBytes { $0.storeBytes(of: UInt64(number), as: UInt64.self) }
  return key.discoveryKey
}

/// A day in the life of a large fleet: hosts go down and come back, new ones come, and disks are lost, one at a
/// time.
///
/// All hosts see the same directory at once, so that one ranking of each key serves them all; see ``FleetWorld`` for
/// hosts that see it at different times. The rules are those of `FleetPlan`: an owner fetches what it lacks from any
/// host that serves it, others let go when all owners have it, and free it later, under the same condition.
package struct FleetDay<Random: RandomNumberGenerator> {
  /// The size and the weather.
  package struct Settings: Sendable {
    /// The number of hosts at the start.
    package var hosts = 1000
    /// The number of keys.
    package var keys = 1_000_000
    /// The number of hosts that hold each key.
    package var copies = 2
    /// The length of the simulation in seconds.
    package var seconds: UInt64 = 24 * 3600
    /// The seconds of a step.
    package var step: UInt64 = 10
    /// The seconds after which the keys of a missing host are copied again.
    package var grace: UInt64 = 600
    /// The seconds for which a key is kept that is served no longer.
    package var keep: UInt64 = 6 * 3600
    /// The keys that a host fetches in a second.
    package var rate = 1.0
    /// The mean seconds between two times that a host goes down.
    package var meanUp = 16.0 * 3600
    /// The mean seconds that it is down.
    package var meanDown = 1800.0
    /// The seconds between two new hosts.
    package var joinEvery: UInt64 = 3600
    /// The seconds between two losses of a disk, with everything on it.
    package var loseEvery: UInt64 = 3600

    /// Makes the settings of 1,000 hosts and 1,000,000 keys.
    package init() {}
  }

  /// A host's copy of a key.
  struct Copy {
    enum State: UInt8 {
      case fetching, complete, kept
    }

    let host: FleetID
    var state: State
    /// For a kept copy, the end of its time.
    var until: UInt64 = 0
  }

  struct Host {
    var isUp = true
    var isLost = false
    /// The time at which it goes down or comes up.
    var turn: UInt64 = 0
    var queue: [Int32] = []
    var head = 0
    var credit = 0.0
    /// The keys that it has a copy of, and some that it had.
    var keys: [Int32] = []
  }

  package let settings: Settings
  var random: Random
  let keys: [DiscoveryKey]
  var roll = FleetRoll()
  var membership: FleetMembership
  var directory: Set<String> = []
  var rankings: [FleetRanking] = []
  var copies: [[Copy]]
  var hosts: [Host] = []
  var now: UInt64 = 0
  /// By key, the number of complete copies on disks that exist.
  var complete: [UInt8]
  /// By key, the number of complete copies that are served by hosts that are up.
  var served: [UInt8]
  var lostAt: [Int32: UInt64] = [:]
  var waiting: [Int32: [Int32]] = [:]
  var keptUntil: [(until: UInt64, key: Int32)] = []
  var keptHead = 0
  /// The keys of hosts that have just come up.
  private var revived: [Int32] = []
  /// The figures so far.
  package var figures = FleetFigures()

  /// One more than the copies is ranked, and one for luck: a host that goes seldom means a new search.
  private var depth: Int { settings.copies + 2 }

  /// Makes a fleet in which all keys are complete on their owners.
  ///
  /// - Parameters:
  ///   - settings: the size and the weather.
  ///   - random: the source of chance.
  ///   - rank: ranks all keys, for the caller to do so on several threads.
  package init(
    settings: Settings, random: Random,
    rank: ([DiscoveryKey], (DiscoveryKey) -> FleetRanking) -> [FleetRanking] = { $0.map($1) }
  ) {
    self.settings = settings
    self.random = random
    keys = (0..<settings.keys).map { simulatedKey($0) }
    directory = Set((0..<settings.hosts).map { "host-\($0)" })
    membership = FleetMembership(names: directory, grace: settings.grace)
    copies = Array(repeating: [], count: settings.keys)
    complete = Array(repeating: 0, count: settings.keys)
    served = Array(repeating: 0, count: settings.keys)
    for number in 0..<settings.hosts {
      roll.insert("host-\(number)")
      hosts.append(Host(turn: later(settings.meanUp)))
    }
    let (roll, depth) = (roll, depth)
    rankings = rank(keys) { FleetRanking(of: $0, copies: depth, in: roll) }
    for key in keys.indices {
      for host in owners(of: key) {
        copies[key].append(Copy(host: host, state: .complete))
        hosts[Int(host)].keys.append(Int32(key))
      }
      complete[key] = UInt8(copies[key].count)
      served[key] = complete[key]
    }
    figures.load = load()
  }

  private mutating func later(_ mean: Double) -> UInt64 {
    now + UInt64(-mean * log(Double.random(in: 0.000_001..<1, using: &random))) + 1
  }

  func owners(of key: Int) -> [FleetID] {
    rankings[key].hosts.prefix(settings.copies).map(\.host)
  }

  /// Returns the number of keys that each member owns: the least, the mean and the most.
  func load() -> (least: Int, mean: Int, most: Int) {
    var counts = [Int](repeating: 0, count: hosts.count)
    for key in keys.indices { for host in owners(of: key) { counts[Int(host)] += 1 } }
    let present = roll.present.map { counts[Int($0)] }
    let sum = present.reduce(0, +)
    return (present.min() ?? 0, sum / max(present.count, 1), present.max() ?? 0)
  }

  // MARK: Time

  /// Runs the whole day.
  package mutating func run(report: (UInt64) -> Void = { _ in }) {
    let (joins, losses) = (settings.joinEvery, settings.loseEvery)
    while now < settings.seconds {
      now += settings.step
      for number in hosts.indices where !hosts[number].isLost && hosts[number].turn <= now {
        toggle(number)
      }
      if now % joins < settings.step { join() }
      // The last two hours are for what is under way.
      if now % losses < settings.step, now >= losses, now + 7200 < settings.seconds { loseDisk() }
      look()
      for key in revived { settle(Int(key)) }
      revived = []
      fetch()
      free()
      figures.unservedKeySeconds += UInt64(figures.unserved) * settings.step
      figures.mostUnserved = max(figures.mostUnserved, figures.unserved)
      if now % 3600 < settings.step { report(now) }
    }
    figures.loadAtEnd = load()
    figures.underCopiesAtEnd = complete.count { $0 < settings.copies }
  }

  private mutating func toggle(_ number: Int) {
    let isUp = !hosts[number].isUp
    hosts[number].isUp = isUp
    hosts[number].turn = later(isUp ? settings.meanUp : settings.meanDown)
    figures.turns += 1
    let name = roll.name(of: FleetID(number))
    if isUp { directory.insert(name) } else { directory.remove(name) }
    for key in keysOf(number) {
      guard let copy = copies[Int(key)].first(where: { $0.host == number }) else { continue }
      if copy.state == .complete { changeServed(key, by: isUp ? 1 : -1) }
    }
    // What it does with them is up to the members as it sees them then.
    if isUp { revived += hosts[number].keys }
    if isUp { hosts[number].credit = 0 }
  }

  /// The keys that a host has a copy of.
  private mutating func keysOf(_ number: Int) -> [Int32] {
    let present = Set(hosts[number].keys).filter { key in
      copies[Int(key)].contains { $0.host == number }
    }.sorted()
    hosts[number].keys = present
    return present
  }

  private mutating func join() {
    let name = "host-\(hosts.count)"
    hosts.append(Host(turn: later(settings.meanUp)))
    directory.insert(name)
    figures.joins += 1
  }

  /// A host is lost for good, with its disk.
  private mutating func loseDisk() {
    let candidates = hosts.indices.filter { hosts[$0].isUp && !hosts[$0].isLost }
    guard let number = candidates.randomElement(using: &random) else { return }
    figures.losses += 1
    for key in keysOf(number) {
      guard let place = copies[Int(key)].firstIndex(where: { $0.host == number }) else { continue }
      let copy = copies[Int(key)].remove(at: place)
      if copy.state == .complete { changeServed(key, by: -1) }
      if copy.state != .fetching { changeComplete(key, by: -1) }
      if complete[Int(key)] < settings.copies { lostAt[key] = now }
    }
    hosts[number] = Host(isUp: false, isLost: true)
    directory.remove(roll.name(of: FleetID(number)))
  }

  // MARK: Counts

  mutating func changeServed(_ key: Int32, by change: Int8) {
    let before = served[Int(key)]
    served[Int(key)] = UInt8(clamping: Int(before) + Int(change))
    if before == 0, change > 0 { figures.unserved -= 1 }
    if served[Int(key)] == 0, before > 0 { figures.unserved += 1 }
  }

  mutating func changeComplete(_ key: Int32, by change: Int8) {
    complete[Int(key)] = UInt8(clamping: Int(complete[Int(key)]) + Int(change))
    let count = Int(complete[Int(key)])
    figures.leastCopies = min(figures.leastCopies, count)
    if count == 0 { figures.lostKeys += 1 }
    if count >= settings.copies, let since = lostAt.removeValue(forKey: key) {
      figures.restored.append(UInt32(clamping: now - since))
    }
  }
}
