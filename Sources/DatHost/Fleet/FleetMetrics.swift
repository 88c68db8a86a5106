internal import Metrics

/// The metrics of a host's part in its fleet. Names start with `dat_fleet_`.
struct FleetMetrics: Sendable {
  private let members = Gauge(label: "dat_fleet_members")
  private let missing = Gauge(label: "dat_fleet_members_missing")
  private let connected = Gauge(label: "dat_fleet_members_connected")
  private let all = Gauge(label: "dat_fleet_keys")
  private let owned = Gauge(label: "dat_fleet_keys_held", dimensions: [("stage", "owned")])
  private let leaving = Gauge(label: "dat_fleet_keys_held", dimensions: [("stage", "leaving")])
  private let kept = Gauge(label: "dat_fleet_keys_held", dimensions: [("stage", "kept")])
  private let orphaned = Gauge(label: "dat_fleet_keys_orphaned")
  private let released = Counter(label: "dat_fleet_released_total")
  private let freed = Counter(label: "dat_fleet_freed_total")
  private let questions = Counter(label: "dat_fleet_questions_total")
  private let proofs = Counter(label: "dat_fleet_proofs_total")
  private let falseProofs = Counter(label: "dat_fleet_false_proofs_total")
  private let refused = Counter(label: "dat_fleet_refused_total")
  private let received = Counter(label: "dat_fleet_received_bytes_total")
  private let sent = Counter(label: "dat_fleet_sent_bytes_total")

  func countRelease() { released.increment() }
  func countFreed() { freed.increment() }
  func countQuestion() { questions.increment() }
  func countProof(isTrue: Bool) { (isTrue ? proofs : falseProofs).increment() }
  func countRefusal() { refused.increment() }
  func count(received count: Int) { received.increment(by: Int64(count)) }
  func count(sent count: Int) { sent.increment(by: Int64(count)) }

  func members(_ count: Int, missing: Int, connected: Int) {
    members.record(count)
    self.missing.record(missing)
    self.connected.record(connected)
  }

  func keys(owned: Int, leaving: Int, kept: Int, all: Int, orphaned: Int) {
    self.all.record(all)
    self.owned.record(owned)
    self.leaving.record(leaving)
    self.kept.record(kept)
    self.orphaned.record(orphaned)
  }
}
