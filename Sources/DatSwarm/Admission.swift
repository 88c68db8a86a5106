/// Counts the connections that others opened to us, and says which are too many.
///
/// Two caps: all together, so that strangers cannot use up our descriptors and memory; and for each
/// address those that have not shown that they speak the protocol, so that one host cannot take all
/// places. Connections within this machine are not capped by address, unless told so.
final class Admission: Sendable {
  private struct State {
    var total = 0
    var halfOpen: [String: Int] = [:]
  }

  private let state = Guarded(State())
  private let maximum: Int
  private let maximumHalfOpen: Int

  private let excusesLoopback: Bool

  init(maximum: Int, maximumHalfOpen: Int, excusesLoopback: Bool = true) {
    self.maximum = maximum
    self.maximumHalfOpen = maximumHalfOpen
    self.excusesLoopback = excusesLoopback
  }

  /// A place for a new connection; nil if there is none.
  func admit(_ address: PeerAddress) -> Ticket? {
    let host = Offences.neighbourhood(of: address.host)
    let isExcused = excusesLoopback && address.isLoopback
    let isFree = state.with { state in
      let halfOpen = state.halfOpen[host, default: 0]
      guard state.total < maximum, isExcused || halfOpen < maximumHalfOpen else { return false }
      state.total += 1
      state.halfOpen[host] = halfOpen + 1
      return true
    }
    return isFree ? Ticket(self, host) : nil
  }

  var total: Int { state.with { $0.total } }

  private func confirm(_ host: String) {
    state.with { state in
      let rest = state.halfOpen[host, default: 0] - 1
      state.halfOpen[host] = rest > 0 ? rest : nil
    }
  }

  private func leave() { state.with { $0.total -= 1 } }

  /// One connection's place.
  final class Ticket: Sendable {
    private let admission: Admission
    private let host: String
    private let state = Guarded((isHalfOpen: true, isGone: false))

    fileprivate init(_ admission: Admission, _ host: String) {
      self.admission = admission
      self.host = host
    }

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
