/// A limit on the rate of events, with a burst after a rest.
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

  /// Takes this many tokens and returns true; if there are fewer, returns false and takes none.
  mutating func take(_ now: Instant, count: Int = 1) -> Bool {
    if let last { tokens = min(burst, tokens + max((now - last) / .seconds(1), 0) * perSecond) }
    last = now
    // A rounding remainder must not make the caller come back for ever.
    guard tokens >= Double(count) - 1e-6 else { return false }
    tokens -= Double(count)
    return true
  }

  /// The time at which the next one is allowed; nil or past for at once.
  var next: Instant? {
    guard let last, tokens < 1 else { return last }
    return last + .seconds((1 - tokens) / perSecond)
  }
}

/// The rates of many sources in bounded memory. Beyond its capacity the least recently seen source is
/// evicted.
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
  /// Sources as they were seen, the oldest first. Only a source's newest entry counts.
  private var order: [(source: Source, stamp: UInt64)] = []
  private var first = 0
  private var stamp: UInt64 = 0

  init(perSecond: Int, burst: Int, capacity: Int) {
    self.perSecond = perSecond
    self.burst = burst
    self.capacity = max(capacity, 1)
  }

  /// The number of remembered sources.
  var count: Int { rates.count }

  /// Takes this many tokens of the source and returns true; if it has fewer, returns false.
  mutating func take(_ source: Source, count: Int = 1, now: Instant) -> Bool {
    stamp += 1
    order.append((source, stamp))
    if rates[source] == nil {
      if rates.count >= capacity { evictOldest() }
      rates[source] = Rate(
        bucket: TokenBucket(perSecond: perSecond, burst: burst), stamp: stamp)
    }
    rates[source]?.stamp = stamp
    // Obsolete entries are removed once there are as many of them as of the others.
    if order.count - first > 2 * capacity + 16 { compact() }
    return rates[source]?.bucket.take(now, count: count) == true
  }

  private mutating func evictOldest() {
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
