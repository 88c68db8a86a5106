/// Counts how many addresses strangers make us try: bounds what a liar can do to others through us.
struct NamingBudget {
  typealias Instant = ContinuousClock.Instant

  /// What is counted.
  enum Account: Hashable {
    /// The addresses of others that a machine names; nil for a machine without an address.
    case informant(IPAddress?)
    /// The new addresses of one host for a topic.
    case host(Topic, IPAddress)
    /// All that one kind of source says about one topic: the first addresses of hosts that speak for
    /// themselves, and the rest.
    case topic(Topic, PeerOrigin, isFirst: Bool)

    /// Whether there are as many accounts of the kind as anybody likes; topics are ours and few.
    fileprivate var isForeign: Bool { if case .topic = self { false } else { true } }
  }

  private struct Window {
    var count: Int
    var since: Instant
  }

  private var windows: [Account: Window] = [:]
  private static let length = Duration.seconds(600)
  /// Accounts at a time, some 100 bytes each; beyond it the oldest quarter is forgotten.
  private static let maximumAccounts = 4096

  /// How many the account has now.
  func count(_ account: Account, now: Instant) -> Int {
    guard let window = windows[account], now - window.since <= Self.length else { return 0 }
    return window.count
  }

  /// Counts one more address; false where that is too many.
  mutating func take(_ account: Account, limit: Int, now: Instant) -> Bool {
    if let window = windows[account], now - window.since <= Self.length {
      guard window.count < limit else { return false }
      windows[account]?.count += 1
      return true
    }
    if account.isForeign, windows.count >= Self.maximumAccounts { forgetOldest(now) }
    windows[account] = Window(count: 1, since: now)
    return limit > 0
  }

  private mutating func forgetOldest(_ now: Instant) {
    windows = windows.filter { now - $0.value.since <= Self.length }
    guard windows.count >= Self.maximumAccounts else { return }
    let oldest = windows.filter { $0.key.isForeign }.sorted { $0.value.since < $1.value.since }
    for (account, _) in oldest.prefix(Self.maximumAccounts / 4) { windows[account] = nil }
  }
}
