/// Remembers which addresses did what no working peer does, and keeps those out that do it again and
/// again: each time for twice as long.
///
/// It has no clock: instants are handed in.
struct Offences {
  typealias Instant = ContinuousClock.Instant

  private struct Record {
    var count = 0
    /// Not before this is a connection taken.
    var until: Instant
    var last: Instant
  }

  /// So many are forgiven: a cut line or a wrong version looks alike.
  private let forgiven: Int
  /// How long the first pause is, and the longest.
  static let pauses = Duration.seconds(1)...Duration.seconds(600)
  /// An address that has behaved for so long starts over.
  static let memory = Duration.seconds(1200)
  /// So many addresses are remembered; the one whose last offence is longest ago makes room.
  static let limit = 4096

  private var records: [String: Record] = [:]

  init(forgiven: Int) { self.forgiven = forgiven }

  mutating func note(_ host: String, now: Instant) {
    let host = Self.neighbourhood(of: host)
    var record = records[host] ?? Record(until: now, last: now)
    if record.last.advanced(by: Self.memory) < now { record.count = 0 }
    record.count += 1
    record.last = now
    if record.count > forgiven {
      let doublings = min(record.count - forgiven - 1, 20)
      record.until = now.advanced(
        by: min(Self.pauses.lowerBound * (1 << doublings), Self.pauses.upperBound))
    }
    if records[host] == nil, records.count >= Self.limit,
      let oldest = records.min(by: { $0.value.last < $1.value.last })
    {
      records[oldest.key] = nil
    }
    records[host] = record
  }

  /// Whether no connection is to be taken from the address now.
  func isBarred(_ host: String, now: Instant) -> Bool {
    guard !records.isEmpty else { return false }
    return records[Self.neighbourhood(of: host)].map { now < $0.until } ?? false
  }

  mutating func forgive(_ host: String) { records[Self.neighbourhood(of: host)] = nil }

  /// What stands for one attacker: the address, or for IPv6 its network of 64 bits, of which a single
  /// host has all addresses.
  static func neighbourhood(of host: String) -> String {
    guard let address = IPAddress(host) else { return host }
    return address.isIPv6 ? "\(address.neighbourhood)/64" : "\(address)"
  }
}
