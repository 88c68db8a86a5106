internal import DatCoding
internal import DatSwarm
internal import HypercoreCrypto

/// A report of the events of a swarm to people and programs.
///
/// People see the first few inbound connections, and then one line for all that come and go. Programs, and
/// users who ask for it, get each.
actor SwarmReport {
  private let output: Output
  /// True to report what is found, tried and refused, too, and each connection.
  private let isVerbose: Bool
  private var flurry = Flurry(few: 5)
  private var cameAndWent = (came: 0, went: 0)
  private var timer: Task<Void, Never>?

  init(output: Output, isVerbose: Bool) {
    self.output = output
    self.isVerbose = isVerbose
  }

  func follow(_ events: AsyncStream<SwarmEvent>) async {
    for await event in events { report(event) }
    timer?.cancel()
  }

  /// Reports a connection that came or ended, as far as it gets a line of its own.
  private func pass(_ text: String, came: Bool) {
    if output.json {
      if !came { output.problem(text) }
      return
    }
    guard !isVerbose, !flurry.admit(.now) else { return note(text) }
    if came { cameAndWent.came += 1 } else { cameAndWent.went += 1 }
    schedule()
  }

  private func schedule() {
    guard timer == nil, let deadline = flurry.deadline else { return }
    timer = Task { [weak self] in
      do { try await Task.sleep(until: deadline, clock: .continuous) } catch { return }
      await self?.sumUp()
    }
  }

  private func sumUp() {
    timer = nil
    let (came, went) = cameAndWent
    cameAndWent = (0, 0)
    if flurry.sum(.now) > 0 {
      note("\(came) more connections came and \(went) ended or failed; --verbose shows each")
    }
    schedule()
  }

  private func report(_ event: SwarmEvent) {
    switch event {
    case .listening(let address):
      report(
        [
          "event": "listening", "host": .string(address.host),
          "port": .integer(Int64(address.port)),
        ],
        line: "listening on \(address)")
    case .connecting(let address, _):
      report("connecting", address)
      if isVerbose { note("trying \(address)") }
    case .connected(let peer):
      report("connected", peer.address)
      if peer.isInbound {
        pass("\(peer.address) connected", came: true)
      } else {
        note("connected to \(peer.address)")
      }
    case .disconnected(let peer, let reason):
      report("disconnected", peer.address)
      if let reason { pass("\(peer.address): \(reason)", came: false) }
    case .failed(let address, _, let reason):
      report("failed", address)
      pass("\(address): \(reason)", came: false)
    case .waiting(let address, _, let until):
      report("waiting", address)
      if isVerbose || flurry.deadline == nil {
        note("trying \(address) again in \(Self.seconds(until))")
      }
    case .trouble(_, let reason): complain(reason)
    case .evicted(let address):
      report(
        ["event": "evicted", "address": .string("\(address)")],
        line: isVerbose ? "\(address) made room: all places were taken, most by its address" : nil)
    case .forgotten(let address, _): report("forgotten", address)
    case .duplicate(let peer): if isVerbose { report("duplicate", peer.address) }
    case .found(let address, _, let origin):
      guard isVerbose else { return }
      report(
        ["event": "found", "address": .string("\(address)"), "origin": .string(origin.rawValue)],
        line: "found \(address) (\(origin.rawValue))")
    case .refused(let address, _, let refusal):
      guard isVerbose else { return }
      report(
        [
          "event": "refused", "address": .string("\(address)"),
          "reason": .string(refusal.rawValue),
        ], line: "refused \(address): \(refusal.rawValue)")
    @unknown default: break
    }
  }

  /// Prints an object for programs, or a line for people, if there is one.
  private func report(_ object: KeyValuePairs<String, JSON>, line: String?) {
    if output.json { output.object(object) } else if let line { note(line) }
  }

  /// Prints the state of a connection for programs.
  private func report(_ state: String, _ address: PeerAddress) {
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
