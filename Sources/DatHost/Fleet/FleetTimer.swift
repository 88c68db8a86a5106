/// The clock of a host in its fleet, and the time of the plan's next step: one a second at most.
struct FleetTimer {
  private let opened = ContinuousClock.now
  private var pending: (due: UInt64, task: Task<Void, Never>)?
  private var lastStep: UInt64?

  /// The seconds since the host was opened, of a clock that only goes forward.
  var now: UInt64 { UInt64(clamping: (ContinuousClock.now - opened).components.seconds) }

  /// Sets the timer, unless it is set to an earlier time.
  ///
  /// - Parameters:
  ///   - deadline: the time at which the plan has something to do.
  ///   - start: starts the task that waits for a time.
  mutating func set(for deadline: UInt64, _ start: (Duration) -> Task<Void, Never>) {
    let due = max(deadline, lastStep.map { $0 + 1 } ?? 0)
    if let pending, pending.due <= due { return }
    pending?.task.cancel()
    pending = (due, start(.seconds(min(due - min(due, now), 86_400))))
  }

  /// Notes that a step is taken now.
  mutating func noteStep() {
    pending = nil
    lastStep = now
  }

  func cancel() { pending?.task.cancel() }
}
