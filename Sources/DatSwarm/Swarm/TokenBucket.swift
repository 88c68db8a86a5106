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

  /// Whether so many more are allowed now; they count then. Otherwise none of them does.
  mutating func take(_ now: Instant, count: Int = 1) -> Bool {
    if let last { tokens = min(burst, tokens + max((now - last) / .seconds(1), 0) * perSecond) }
    last = now
    // What is left of a fraction must not make the caller come back for ever.
    guard tokens >= Double(count) - 1e-6 else { return false }
    tokens -= Double(count)
    return true
  }

  /// When the next one is allowed; at once where nothing says otherwise.
  var next: Instant? {
    guard let last, tokens < 1 else { return last }
    return last + .seconds((1 - tokens) / perSecond)
  }
}

/// The rates of many sources in a bounded memory: beyond its size the source that was heard of longest
/// ago is forgotten, never all of them.
struct RateMemory<Source: Hashable> {
  typealias Instant = ContinuousClock.Instant

  private struct Rate {
    var bucket: TokenBucket
    /// The number of the source's newest entry in the order.
    var stamp: UInt64
  }

  private let perSecond: Int
  private let burst: Int
  private let capacity: Int
  private var rates: [Source: Rate] = [:]
  /// Sources as they were heard of, the oldest first. Only a source's newest entry counts.
  private var order: [(source: Source, stamp: UInt64)] = []
  private var first = 0
  private var stamp: UInt64 = 0

  init(perSecond: Int, burst: Int, capacity: Int) {
    self.perSecond = perSecond
    self.burst = burst
    self.capacity = max(capacity, 1)
  }

  /// How many sources are remembered.
  var count: Int { rates.count }

  /// Whether so many more of the source are allowed now; they count then.
  mutating func take(_ source: Source, count: Int = 1, now: Instant) -> Bool {
    stamp += 1
    order.append((source, stamp))
    if rates[source] == nil {
      if rates.count >= capacity { forgetOldest() }
      rates[source] = Rate(
        bucket: TokenBucket(perSecond: perSecond, burst: burst), stamp: stamp)
    }
    rates[source]?.stamp = stamp
    // Entries that no longer count go once they are as many as those that do.
    if order.count - first > 2 * capacity + 16 { compact() }
    return rates[source]?.bucket.take(now, count: count) == true
  }

  private mutating func forgetOldest() {
    while first < order.count {
      let (source, stamp) = order[first]
      first += 1
      if rates[source]?.stamp == stamp {
        rates[source] = nil
        return
      }
    }
  }

  private mutating func compact() {
    let rates = rates
    order = order[first...].filter { rates[$0.source]?.stamp == $0.stamp }
    first = 0
  }
}
