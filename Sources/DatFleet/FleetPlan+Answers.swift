package import HypercoreCrypto

/// Proofs of others, and what follows from them.
extension FleetPlan {
  /// Takes the answer of a host that was asked about a key.
  ///
  /// - Parameters:
  ///   - answer: the answer, checked: `proved` only after a proof that holds.
  ///   - key: the key.
  ///   - host: the host, which has proved that it is a member.
  ///   - round: the round of the question. An answer of an earlier one does not count.
  ///   - time: the current time, in seconds.
  package mutating func answer(
    _ answer: Answer, of key: DiscoveryKey, by host: String, round: UInt64, at time: UInt64
  ) -> [Action] {
    now = max(now, time)
    guard var state = held[key], state.round == round, let owners = state.owners,
      let number = roll.knownNumber(of: host), owners.contains(number)
    else { return [] }
    switch answer {
    case .unknown: return []
    case .incomplete:
      guard case .kept(let end) = state.stage else { return [] }
      // It may have nobody else to fetch it from.
      begin(key, .leaving)
      held[key]?.end = end
      return [.hold(key)]
    case .proved: state.proved.insert(number)
    }
    held[key] = state
    guard owners.hosts.allSatisfy({ state.proved.contains($0.host) }) else { return [] }
    switch state.stage {
    case .owned: return []
    case .leaving:
      begin(key, .kept(until: min(state.end ?? .max, end(of: .max))))
      return [.release(key)]
    case .kept(let end):
      guard options.keep != nil else { return [] }
      if now < end {
        // Asked early, since the owners have changed; they prove it anew when its time is over.
        begin(key, .kept(until: end))
        return []
      }
      guard state.proved.count >= 2 else { return [] }
      held[key] = nil
      return [.free(key)]
    }
  }

  /// The numbers of keys of this host by stage.
  package var counts: (owned: Int, leaving: Int, kept: Int) {
    held.values.reduce(into: (0, 0, 0)) { counts, held in
      switch held.stage {
      case .owned: counts.0 += 1
      case .leaving: counts.1 += 1
      case .kept: counts.2 += 1
      }
    }
  }
}
