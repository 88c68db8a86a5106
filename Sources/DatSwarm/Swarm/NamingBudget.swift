/// How many addresses strangers may make us try: bounds what a liar can do to others through us.
struct NamingBudget {
  typealias Instant = ContinuousClock.Instant

  /// Who is counted.
  enum Account: Hashable {
    /// A machine that names others than itself.
    case informant(String)
    /// All that one kind of source says about one topic.
    case topic(Topic, PeerOrigin)
  }

  private struct Window {
    var count: Int
    var since: Instant
  }

  private var windows: [Account: Window] = [:]
  private static let length = Duration.seconds(600)
  /// Accounts at a time, beyond which no new informant is believed.
  private static let maximumAccounts = 4096

  /// Counts one more address; false where that is too many.
  mutating func take(_ account: Account, limit: Int, now: Instant) -> Bool {
    if let window = windows[account], now - window.since <= Self.length {
      guard window.count < limit else { return false }
      windows[account]?.count += 1
      return true
    }
    // Topics are ours and few; informants are as many as anybody likes.
    if case .informant = account, windows.count >= Self.maximumAccounts {
      windows = windows.filter { now - $0.value.since <= Self.length }
      // Still full: nobody new gets to name anything, which is what a flood of informants looks like.
      guard windows.count < Self.maximumAccounts else { return false }
    }
    windows[account] = Window(count: 1, since: now)
    return limit > 0
  }
}
