/// A record of addresses that did what no working peer does. Repeat offenders are barred, each time for twice
/// as long.
///
/// It has no clock: instants are passed in.
struct Offences {
  typealias Instant = ContinuousClock.Instant

  private struct Record {
    var count = 0
    /// The time before which no connection is accepted.
    var until: Instant
    var last: Instant
  }

  /// The offences that are forgiven: a cut line or a wrong version looks the same.
  private let forgiven: Int
  /// The length of the first pause, and of the longest.
  static let pauses = Duration.seconds(1)...Duration.seconds(600)
  /// The time after which an address that has behaved starts over.
  static let memory = Duration.seconds(1200)
  /// The most addresses that are remembered; the one with the oldest last offence is evicted.
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

  /// Returns whether no connection from the address is to be accepted now.
  func isBarred(_ host: String, now: Instant) -> Bool {
    guard !records.isEmpty else { return false }
    return records[Self.neighbourhood(of: host)].map { now < $0.until } ?? false
  }

  mutating func forgive(_ host: String) { records[Self.neighbourhood(of: host)] = nil }

  /// Returns the address that counts as one host: itself, or for IPv6 its network of 64 bits, all addresses
  /// of which may belong to a single host.
  static func neighbourhood(of host: String) -> String {
    guard let address = IPAddress(host) else { return host }
    return address.isIPv6 ? "\(address.neighbourhood)/64" : "\(address)"
  }
}
