/// The clock of a host in its fleet, and what is due by it: the plan's next step, one a second at most, writing the
/// state, and the tasks that repeat something. Nothing is due any more once it is closed.
struct FleetSchedule {
  private let opened = ContinuousClock.now
  private var nextStep: (due: UInt64, task: Task<Void, Never>)?
  private var lastStep: UInt64?
  private var isSaving = false
  private var repeating: [Task<Void, Never>] = []
  private(set) var isClosed = false

  /// The seconds since the host was opened, of a clock that only goes forward.
  var now: UInt64 { UInt64(clamping: (ContinuousClock.now - opened).components.seconds) }

  // MARK: Steps of the plan

  /// Sets the time of the next step, unless it is set to an earlier one.
  ///
  /// - Parameters:
  ///   - deadline: the time at which the plan has something to do.
  ///   - start: starts the task that waits for a time.
  mutating func setStep(for deadline: UInt64, _ start: (Duration) -> Task<Void, Never>) {
    let due = max(deadline, lastStep.map { $0 + 1 } ?? 0)
    if isClosed { return }
    if let nextStep, nextStep.due <= due { return }
    nextStep?.task.cancel()
    nextStep = (due, start(.seconds(min(due - min(due, now), 86_400))))
  }

  /// Notes that a step is taken now.
  mutating func noteStep() {
    nextStep = nil
    lastStep = now
  }

  // MARK: Writing the state

  /// Notes that the state is to be written.
  ///
  /// - Returns: true if a time is to be set for that, after which ``endWaitingToSave()`` is called.
  mutating func beginWaitingToSave() -> Bool {
    guard !isSaving, !isClosed else { return false }
    isSaving = true
    return true
  }

  /// Notes that the time has come.
  ///
  /// - Returns: true if the state is to be written now.
  mutating func endWaitingToSave() -> Bool {
    isSaving = false
    return !isClosed
  }

  // MARK: Repeating

  /// Keeps a task that repeats something until the schedule is closed.
  mutating func add(_ task: Task<Void, Never>) {
    if isClosed { task.cancel() } else { repeating.append(task) }
  }

  /// Cancels all that is due.
  ///
  /// - Returns: false if it was closed before.
  mutating func close() -> Bool {
    guard !isClosed else { return false }
    isClosed = true
    for task in repeating { task.cancel() }
    nextStep?.task.cancel()
    return true
  }
}
