/// The progress of a clone.
struct CloneProgress: Equatable {
  var blocks: UInt64 = 0
  /// The number of all blocks, as far as it is known.
  var length: UInt64 = 0
  /// The bytes that were fetched in this run.
  var bytes: UInt64 = 0
  var byteLength: UInt64 = 0
}

/// A line on the terminal that shows progress; nothing if standard error is not a terminal.
struct ProgressBar {
  private let isShown: Bool
  private let write: (String) -> Void
  private let start: ContinuousClock.Instant
  private var lastShown: ContinuousClock.Instant?
  private var first: CloneProgress?

  /// - Parameters:
  ///   - start: the time at which the operation began.
  ///   - isShown: true if people see it.
  ///   - write: receives what is drawn.
  init(
    start: ContinuousClock.Instant, isShown: Bool = StandardStreams.isErrorTerminal,
    write: @escaping (String) -> Void = { StandardStreams.complain($0) }
  ) {
    self.start = start
    self.isShown = isShown
    self.write = write
  }

  /// Draws the line, at most ten times a second.
  mutating func show(_ progress: CloneProgress, at now: ContinuousClock.Instant) {
    guard isShown else { return }
    if let lastShown, now - lastShown < .milliseconds(100) { return }
    lastShown = now
    if first == nil, progress.length > 0 { first = progress }
    write("\r\u{1b}[K" + Self.line(progress, since: first, in: now - start))
  }

  /// Removes the line.
  func clear() {
    if lastShown != nil { write("\r\u{1b}[K") }
  }

  /// Returns blocks, bytes, rate and time left, in at most 79 columns.
  static func line(_ progress: CloneProgress, since first: CloneProgress?, in duration: Duration)
    -> String
  {
    guard progress.length > 0 else { return "connecting …" }
    let width = 20
    let share = min(1, Double(progress.blocks) / Double(progress.length))
    let filled = Int(share * Double(width))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let seconds =
      Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    let rate = seconds > 0 ? Double(progress.bytes) / seconds : 0
    let came = progress.blocks - min(first?.blocks ?? 0, progress.blocks)
    var line = "\(bar) \(progress.blocks)/\(progress.length)  \(Amount.bytes(progress.bytes))"
    line += "  \(Amount.bytes(UInt64(rate)))/s"
    if came > 0, seconds > 0, progress.length >= progress.blocks {
      let left = Double(progress.length - progress.blocks) * seconds / Double(came)
      if left < 1e8 { line += "  \(Amount.time(.seconds(left))) left" }
    }
    return line
  }
}
