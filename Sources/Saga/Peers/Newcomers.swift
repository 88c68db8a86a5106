internal import HypercoreCrypto

/// A user that connected, may not write yet, and is to be let in.
struct Newcomer {
  let data: UserData
  /// Whose turn it takes.
  var share: AddressShare
  /// True if the room's policy has accepted it.
  var isAccepted: Bool
  /// Not before this: peers that meet a newcomer at once would all authorize it.
  var notBefore: ContinuousClock.Instant
  var waitWasTold = false
  /// True if the room is full; nothing more is tried then.
  var isShutOut = false

  var isDue: Bool { isAccepted && !isShutOut }

  init(data: UserData, isAccepted: Bool, notBefore: ContinuousClock.Instant) {
    self.data = data
    self.isAccepted = isAccepted
    self.notBefore = notBefore
    share = AddressShare(data.address)
  }
}

/// The newcomers that wait to be let in, and the order in which they are.
///
/// Anybody can come with ever new keys, and only so many are let in a minute. So the turn goes by address:
/// the next is of the address of which the fewest were let in recently, and of those the first that is due.
/// An address that sends a crowd waits behind everybody else.
struct Newcomers {
  typealias Instant = ContinuousClock.Instant

  /// The time for which the address of somebody that was let in counts.
  private static let memory = Duration.seconds(600)

  private var waiting: [PublicKey: Newcomer] = [:]
  /// Those that were let in lately, the oldest first.
  private var recent: [(share: AddressShare, instant: Instant)] = []

  var count: Int { waiting.count }
  var isEmpty: Bool { waiting.isEmpty }
  var hasDue: Bool { waiting.values.contains(where: \.isDue) }

  subscript(key: PublicKey) -> Newcomer? {
    get { waiting[key] }
    set { waiting[key] = newValue }
  }

  /// Whose turn it is.
  mutating func next(now: Instant) -> Newcomer? {
    let counts = lately(now)
    return waiting.values.filter(\.isDue).map { ($0, counts[$0.share] ?? 0) }
      .min { ($0.1, $0.0.notBefore) < ($1.1, $1.0.notBefore) }?.0
  }

  /// The number of newcomers of each address that were let in lately.
  private mutating func lately(_ now: Instant) -> [AddressShare: Int] {
    recent.removeAll { $0.instant + Self.memory <= now }
    return recent.reduce(into: [:]) { $0[$1.share, default: 0] += 1 }
  }

  /// Notes that one was let in.
  mutating func letIn(_ key: PublicKey, now: Instant) {
    guard let newcomer = waiting.removeValue(forKey: key) else { return }
    recent.append((newcomer.share, now))
  }

  /// Puts off all that are due: until an instant, or for good if there is no room.
  ///
  /// - Returns: their keys.
  mutating func putOff(until instant: Instant?) -> [PublicKey] {
    let keys = waiting.values.filter(\.isDue).sorted { $0.notBefore < $1.notBefore }
      .map(\.data.key)
    for key in keys {
      if let instant {
        waiting[key]?.notBefore = instant
      } else {
        waiting[key]?.isShutOut = true
      }
    }
    return keys
  }

  /// Notes that a key that waits is claimed from another address, too. The address of which fewer come counts, so
  /// that nobody takes a key's turn by claiming it.
  mutating func claimAgain(_ data: UserData, now: Instant) {
    guard let known = waiting[data.key] else { return }
    let share = AddressShare(data.address)
    var counts = lately(now)
    for newcomer in waiting.values { counts[newcomer.share, default: 0] += 1 }
    if counts[share] ?? 0 < counts[known.share] ?? 0 { waiting[data.key]?.share = share }
  }

  /// Evicts another newcomer to make room for one: the one that has waited longest among the disconnected ones of the
  /// address with the most; or, if all are connected, one of an address with at least two more than its own.
  ///
  /// - Returns: true if there is room now.
  mutating func makeRoom(for data: UserData, present: Set<PublicKey>) -> Bool {
    let counts = waiting.values.reduce(into: [:]) { $0[$1.share, default: 0] += 1 }
    func count(_ newcomer: Newcomer) -> Int { counts[newcomer.share] ?? 0 }
    let gone = waiting.values.filter { !present.contains($0.data.key) }
    let own = counts[AddressShare(data.address)] ?? 0
    let giving = gone.isEmpty ? waiting.values.filter { count($0) >= own + 2 } : gone
    let last = giving.max { (count($0), $1.notBefore) < (count($1), $0.notBefore) }
    guard let last else { return false }
    waiting[last.data.key] = nil
    return true
  }
}

/// Keeps to ``AuthorizationLimits/perMinute``.
struct BurstLimit {
  private var recent: [ContinuousClock.Instant] = []

  /// Takes one of the minute's turns.
  ///
  /// - Returns: nil if there was one, otherwise the time of the next.
  mutating func take(now: ContinuousClock.Instant, limit: Int) -> ContinuousClock.Instant? {
    recent.removeAll { $0 + .seconds(60) <= now }
    guard recent.count >= limit, let first = recent.first else {
      recent.append(now)
      return nil
    }
    return first + .seconds(60)
  }
}
