/// An agent that finds a path to the other side: it pairs local sockets with the addresses that the other
/// side names or checks from, checks the pairs one after the other, agrees on one, and verifies that the
/// other side still consents to receive.
///
/// Source: RFC 8445 (full agent, regular nomination), RFC 8838 (trickle), RFC 7675 (consent). Synchronous,
/// without I/O, a clock or randomness of its own: the owner reports what came and when, carries out
/// what ``nextAction()`` returns, and calls ``fire(now:)`` at ``deadline``.
///
/// ```
///  remote candidate ┐                    ┌ check → answered → valid ┐
///  local candidate  ├ pairs, by priority ┤                          ├ nominated → select → consent
///  request          ┘                    └ (again later, failed)    ┘
/// ```
package struct ICEAgent {
  /// Milliseconds of a clock that never goes back.
  package typealias Instant = UInt64

  /// A local socket and an address of the other side.
  package struct Path: Hashable, Sendable {
    package var leg: UInt8
    package var remote: TransportAddress

    package init(leg: UInt8, remote: TransportAddress) {
      self.leg = leg
      self.remote = remote
    }
  }

  /// A check that the other side makes.
  package struct Request: Hashable, Sendable {
    package var path: Path
    package var priority: UInt32
    package var nominates: Bool
    /// The role that it claims, with the number that breaks a tie if both claim one; nil without a claim.
    package var claim: (isControlling: Bool, tieBreaker: UInt64)?

    package init(path: Path, priority: UInt32, nominates: Bool) {
      self.path = path
      self.priority = priority
      self.nominates = nominates
    }

    package static func == (left: Self, right: Self) -> Bool {
      left.path == right.path && left.priority == right.priority
        && left.nominates == right.nominates
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(path) }
  }

  package enum Verdict: Hashable { case accept, roleConflict, ignore }

  package enum Outcome: Hashable {
    case answered
    case refused(Int)
    case timedOut
    /// Answered from another address than the one asked.
    case asymmetric
  }

  package enum Action: Hashable {
    case check(UInt32, Path, isControlling: Bool, nominates: Bool)
    /// All that is sent goes this way from now on.
    case select(Path)
    case fail(Failure)
  }

  package enum Failure: Hashable {
    /// No pair of addresses worked within ``patience``.
    case noPath
    /// The other side has not answered for ``patience``.
    case noConsent
  }

  /// The most pairs; each costs a check of up to five packets of 100 bytes.
  package static let pairLimit = 64
  /// The most addresses of the other side.
  static let remoteLimit = 32
  /// The time between two checks. RFC 8445, section 14.2, allows 5 ms and more.
  static let pace: Instant = 20
  /// The time for which a path is sought, and silence is borne: RFC 7675, section 5.1.
  static let patience: Instant = 30_000
  /// The time for which a better pair is waited for after the first that works, direct or relayed.
  static let wait: (direct: Instant, relayed: Instant) = (50, 300)
  /// The checks of consent are due at multiples of this time.
  private static let consentStep: Instant = 250
  /// The time before a pair that didn't answer is checked again.
  static let pause: Instant = 300

  private enum State: Hashable {
    case waiting(since: Instant)
    case checking(UInt32)
    case valid
  }

  private struct Leg {
    var isIPv6: Bool
    var isRelay: Bool
  }

  private struct Pair {
    var path: Path
    var remotePriority: UInt32
    var state: State
    /// True if the other side has nominated this pair.
    var isWanted = false
    /// The number of this side's nominating check, in flight or answered.
    var nomination: UInt32?

    var waitingSince: Instant? {
      if case .waiting(let since) = state { since } else { nil }
    }
  }

  private(set) var isControlling: Bool
  private let tieBreaker: UInt64
  private var random: any RandomNumberGenerator & Sendable
  private var legs: [UInt8: Leg] = [:]
  private var remotes: [(address: TransportAddress, priority: UInt32)] = []
  private var pairs: [Pair] = []
  private var actions: [Action] = []
  private var lastNumber: UInt32 = 0
  private var startedAt: Instant?
  private var nextCheckAt: Instant = 0
  private var firstValidAt: Instant?
  private var consentAt: Instant = 0
  private var nextConsentAt: Instant = 0
  /// The pair in use.
  private var selected: Int?
  private var hasFailed = false

  /// The number that decides if both sides claim one role.
  var claim: UInt64 { tieBreaker }

  /// The path in use.
  package var path: Path? { selected.map { pairs[$0].path } }

  /// True if the path that is used goes through a relay.
  var isRelayed: Bool { path.flatMap { legs[$0.leg]?.isRelay } ?? false }

  package init(
    isControlling: Bool,
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.isControlling = isControlling
    var random = random
    tieBreaker = random.next()
    self.random = random
  }

  // MARK: Sockets and addresses

  /// Adds a local socket.
  package mutating func addLeg(_ number: UInt8, isIPv6: Bool, isRelay: Bool, now: Instant) {
    guard legs[number] == nil else { return }
    legs[number] = Leg(isIPv6: isIPv6, isRelay: isRelay)
    for remote in remotes { pair(number, with: remote.address, remote.priority, now) }
  }

  /// Adds a possible address of the other side.
  package mutating func addRemote(_ address: TransportAddress, priority: UInt32, now: Instant) {
    guard remotes.count < Self.remoteLimit, !remotes.contains(where: { $0.address == address })
    else {
      return
    }
    remotes.append((address, priority))
    for leg in legs.keys.sorted() { pair(leg, with: address, priority, now) }
  }

  /// Starts the checks, since the name and password of the other side are known.
  package mutating func start(now: Instant) {
    guard startedAt == nil else { return }
    startedAt = now
    nextCheckAt = now
  }

  @discardableResult
  private mutating func pair(
    _ leg: UInt8, with address: TransportAddress, _ priority: UInt32, _ now: Instant
  ) -> Int? {
    let path = Path(leg: leg, remote: address)
    if let known = pairs.firstIndex(where: { $0.path == path }) { return known }
    guard let own = legs[leg], own.isIPv6 == address.isIPv6, pairs.count < Self.pairLimit else {
      return nil
    }
    pairs.append(Pair(path: path, remotePriority: priority, state: .waiting(since: now)))
    return pairs.count - 1
  }

  /// Returns the priority of a pair. RFC 8445, section 6.1.2.3.
  private func priority(_ pair: Pair) -> UInt64 {
    let own = ICECandidate.priority(legs[pair.path.leg]?.isRelay == true ? .relay : .host)
    let (one, other) = isControlling ? (own, pair.remotePriority) : (pair.remotePriority, own)
    return UInt64(min(one, other)) << 32 + 2 * UInt64(max(one, other)) + (one > other ? 1 : 0)
  }

  // MARK: Time

  /// The time at which ``fire(now:)`` has something to do.
  package var deadline: Instant? {
    guard let startedAt, !hasFailed else { return nil }
    if selected != nil { return min(nextConsentAt, consentAt + Self.patience) }
    var due = startedAt + Self.patience
    if let next = pairs.compactMap({ $0.waitingSince }).min() {
      due = min(due, max(next, nextCheckAt))
    }
    if isControlling, let instant = nominationDue { due = min(due, instant) }
    return due
  }

  /// Does what is due.
  package mutating func fire(now: Instant) {
    guard let startedAt, !hasFailed else { return }
    if let selected { return keepConsent(selected, now) }
    if now >= startedAt + Self.patience { return fail(.noPath) }
    if isControlling, let due = nominationDue, now >= due, let best = bestValid {
      check(best, nominates: true, now)
      return
    }
    guard now >= nextCheckAt else { return }
    let due = pairs.indices.filter { pairs[$0].waitingSince.map { $0 <= now } ?? false }
    if let next = due.max(by: { priority(pairs[$0]) < priority(pairs[$1]) }) {
      check(next, nominates: false, now)
    }
  }

  private var bestValid: Int? {
    pairs.indices.filter { pairs[$0].state == .valid && pairs[$0].nomination == nil }
      .max { priority(pairs[$0]) < priority(pairs[$1]) }
  }

  private var nominationDue: Instant? {
    guard let firstValidAt, let best = bestValid, !pairs.contains(where: { $0.nomination != nil })
    else { return nil }
    let isRelay = legs[pairs[best].path.leg]?.isRelay ?? false
    return firstValidAt + (isRelay ? Self.wait.relayed : Self.wait.direct)
  }

  private mutating func keepConsent(_ selected: Int, _ now: Instant) {
    if now >= consentAt + Self.patience { return fail(.noConsent) }
    guard now >= nextConsentAt else { return }
    nextConsentAt = consentDue(after: now)
    check(selected, nominates: isControlling, now)
  }

  /// Returns a time four to six seconds later: RFC 7675, section 5.1.
  ///
  /// It is a multiple of ``consentStep``, so that a process with many connections wakes for several at once.
  private mutating func consentDue(after now: Instant) -> Instant {
    func draw(_ random: inout some RandomNumberGenerator) -> Instant {
      .random(in: 4000 + Self.consentStep..<6000, using: &random)
    }
    let due = now + draw(&random)
    return due - due % Self.consentStep
  }

  private mutating func fail(_ why: Failure) {
    hasFailed = true
    actions.append(.fail(why))
  }

  // MARK: Checks

  private mutating func check(_ index: Int, nominates: Bool, _ now: Instant) {
    lastNumber &+= 1
    if pairs[index].state != .valid { pairs[index].state = .checking(lastNumber) }
    if nominates { pairs[index].nomination = lastNumber }
    outstanding[lastNumber] = (pairs[index].path, isControlling)
    nextCheckAt = now + Self.pace
    actions.append(
      .check(lastNumber, pairs[index].path, isControlling: isControlling, nominates: nominates))
  }

  private var outstanding: [UInt32: (path: Path, wasControlling: Bool)] = [:]

  /// Handles the answer to a check, or its absence.
  package mutating func answered(_ number: UInt32, _ outcome: Outcome, now: Instant) {
    guard let (path, wasControlling) = outstanding.removeValue(forKey: number), !hasFailed,
      let index = pairs.firstIndex(where: { $0.path == path })
    else { return }
    let isNomination = pairs[index].nomination == number
    guard case .answered = outcome else {
      if case .refused(487) = outcome, wasControlling == isControlling { isControlling.toggle() }
      if isNomination { pairs[index].nomination = nil }
      if pairs[index].state == .checking(number) {
        let isConflict = outcome == .refused(487)
        pairs[index].state = .waiting(since: now + (isConflict ? 0 : Self.pause))
      } else if isNomination, selected == nil {
        pairs[index].state = .waiting(since: now)
      }
      return
    }
    pairs[index].state = .valid
    if firstValidAt == nil { firstValidAt = now }
    if selected == index { consentAt = now }
    if isControlling ? isNomination : pairs[index].isWanted { select(index, now) }
  }

  /// Handles a check that the other side makes.
  package mutating func received(_ request: Request, now: Instant) -> Verdict {
    guard !hasFailed else { return .ignore }
    if let claim = request.claim, claim.isControlling == isControlling {
      if isControlling == (tieBreaker >= claim.tieBreaker) { return .roleConflict }
      isControlling.toggle()
    }
    guard
      let index = pair(request.path.leg, with: request.path.remote, request.priority, now)
    else { return .ignore }
    if request.nominates { pairs[index].isWanted = true }
    if pairs[index].state == .valid {
      if !isControlling, pairs[index].isWanted { select(index, now) }
    } else if startedAt != nil, case .waiting = pairs[index].state {
      // A triggered check: the other side's packets do reach this one on that path. RFC 8445, 7.3.1.4.
      check(index, nominates: false, now)
    }
    return .accept
  }

  private mutating func select(_ index: Int, _ now: Instant) {
    guard selected != index else { return }
    if isControlling, let selected, priority(pairs[selected]) >= priority(pairs[index]) { return }
    selected = index
    consentAt = now
    nextConsentAt = consentDue(after: now)
    actions.append(.select(pairs[index].path))
  }

  /// Returns the next thing to do, in order; nil: nothing.
  package mutating func nextAction() -> Action? { actions.isEmpty ? nil : actions.removeFirst() }
}
