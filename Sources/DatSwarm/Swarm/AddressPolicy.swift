/// The hosts with which connections are permitted: the user's lists, and the record of offenders.
///
/// The swarm shares it with its listeners, which refuse a connection before anything is read.
final class AddressPolicy: Sendable {
  typealias Instant = ContinuousClock.Instant

  private struct State {
    var allowed: Set<String>?
    var denied: Set<String>
    var offences: Offences
  }

  private let state: Guarded<State>
  private let excusesLoopback: Bool

  /// - Parameter maximumOffences: the number of offences after which a host is barred for a while.
  /// - Parameter excusesLoopback: true if offences from this machine don't count, since they may be
  ///   anybody's.
  init(
    allowed: Set<String>? = nil, denied: Set<String> = [], maximumOffences: Int = 3,
    excusesLoopback: Bool = true
  ) {
    state = Guarded(
      State(
        allowed: allowed, denied: denied, offences: Offences(forgiven: max(maximumOffences, 1) - 1))
    )
    self.excusesLoopback = excusesLoopback
  }

  /// Returns the reason why no connection with the host is permitted; nil if it is.
  func refusal(of host: String, now: Instant) -> SwarmEvent.Refusal? {
    state.with { state in
      if state.denied.contains(host) { return .denied }
      if let allowed = state.allowed, !allowed.contains(host) { return .denied }
      return state.offences.isBarred(host, now: now) ? .offended : nil
    }
  }

  func deny(_ host: String) { state.with { _ = $0.denied.insert(host) } }

  func undeny(_ host: String) {
    state.with {
      $0.denied.remove(host)
      $0.offences.forgive(host)
    }
  }

  /// Notes that the host did what no working peer does.
  func offended(_ address: PeerAddress, now: Instant) {
    if excusesLoopback && address.isLoopback { return }
    state.with { $0.offences.note(address.host, now: now) }
  }
}
