internal import CoreMetrics

/// The metrics of a swarm, for whichever metrics system the program has set up.
///
/// Names start with `dat_swarm_`; see each for its dimensions.
struct SwarmMetrics: Sendable {
  private let found = Dictionary(
    uniqueKeysWithValues: PeerOrigin.allCases.map {
      ($0, Counter(label: "dat_swarm_found", dimensions: [("origin", $0.rawValue)]))
    })
  private let refused = Dictionary(
    uniqueKeysWithValues: SwarmEvent.Refusal.allCases.map {
      ($0, Counter(label: "dat_swarm_refused", dimensions: [("reason", $0.rawValue)]))
    })
  private let dialed = Counter(label: "dat_swarm_dialed")
  private let connected = Counter(label: "dat_swarm_connected")
  private let failed = Counter(label: "dat_swarm_failed")
  private let duplicates = Counter(label: "dat_swarm_duplicates")
  private let evicted = Counter(label: "dat_swarm_evicted")
  private let troubles = Counter(label: "dat_swarm_troubles")
  private let forgotten = Counter(label: "dat_swarm_forgotten")
  /// Connections whose peers have completed their handshake.
  private let peers = Gauge(label: "dat_swarm_peers")

  func count(_ event: SwarmEvent) {
    switch event {
    case .found(_, _, let origin): found[origin]?.increment()
    case .refused(_, _, let refusal): refused[refusal]?.increment()
    case .connecting: dialed.increment()
    case .connected: connected.increment()
    case .failed: failed.increment()
    case .duplicate: duplicates.increment()
    case .forgotten: forgotten.increment()
    case .evicted: evicted.increment()
    case .trouble: troubles.increment()
    case .listening, .disconnected, .waiting: break
    }
  }

  func record(connections: Int) { peers.record(connections) }
}
