/// Lines of one kind, of which people see a few one by one and what comes beyond them as one line: strangers
/// can connect and leave by the thousand.
struct Flurry {
  typealias Instant = ContinuousClock.Instant

  /// So many within the first of the windows are shown one by one.
  private let few: Int
  /// After how long what was held back is summed up: each time later while it goes on.
  static let windows: [Duration] = [.seconds(10), .seconds(60), .seconds(600)]

  private var recent: [Instant] = []
  private var window = 0
  /// How many are held back.
  private(set) var held = 0
  /// When they are to be summed up.
  private(set) var deadline: Instant?

  init(few: Int) { self.few = few }

  /// Whether one more is shown by itself; it is held back otherwise.
  mutating func take(_ now: Instant) -> Bool {
    guard deadline == nil else {
      held += 1
      return false
    }
    recent.removeAll { now - $0 > Self.windows[0] }
    if recent.count < few {
      recent.append(now)
      return true
    }
    held = 1
    deadline = now + Self.windows[0]
    return false
  }

  /// Ends the window.
  ///
  /// - Returns: how many were held back in it.
  mutating func sum(_ now: Instant) -> Int {
    defer { held = 0 }
    guard held > 0 else {
      deadline = nil
      window = 0
      return 0
    }
    window = min(window + 1, Self.windows.count - 1)
    deadline = now + Self.windows[window]
    return held
  }
}
