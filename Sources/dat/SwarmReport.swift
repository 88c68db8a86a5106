internal import DatCoding
internal import DatSwarm
internal import HypercoreCrypto

/// Tells people and programs what happens in a swarm.
struct SwarmReport: Sendable {
  let output: Output
  /// Whether to tell what is found, tried and refused, too.
  let isVerbose: Bool

  func follow(_ events: AsyncStream<SwarmEvent>) async {
    for await event in events { tell(event) }
  }

  private func tell(_ event: SwarmEvent) {
    switch event {
    case .listening(let address):
      if output.json {
        output.object([
          "event": "listening", "host": .string(address.host),
          "port": .integer(Int64(address.port)),
        ])
      } else {
        note("listening on \(address)")
      }
    case .connecting(let address, _):
      tell("connecting", address)
      if isVerbose { note("trying \(address)") }
    case .connected(let peer):
      tell("connected", peer.address)
      note(peer.isInbound ? "\(peer.address) connected" : "connected to \(peer.address)")
    case .disconnected(let peer, let reason):
      tell("disconnected", peer.address)
      if let reason { complain("\(peer.address): \(reason)") }
    case .failed(let address, _, let reason):
      tell("failed", address)
      complain("\(address): \(reason)")
    case .waiting(let address, _, let until):
      tell("waiting", address)
      note("trying \(address) again in \(Self.seconds(until))")
    case .forgotten(let address, _): tell("forgotten", address)
    case .duplicate(let peer): if isVerbose { tell("duplicate", peer.address) }
    case .found(let address, _, let origin):
      guard isVerbose else { return }
      if output.json {
        output.object([
          "event": "found", "address": .string("\(address)"), "origin": .string(origin.rawValue),
        ])
      } else {
        note("found \(address) (\(origin.rawValue))")
      }
    case .refused(let address, _, let refusal):
      guard isVerbose else { return }
      if output.json {
        output.object([
          "event": "refused", "address": .string("\(address)"),
          "reason": .string(refusal.rawValue),
        ])
      } else {
        note("refused \(address): \(refusal.rawValue)")
      }
    @unknown default: break
    }
  }

  private func tell(_ state: String, _ address: PeerAddress) {
    guard output.json else { return }
    output.object([
      "event": "connection", "address": .string("\(address)"), "state": .string(state),
    ])
  }

  private static func seconds(_ instant: ContinuousClock.Instant) -> String {
    "\(max((instant - .now).components.seconds, 1)) s"
  }

  private func note(_ text: String) {
    if !output.json { output.line(output.dim(SafeText.line(text))) }
  }

  private func complain(_ text: String) {
    if output.json { output.problem(text) } else { note(text) }
  }
}
