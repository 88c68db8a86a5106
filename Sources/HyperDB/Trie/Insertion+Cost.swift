extension Insertion {
  /// The limits of a run's cost.
  struct Bounds {
    /// The most steps it may take.
    var steps: Int
    /// True to look at each pointer before it is copied from others' entries, which is not needed while those
    /// are sound.
    var isCareful = false
    /// Feeds whose entries are not walked. In place of each entry stands the newest local one that its
    /// writer knew.
    var passesOver: Set<Int> = []
    /// True if blocks that are too large for the steps left are not even read: otherwise each of many walks
    /// could read one more block than it may.
    var looksFirst = false
    /// True if a run out of steps ends with what it has found; otherwise it throws ``OutOfSteps``.
    var endsEarly = false
  }

  /// Thrown when a run exceeds its bounds.
  struct OutOfSteps: Error {}

  /// The cost of a run so far, and the entries that it left out to keep within its bounds.
  struct Cost {
    private(set) var bounds = Bounds(steps: 0)
    /// The pointers looked at since the start of the run, plus the bytes read for them, counted as steps.
    private(set) var steps = 0
    /// By feed, the steps that its entries cost.
    private(set) var charges: [Int] = []
    /// By feed the newest entry that was passed over, for what its writer knew of the local feed.
    private(set) var passed: [Int: Int] = [:]
    /// True if the run left nothing out.
    private(set) var isWhole = true

    /// Begins a run.
    mutating func begin(_ bounds: Bounds, feedCount: Int) {
      self.bounds = bounds
      steps = 0
      isWhole = true
      charges.removeAll(keepingCapacity: true)
      charges.append(contentsOf: repeatElement(0, count: feedCount))
      passed.removeAll(keepingCapacity: true)
    }

    /// Charges a feed for steps that its entries cost.
    mutating func charge(_ count: Int, _ feed: Int) throws {
      steps += count
      charges[feed] += count
      if steps > bounds.steps { throw OutOfSteps() }
    }

    /// Adds bytes that were read, without a look at the bounds.
    mutating func add(bytes: Int) { steps += bytes >> HyperDBLimits.mergeStepShift }

    /// The bytes that the steps that are left allow to read.
    var bytesLeft: Int { max(bounds.steps - steps, 0) << HyperDBLimits.mergeStepShift }

    /// Ends a run that is out of steps with what it has found, if its bounds say so.
    mutating func endEarly(_ error: OutOfSteps) throws {
      guard bounds.endsEarly else { throw error }
      isWhole = false
    }

    /// Returns whether an entry is neither walked nor pointed to. It is noted, and the result of the run is no
    /// longer whole.
    mutating func passesOver(_ pointer: FeedSequence) -> Bool {
      guard bounds.passesOver.contains(pointer.feed) else { return false }
      isWhole = false
      passed[pointer.feed] = max(passed[pointer.feed] ?? 0, pointer.seq)
      return true
    }
  }
}
