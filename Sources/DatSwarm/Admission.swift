/// Counts the connections that others opened to us, and says which are too many.
///
/// Two caps: all together, so that strangers cannot use up our descriptors and memory; and for each
/// address those that have not shown that they speak the protocol, so that one host cannot take all
/// places. And who does harm again and again is kept out for a while. Connections within this machine
/// are not judged by address: they may be anybody's.
final class Admission: Sendable {
  private struct State {
    var total = 0
    var halfOpen: [String: Int] = [:]
    var offences = Offences()
  }

  private let state = Guarded(State())
  private let maximum: Int
  private let maximumHalfOpen: Int
  private let excusesLoopback: Bool
  private let now: @Sendable () -> ContinuousClock.Instant

  init(
    maximum: Int, maximumHalfOpen: Int, excusesLoopback: Bool = true,
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.maximum = maximum
    self.maximumHalfOpen = maximumHalfOpen
    self.excusesLoopback = excusesLoopback
    self.now = now
  }

  /// A place for a new connection; nil if there is none.
  func admit(_ address: PeerAddress) -> Ticket? {
    let host = address.neighbourhood
    let isExcused = excusesLoopback && address.isLoopback
    let isFree = state.with { state in
      let halfOpen = state.halfOpen[host, default: 0]
      guard state.total < maximum,
        isExcused || (halfOpen < maximumHalfOpen && !state.offences.isBarred(host, now: now()))
      else { return false }
      state.total += 1
      state.halfOpen[host] = halfOpen + 1
      return true
    }
    return isFree ? Ticket(self, host, isExcused: isExcused) : nil
  }

  var total: Int { state.with { $0.total } }

  private func confirm(_ host: String) {
    state.with { state in
      let rest = state.halfOpen[host, default: 0] - 1
      state.halfOpen[host] = rest > 0 ? rest : nil
    }
  }

  private func offended(_ host: String) {
    state.with { $0.offences.note(host, now: now()) }
  }

  private func leave() { state.with { $0.total -= 1 } }

  /// One connection's place.
  final class Ticket: Sendable {
    private let admission: Admission
    private let host: String
    private let isExcused: Bool
    private let state = Guarded((isHalfOpen: true, isGone: false))

    fileprivate init(_ admission: Admission, _ host: String, isExcused: Bool) {
      self.admission = admission
      self.host = host
      self.isExcused = isExcused
    }

    /// The peer did what no working peer does.
    func offended() { if !isExcused { admission.offended(host) } }

    /// The peer has shown that it speaks the protocol.
    func confirm() {
      let wasHalfOpen = state.with { state in
        defer { state.isHalfOpen = false }
        return state.isHalfOpen
      }
      if wasHalfOpen { admission.confirm(host) }
    }

    /// The connection is over.
    func leave() {
      confirm()
      let wasGone = state.with { state in
        defer { state.isGone = true }
        return state.isGone
      }
      if !wasGone { admission.leave() }
    }
  }
}
