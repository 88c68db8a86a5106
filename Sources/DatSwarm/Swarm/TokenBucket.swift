/// Allows so many things a second, and so many at once after a rest.
struct TokenBucket {
  typealias Instant = ContinuousClock.Instant

  private let perSecond: Double
  private let burst: Double
  private var tokens: Double
  private var last: Instant?

  init(perSecond: Int, burst: Int) {
    self.perSecond = Double(max(perSecond, 1))
    self.burst = Double(max(burst, 1))
    tokens = self.burst
  }

  /// Whether one more is allowed now; it counts then.
  mutating func take(_ now: Instant) -> Bool {
    if let last { tokens = min(burst, tokens + max((now - last) / .seconds(1), 0) * perSecond) }
    last = now
    // What is left of a fraction must not make the caller come back for ever.
    guard tokens >= 1 - 1e-6 else { return false }
    tokens -= 1
    return true
  }

  /// When the next one is allowed; at once where nothing says otherwise.
  var next: Instant? {
    guard let last, tokens < 1 else { return last }
    return last + .seconds((1 - tokens) / perSecond)
  }
}
