internal import DatFleet

/// Comparisons of the list of keys with those of other members, one at a time: a member sends the entries that this
/// host lacks, as it was asked to.
struct FleetPulls {
  /// One of them.
  struct Pull {
    /// The number of the connection.
    let number: Int
    let since: UInt64
    /// The news, as many as are passed on entry by entry.
    fileprivate(set) var news: [FleetEntry] = []
    /// The number of all news.
    fileprivate(set) var count = 0

    /// True if the news are so many that others compare lists themselves.
    var isLarge: Bool { count > FleetPulls.maximumPassedOn }
  }

  /// The news of a comparison that are passed on entry by entry; of more, others are notified, and compare lists.
  private static let maximumPassedOn = 1000
  /// The seconds after which a comparison that has not ended is given up.
  private static let patience: UInt64 = 120

  private var queue: [Int] = []
  /// The comparison that is in flight.
  private(set) var current: Pull?

  /// Adds a member, by its connection, to those that are asked.
  mutating func add(_ number: Int) {
    if !queue.contains(number) { queue.append(number) }
  }

  /// Begins the next comparison, if none is in flight.
  ///
  /// - Parameter isMember: returns whether there is such a connection with a member.
  /// - Returns: the connection on which to ask.
  mutating func begin(now: UInt64, isMember: (Int) -> Bool) -> Int? {
    guard current == nil else { return nil }
    while !queue.isEmpty {
      let number = queue.removeFirst()
      guard isMember(number) else { continue }
      current = Pull(number: number, since: now)
      return number
    }
    return nil
  }

  /// Adds what was news to this host, if it came on the connection of the comparison.
  mutating func add(_ news: [FleetEntry], from number: Int) -> Bool {
    guard var pull = current, pull.number == number else { return false }
    pull.count += news.count
    pull.news += news.prefix(max(Self.maximumPassedOn - pull.news.count, 0))
    current = pull
    return true
  }

  /// Returns whether the comparison has taken so long that it is given up.
  func isLate(now: UInt64) -> Bool { current.map { now - $0.since > Self.patience } ?? false }

  /// Ends the comparison.
  mutating func end() -> Pull? {
    defer { current = nil }
    return current
  }

  /// Removes a connection that has ended from those that wait.
  mutating func remove(_ number: Int) { queue.removeAll { $0 == number } }
}
