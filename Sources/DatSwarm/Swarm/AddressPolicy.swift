/// With which hosts there may be connections: lists of the user's, and those who misbehaved.
///
/// Shared by the swarm and its listeners, which refuse before anything is read.
final class AddressPolicy: Sendable {
  typealias Instant = ContinuousClock.Instant

  private struct Offences {
    var count: Int
    var since: Instant
  }

  private struct State {
    var allowed: Set<String>?
    var denied: Set<String>
    var offences: [String: Offences] = [:]
  }

  private let state: Guarded<State>
  private let maximumOffences: Int
  /// How long offences are remembered, and how long they keep a host out.
  private static let window = Duration.seconds(600)
  /// Hosts whose offences are remembered at a time.
  private static let maximumHosts = 1024

  init(allowed: Set<String>?, denied: Set<String>, maximumOffences: Int) {
    state = Guarded(State(allowed: allowed, denied: denied))
    self.maximumOffences = maximumOffences
  }

  /// Why there may be no connection with the host; nil where there may.
  func refusal(of host: String, now: Instant) -> SwarmEvent.Refusal? {
    state.with { state in
      if state.denied.contains(host) { return .denied }
      if let allowed = state.allowed, !allowed.contains(host) { return .denied }
      if let offences = state.offences[host] {
        if now - offences.since > Self.window {
          state.offences[host] = nil
        } else if offences.count >= maximumOffences {
          return .offended
        }
      }
      return nil
    }
  }

  func deny(_ host: String) { state.with { _ = $0.denied.insert(host) } }

  func undeny(_ host: String) {
    state.with {
      $0.denied.remove(host)
      $0.offences[host] = nil
    }
  }

  /// The host broke a rule of the protocol.
  func offended(_ address: PeerAddress, now: Instant) {
    guard !address.isLoopback else { return }
    state.with { state in
      if let known = state.offences[address.host], now - known.since <= Self.window {
        state.offences[address.host]?.count += 1
        return
      }
      if state.offences.count >= Self.maximumHosts {
        state.offences = state.offences.filter { now - $0.value.since <= Self.window }
        if state.offences.count >= Self.maximumHosts,
          let oldest = state.offences.min(by: { $0.value.since < $1.value.since })
        {
          state.offences[oldest.key] = nil
        }
      }
      state.offences[address.host] = Offences(count: 1, since: now)
    }
  }
}
