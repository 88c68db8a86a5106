internal import Metrics
internal import DatSwarm
internal import Hypercore
internal import HypercoreProtocol

/// The metrics of a host, for whichever metrics system the program has set up. Names start with
/// `dat_host_`.
struct HostMetrics: Sendable {
  private let kinds = Dictionary(
    uniqueKeysWithValues: HostedKind.allCases.map {
      ($0, Gauge(label: "dat_host_replicas", dimensions: [("kind", $0.rawValue)]))
    })
  private let elsewhere = Gauge(label: "dat_host_replicas_elsewhere")
  private let failed = Gauge(label: "dat_host_replicas_failed")
  private let waiting = Gauge(label: "dat_host_replicas_waiting")
  private let connectionCount = Gauge(label: "dat_host_connections")
  private let diskBytes = Gauge(label: "dat_host_disk_bytes")
  private let pausedFeeds = Gauge(label: "dat_host_paused_feeds")
  private let received = Counter(label: "dat_host_received_bytes_total")
  private let sent = Counter(label: "dat_host_sent_bytes_total")

  func replicas(_ counts: [HostedKind: Int], elsewhere: Int, failed: Int, waiting: Int) {
    self.failed.record(failed)
    self.waiting.record(waiting)
    for (kind, gauge) in kinds { gauge.record(counts[kind, default: 0]) }
    self.elsewhere.record(elsewhere)
  }

  /// Records the keys of a fleet that other hosts hold.
  func elsewhere(_ count: Int) { elsewhere.record(max(count, 0)) }

  func disk(used: UInt64, paused: Int) {
    diskBytes.record(Int64(clamping: used))
    pausedFeeds.record(paused)
  }

  func connections(_ count: Int) { connectionCount.record(count) }

  func traffic(received: UInt64, sent: UInt64) {
    self.received.increment(by: Int64(clamping: received))
    self.sent.increment(by: Int64(clamping: sent))
  }
}

/// A count of the bytes of the host's connections: since the last ``sinceLast()``, and in all.
actor Traffic {
  private struct Entry {
    let stream: ReplicationStream
    var received: UInt64 = 0
    var sent: UInt64 = 0
  }

  private var entries: [Int: Entry] = [:]
  private var pending: (received: UInt64, sent: UInt64) = (0, 0)
  private var all: (received: UInt64, sent: UInt64) = (0, 0)
  private let seconds = Timer(label: "dat_host_connection_seconds")

  /// Follows a connection to its end.
  func add(_ stream: ReplicationStream, _ peer: SwarmPeer) {
    entries[peer.number] = Entry(stream: stream)
    let start = ContinuousClock.now
    Task {
      try? await stream.finished()
      seconds.record(duration: ContinuousClock.now - start)
      await count(peer.number)
      entries[peer.number] = nil
    }
  }

  /// Returns the traffic since the last call.
  func sinceLast() async -> (received: UInt64, sent: UInt64) {
    for number in Array(entries.keys) { await count(number) }
    defer { pending = (0, 0) }
    return pending
  }

  /// Returns the traffic of all connections since the host was started.
  func totals() async -> (received: UInt64, sent: UInt64) {
    for number in Array(entries.keys) { await count(number) }
    return all
  }

  private func count(_ number: Int) async {
    guard let stream = entries[number]?.stream else { return }
    let statistics = await stream.statistics
    guard let entry = entries[number] else { return }
    // Two calls may overlap; the one that saw more decides.
    let (received, sent) = (statistics.bytesReceived, statistics.bytesSent)
    let more = (
      received: received > entry.received ? received - entry.received : 0,
      sent: sent > entry.sent ? sent - entry.sent : 0
    )
    pending = (pending.received + more.received, pending.sent + more.sent)
    all = (all.received + more.received, all.sent + more.sent)
    entries[number]?.received = max(received, entry.received)
    entries[number]?.sent = max(sent, entry.sent)
  }
}
