/// A limit on the addresses that strangers can make us try, and so on the harm that a liar can do through us.
struct NamingBudget {
  typealias Instant = ContinuousClock.Instant

  /// The subject of a count.
  enum Account: Hashable {
    /// The addresses of others that a machine names; nil for a machine without an address.
    case informant(IPAddress?)
    /// The new addresses of one host for a topic.
    case host(Topic, IPAddress)
    /// Everything that one kind of source reports for one topic: the first addresses of hosts that speak for
    /// themselves, and the rest.
    case topic(Topic, PeerOrigin, isFirst: Bool)

    /// True if strangers can make up accounts of this kind; topics are ours and few.
    fileprivate var isForeign: Bool { if case .topic = self { false } else { true } }
  }

  private struct Window {
    var count: Int
    var since: Instant
  }

  private var windows: [Account: Window] = [:]
  private static let length = Duration.seconds(600)
  /// The most accounts, some 100 bytes each; beyond it the oldest quarter is evicted.
  private static let maximumAccounts = 4096

  /// Returns the present count of an account.
  func count(_ account: Account, now: Instant) -> Int {
    guard let window = windows[account], now - window.since <= Self.length else { return 0 }
    return window.count
  }

  /// Counts one more address; returns false if that exceeds the limit.
  mutating func take(_ account: Account, limit: Int, now: Instant) -> Bool {
    if let window = windows[account], now - window.since <= Self.length {
      guard window.count < limit else { return false }
      windows[account]?.count += 1
      return true
    }
    if account.isForeign, windows.count >= Self.maximumAccounts { evictOldest(now) }
    windows[account] = Window(count: 1, since: now)
    return limit > 0
  }

  private mutating func evictOldest(_ now: Instant) {
    windows = windows.filter { now - $0.value.since <= Self.length }
    guard windows.count >= Self.maximumAccounts else { return }
    let oldest = windows.filter { $0.key.isForeign }.sorted { $0.value.since < $1.value.since }
    for (account, _) in oldest.prefix(Self.maximumAccounts / 4) { windows[account] = nil }
  }
}
