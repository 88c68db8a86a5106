/// The members of a fleet, as a directory names them. One that it no longer names stays a member for a grace
/// period, so that a restart moves no key.
///
/// A directory that fails, or names nobody, removes nobody: a host ceases to be a member only by an answer from after
/// its grace that does not name it either. Times are seconds of a clock that only goes forward;
/// one that jumps back counts as one that stands still.
package struct FleetMembership: Sendable {
  /// The seconds for which a host may be missing before its keys go to others.
  package let grace: UInt64
  /// By name, the time since which it is missing; nil for a host that the directory names.
  private var members: [String: UInt64?]
  /// Hosts that were missing for longer than the grace, until they come back.
  package private(set) var gone: Set<String> = []
  private var now: UInt64 = 0
  /// The time of the last answer.
  private var answered: UInt64 = 0

  /// The most names that are remembered after their grace.
  static let maximumGone = 4096

  /// Makes a membership of these hosts.
  package init(names: some Sequence<String>, grace: UInt64) {
    self.grace = grace
    members = Dictionary(names.map { ($0, nil) }, uniquingKeysWith: { one, _ in one })
  }

  /// The members, with those that are missing for less than the grace.
  package var names: Set<String> { Set(members.keys) }

  /// The members that the directory does not name at present.
  package var missing: [String] { members.filter { $0.value != nil }.map(\.key).sorted() }

  /// Takes a complete answer of the directory.
  ///
  /// - Returns: the hosts that came. One that was missing was a member all along, and is not among them.
  package mutating func answer(_ names: Set<String>, at time: UInt64) -> [String] {
    now = max(now, time)
    guard !names.isEmpty else { return [] }
    answered = now
    var came: [String] = []
    for name in names.sorted() {
      if members.updateValue(nil, forKey: name) == nil { came.append(name) }
      gone.remove(name)
    }
    for (name, since) in members where since == nil && !names.contains(name) {
      members[name] = .some(now)
    }
    return came
  }

  /// Takes over the hosts that were gone before a restart.
  mutating func restore(gone names: some Sequence<String>) {
    for name in names where members[name] == nil && gone.count < Self.maximumGone {
      gone.insert(name)
    }
  }

  /// Lets time pass.
  ///
  /// - Returns: the hosts whose grace was over at the last answer, which are members no longer.
  package mutating func advance(to time: UInt64) -> [String] {
    now = max(now, time)
    var left: [String] = []
    for (name, since) in members {
      if let since, answered >= since, answered - since >= grace { left.append(name) }
    }
    for name in left {
      members[name] = nil
      if gone.count < Self.maximumGone { gone.insert(name) }
    }
    return left.sorted()
  }

  /// The time at which ``advance(to:)`` has something to do next; nil before an answer says so.
  package var deadline: UInt64? {
    members.values.compactMap(\.self).min().map { $0 &+ min(grace, .max - $0) }
      .flatMap { $0 <= answered ? $0 : nil }
  }
}
