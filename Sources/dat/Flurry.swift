/// A limiter of lines of one kind: the first few are shown one by one, and those beyond them are summed up in
/// one line. Strangers can connect and leave by the thousand.
struct Flurry {
  typealias Instant = ContinuousClock.Instant

  /// The number within the first window that are shown one by one.
  private let few: Int
  /// The times after which held-back lines are summed up: each time later while it goes on.
  static let windows: [Duration] = [.seconds(10), .seconds(60), .seconds(600)]

  private var recent: [Instant] = []
  private var window = 0
  /// The number of lines that are held back.
  private(set) var held = 0
  /// The time at which they are summed up.
  private(set) var deadline: Instant?

  init(few: Int) { self.few = few }

  /// Returns whether one more line is shown by itself; otherwise it is held back.
  mutating func admit(_ now: Instant) -> Bool {
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
  /// - Returns: the number of lines that were held back in it.
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
