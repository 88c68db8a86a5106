internal import HeapModule
package import HypercoreCrypto

/// The part of one host in its fleet: which keys it takes, serves, releases and frees.
///
/// A key goes through these stages on a host:
///
///     none ──► owned ──► leaving ──► kept ──► none
///                ▲          │          │
///                └──────────┴──────────┘  the key falls to the host again
///
/// An owned key falls to the host by its weight. A leaving key falls to others, which may not have all of it yet: the
/// host serves it until each of its owners has proved that it has all. A kept key is no longer served, but takes
/// space for some time. It is freed only when each owner, and no fewer than two hosts, have proved it again. If one of
/// them says that it lacks something, the host serves the key again.
///
/// A host proves only keys that are owned in its own view. So hosts with different views of the fleet can't all
/// release a key on each other's word: the last of them relies on one that owned the key after its own view ended.
///
/// Plain values: no clock, no chance, no I/O. Times are seconds of a clock that only goes forward.
package struct FleetPlan: Sendable {
  /// The rules of a fleet, the same on each of its hosts.
  package struct Options: Sendable {
    /// The number of hosts that hold each key.
    package var copies = 2
    /// The seconds for which a host may be missing before its keys are copied again.
    package var grace: UInt64 = 600
    /// The seconds for which a key is kept after it is no longer served; nil forever.
    package var keep: UInt64?
    /// The seconds between two questions about a key: doubled after each, up to ``patience``.
    package var interval: UInt64 = 30
    /// The most seconds between two questions about a key.
    package var patience: UInt64 = 600
    /// The most keys that are asked about in one step.
    package var most = 256

    /// Makes the rules of a fleet with two copies, which frees nothing.
    package init() {}
  }

  /// The state in which a host finds a key, when it starts.
  package enum Stored: Hashable, Sendable {
    /// Nothing of it is stored.
    case nothing
    /// It is stored, and was served.
    case served
    /// It was released; this many seconds of its time are left.
    case kept(seconds: UInt64)
  }

  /// A step that the host has to take.
  package enum Action: Hashable, Sendable {
    /// Fetch and serve the key.
    case hold(DiscoveryKey)
    /// Ask these hosts to prove that they have all of the key; the answers go to ``answer(_:of:by:round:at:)``.
    case ask(DiscoveryKey, hosts: [String], round: UInt64)
    /// Stop serving the key.
    case release(DiscoveryKey)
    /// Delete what is stored of the key.
    case free(DiscoveryKey)
  }

  /// A host's answer about a key.
  package enum Answer: Hashable, Sendable {
    /// It has all, and has proved random blocks.
    case proved
    /// It is an owner, and lacks something.
    case incomplete
    /// It is not an owner in its own view, or could not be asked.
    case unknown
  }

  enum Stage {
    case owned
    case leaving
    /// Until this time.
    case kept(until: UInt64)
  }

  /// One key that is stored here, or is to be.
  struct Held {
    var stage: Stage
    /// Counts changes of the owners. Answers to an older question do not count.
    var round: UInt64 = 0
    var owners: FleetRanking?
    var proved: Set<FleetID> = []
    /// The number of the entry of ``due`` that counts.
    var next: UInt64?
    var pause: UInt64 = 0
    /// The end of the time for which it was kept before it was served again: it is kept no longer for that.
    var end: UInt64?
  }

  /// A time at which a key has something to do.
  struct Due: Comparable {
    let time: UInt64
    let number: UInt64
    let key: DiscoveryKey

    static func < (one: Due, other: Due) -> Bool {
      (one.time, one.number) < (other.time, other.number)
    }

    static func == (one: Due, other: Due) -> Bool {
      one.time == other.time && one.number == other.number
    }
  }

  /// The name of the host.
  package let name: String
  /// The rules.
  package let options: Options
  /// The hosts of the fleet.
  package private(set) var membership: FleetMembership
  var roll: FleetRoll
  var share: FleetShare
  private let own: FleetID
  var held: [DiscoveryKey: Held] = [:]
  var due = Heap<Due>()
  private var dueCount: UInt64 = 0
  var now: UInt64 = 0
  /// Keys of which all former owners are gone, with the names of these.
  package private(set) var orphans: [DiscoveryKey: [String]] = [:]

  /// Makes the plan of a host.
  ///
  /// - Parameters:
  ///   - name: the name of the host. It owns nothing while it is not among the members.
  ///   - members: the members as they were last known.
  ///   - options: the rules of the fleet.
  package init(name: String, members: some Sequence<String>, options: Options = Options()) {
    self.name = name
    self.options = options
    membership = FleetMembership(names: members, grace: options.grace)
    roll = FleetRoll(membership.names.sorted())
    own = roll.number(of: name)
    share = FleetShare(own: own, copies: options.copies)
  }

  // MARK: Keys

  /// Adds a key of the fleet.
  package mutating func insert(_ key: DiscoveryKey, stored: Stored) -> [Action] {
    guard !share.contains(key) else { return [] }
    if share.insert(key, roll) {
      held[key] = Held(stage: .owned)
      return [.hold(key)]
    }
    switch stored {
    case .nothing: return []
    case .served:
      begin(key, .leaving)
      return [.hold(key)]
    case .kept(let seconds):
      begin(key, .kept(until: end(of: seconds)))
      return []
    }
  }

  /// Returns the end of a time for which a key is kept: never more than the rules have it.
  func end(of seconds: UInt64) -> UInt64 {
    guard let keep = options.keep else { return .max }
    return now.addingReportingOverflow(min(seconds, keep)).overflow
      ? .max : now + min(seconds, keep)
  }

  /// The number of keys of the fleet.
  package var count: Int { share.count }

  /// Returns whether the fleet has a key.
  package func contains(_ key: DiscoveryKey) -> Bool { share.contains(key) }

  /// Drops a key, which the fleet holds no longer.
  package mutating func remove(_ key: DiscoveryKey) {
    share.remove(key)
    held[key] = nil
    orphans[key] = nil
  }

  /// The stage of a key on this host.
  package enum KeyStage: Hashable, Sendable {
    /// It is not held here.
    case elsewhere
    /// It falls to this host.
    case owned
    /// It is served until its owners have it.
    case leaving
    /// It is no longer served, and stored for some more seconds.
    case kept(seconds: UInt64)
  }

  /// Returns the stage of a key.
  package func stage(of key: DiscoveryKey) -> KeyStage {
    switch held[key]?.stage {
    case nil: .elsewhere
    case .owned: .owned
    case .leaving: .leaving
    case .kept(let end): .kept(seconds: end > now ? end - now : 0)
    }
  }

  /// Returns whether this host may prove a key to others: if it owns it in its own view.
  package func mayProve(_ key: DiscoveryKey) -> Bool { share.isMine(key) }

  /// The keys that are stored here, or are to be.
  package var heldKeys: [DiscoveryKey] { Array(held.keys) }

  /// The keys that are kept, with the seconds that they have yet, as they are to be stored.
  package var kept: [DiscoveryKey: UInt64] {
    held.compactMapValues { held in
      guard case .kept(let end) = held.stage else { return nil }
      return end > now ? end - now : 0
    }
  }

  /// Returns the owners of a key, the first one first.
  package func owners(of key: DiscoveryKey) -> [String] {
    FleetRanking(of: key, copies: options.copies, in: roll).hosts.map { roll.name(of: $0.host) }
  }

  // MARK: Members

  /// Handles a complete answer of the directory: the names of all members. An empty one is ignored.
  package mutating func answer(members: Set<String>, at time: UInt64) -> [Action] {
    now = max(now, time)
    let came = membership.answer(members, at: now).map { roll.insert($0) }
    return change(came: came, left: [])
  }

  private mutating func change(came: [FleetID], left: [FleetID]) -> [Action] {
    guard !came.isEmpty || !left.isEmpty else { return [] }
    for host in left { roll.remove(host) }
    if !came.isEmpty {
      for (key, names) in orphans where came.contains(where: { names.contains(roll.name(of: $0)) })
      { orphans[key] = nil }
    }
    let (gained, lost) = share.update(came: came, left: Set(left), roll)
    var actions: [Action] = []
    for key in gained {
      let isServed: Bool
      if case .leaving = held[key]?.stage { isServed = true } else { isServed = false }
      // Of a key that was kept, a copy is here.
      if held[key] == nil { noteOrphan(key) }
      held[key] = Held(stage: .owned, round: (held[key]?.round ?? 0) + 1)
      if !isServed { actions.append(.hold(key)) }
    }
    for key in lost {
      orphans[key] = nil
      begin(key, .leaving)
    }
    for key in held.keys { reconsider(key, came, left) }
    return actions
  }

  /// Takes over which members were gone before a restart, and which keys had their last copies with them.
  package mutating func restore(gone: some Sequence<String>, orphans: [DiscoveryKey: [String]]) {
    membership.restore(gone: gone)
    for (key, names) in orphans where share.isMine(key) && self.orphans.count < Self.maximumOrphans
    {
      if names.allSatisfy({ membership.gone.contains($0) }) { self.orphans[key] = names }
    }
  }

  /// Begins a stage in which others are asked.
  mutating func begin(_ key: DiscoveryKey, _ stage: Stage) {
    var state = Held(stage: stage, round: (held[key]?.round ?? 0) + 1)
    state.owners = FleetRanking(of: key, copies: options.copies, in: roll)
    held[key] = state
    if case .kept(let end) = stage {
      if options.keep != nil { schedule(key, at: end) }
    } else {
      schedule(key, at: now)
    }
  }

  /// Brings the owners of a key up to date that is not owned here; if they have changed, they are asked anew.
  private mutating func reconsider(_ key: DiscoveryKey, _ came: [FleetID], _ left: [FleetID]) {
    guard var state = held[key], var owners = state.owners else { return }
    var isOther = false
    if left.contains(where: { owners.contains($0) }) {
      owners = FleetRanking(of: key, copies: options.copies, in: roll)
      isOther = true
    } else {
      for host in came where !owners.contains(host) {
        if owners.insert(host, key, options.copies, roll) { isOther = true }
      }
    }
    guard isOther else { return }
    state.owners = owners
    state.round += 1
    state.proved = []
    state.pause = 0
    held[key] = state
    // A kept key is asked about too: the new owners may have nobody else to fetch it from.
    schedule(key, at: now)
  }

  /// Notes a key whose former owners are all gone.
  private mutating func noteOrphan(_ key: DiscoveryKey) {
    guard !membership.gone.isEmpty, orphans.count < Self.maximumOrphans else { return }
    var former = FleetRanking(of: key, copies: options.copies + 1, in: roll)
    former.remove(own)
    for name in membership.gone.sorted() {
      guard let host = roll.knownNumber(of: name) else { continue }
      former.insert(host, key, options.copies, roll)
    }
    let names = former.hosts.map { roll.name(of: $0.host) }
    if names.allSatisfy({ membership.gone.contains($0) }) { orphans[key] = names }
  }

  /// The most keys that are named whose last copies are gone.
  static let maximumOrphans = 100_000

  mutating func schedule(_ key: DiscoveryKey, at time: UInt64) {
    dueCount += 1
    held[key]?.next = dueCount
    due.insert(Due(time: time, number: dueCount, key: key))
    // Entries that count no longer stay until their time, unless they are many.
    guard due.count > 1024, due.count > 4 * held.count else { return }
    due = Heap(due.unordered.filter { held[$0.key]?.next == $0.number })
  }

  // MARK: Time

  /// Advances the clock, in seconds.
  ///
  /// - Returns: the steps that are due.
  package mutating func advance(to time: UInt64) -> [Action] {
    now = max(now, time)
    let left = membership.advance(to: now).compactMap { roll.knownNumber(of: $0) }
    var actions = change(came: [], left: left)
    var count = 0
    while count < options.most, let first = due.min, first.time <= now {
      due.removeMin()
      guard let state = held[first.key], state.next == first.number, state.owners != nil else {
        continue
      }
      count += 1
      if let action = question(about: first.key, state) { actions.append(action) }
    }
    return actions
  }

  /// The time at which ``advance(to:)`` has something to do next.
  package var deadline: UInt64? {
    [membership.deadline, due.min?.time].compactMap(\.self).min()
  }

  private mutating func question(about key: DiscoveryKey, _ state: Held) -> Action? {
    var state = state
    // An old proof says little: while some owner can't be asked, the others prove it again.
    if state.pause >= options.patience { state.proved = [] }
    let wanted = (state.owners?.hosts ?? []).map(\.host).filter { !state.proved.contains($0) }
    state.pause = min(max(state.pause * 2, options.interval), options.patience)
    held[key] = state
    schedule(key, at: now + state.pause)
    guard !wanted.isEmpty else { return nil }
    return .ask(key, hosts: wanted.map { roll.name(of: $0) }, round: state.round)
  }
}
