/// The waits of a test for what a process shows over time.
///
/// Every wait ends: what was waited for is shown, the process ends, the time is over, or the test is
/// cancelled.
struct Awaited<Shown> {
  enum End { case met, processEnded, tooLate, cancelled }

  /// The time that a process gets for anything that a test waits for: far more than it needs.
  static var limit: Duration { .seconds(60) }

  private typealias Wait = (
    matches: (Shown) -> Bool, continuation: CheckedContinuation<End, Never>
  )
  private var waits: [Int: Wait] = [:]
  private var count = 0

  mutating func number() -> Int {
    count += 1
    return count
  }

  mutating func add(
    _ number: Int, _ matches: @escaping (Shown) -> Bool,
    _ continuation: CheckedContinuation<End, Never>
  ) {
    waits[number] = (matches, continuation)
  }

  /// Ends the waits that match what is shown now.
  mutating func show(_ shown: Shown) {
    for number in waits.filter({ $0.value.matches(shown) }).keys { end(number, .met) }
  }

  mutating func end(_ number: Int, _ end: End) {
    waits.removeValue(forKey: number)?.continuation.resume(returning: end)
  }

  mutating func endAll(_ end: End) {
    for number in waits.keys { self.end(number, end) }
  }
}

/// The error that a process did not show what a test waited for.
public struct NotShown: Error, CustomStringConvertible {
  public let description: String

  init<Shown>(_ what: String, _ end: Awaited<Shown>.End, of command: [String], printed: String) {
    let why =
      switch end {
      case .met, .processEnded: "it ended before"
      case .tooLate: "not within \(Awaited<Shown>.limit)"
      case .cancelled: "the test was cancelled"
      }
    description = "\(command.joined(separator: " ")): no \(what) (\(why)). It printed:\n\(printed)"
  }
}

/// Runs something that is stopped when its time is over, or if the test is cancelled.
func bounded<Result: Sendable>(
  _ limit: Duration, stop: @escaping @Sendable (_ isLate: Bool) -> Void,
  _ run: () async -> Result
) async -> Result {
  let timer = Task {
    try await Task.sleep(for: limit)
    stop(true)
  }
  defer { timer.cancel() }
  return await withTaskCancellationHandler(operation: run) { stop(false) }
}
