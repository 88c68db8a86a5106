/// Returns the steps of a plan without those that its failure does not need.
///
/// Drops runs of steps, long ones first, as long as the rest still fails. Each step of a plan has
/// to mean something whichever others are missing.
///
/// - Parameter fails: returns whether a plan of these steps fails.
package func shrunk<Step>(_ steps: [Step], attempts: Int = 400, fails: ([Step]) -> Bool) -> [Step] {
  var shrinking = Shrinking(steps, attempts: attempts)
  while let fewer = shrinking.next() { shrinking.note(fails: fails(fewer)) }
  return shrinking.steps
}

/// The state of ``shrunk(_:attempts:fails:)``, for plans that are run step by step or wait.
package struct Shrinking<Step> {
  /// The fewest failing steps so far.
  package private(set) var steps: [Step]
  private var candidate: [Step] = []
  private var attempts: Int
  private var length: Int
  private var start = 0
  private var hasDropped = false

  package init(_ steps: [Step], attempts: Int = 400) {
    self.steps = steps
    self.attempts = attempts
    length = max(steps.count / 2, 1)
  }

  /// Returns fewer steps to try; nil at the end.
  package mutating func next() -> [Step]? {
    while start >= steps.count {
      if !hasDropped || length > 1 { length /= 2 }
      guard length > 0, attempts > 0, !steps.isEmpty else { return nil }
      start = 0
      hasDropped = false
    }
    guard attempts > 0 else { return nil }
    attempts -= 1
    candidate = steps
    candidate.removeSubrange(start..<min(start + length, steps.count))
    return candidate
  }

  /// Records whether the last steps that were tried fail.
  package mutating func note(fails: Bool) {
    if fails {
      steps = candidate
      hasDropped = true
    } else {
      start += length
    }
  }
}

/// A plan that failed, made as small as possible.
package struct PlanFailure: Error, CustomStringConvertible {
  package let seed: UInt64
  package let steps: [String]
  package let cause: String

  package var description: String {
    "SEED=\(seed) fails: \(cause)\nsteps:\n  " + steps.joined(separator: "\n  ")
  }
}

/// Runs a plan, and shrinks it if it fails.
///
/// - Parameter run: throws if the plan fails.
package func check<Step>(
  seed: UInt64, _ steps: [Step], run: ([Step]) throws -> Void
) throws {
  do {
    try run(steps)
  } catch {
    func fails(_ steps: [Step]) -> Bool {
      do {
        try run(steps)
        return false
      } catch {
        return true
      }
    }
    let few = shrunk(steps, fails: fails)
    var cause = "\(error)"
    do { try run(few) } catch { cause = "\(error)" }
    throw PlanFailure(seed: seed, steps: few.map { "\($0)" }, cause: cause)
  }
}

/// Runs a plan that waits, and shrinks it if it fails.
package func check<Step>(
  seed: UInt64, _ steps: [Step], run: ([Step]) async throws -> Void
) async throws {
  func cause(_ steps: [Step]) async -> String? {
    do {
      try await run(steps)
      return nil
    } catch {
      return "\(error)"
    }
  }
  guard var reason = await cause(steps) else { return }
  var shrinking = Shrinking(steps)
  while let fewer = shrinking.next() {
    let found = await cause(fewer)
    shrinking.note(fails: found != nil)
    if let found { reason = found }
  }
  throw PlanFailure(seed: seed, steps: shrinking.steps.map { "\($0)" }, cause: reason)
}

/// Tests a property for one seed after another; stops after a few failures.
///
/// - Returns: the failures, each with its seed.
package func failures(
  standard: Int, most: Int = 3, _ body: (UInt64) async throws -> Void
) async -> [String] {
  var failures: [String] = []
  for seed in testSeeds(standard: standard) where failures.count < most {
    do { try await body(seed) } catch { failures.append("SEED=\(seed): \(error)") }
    await Task.yield()
  }
  return failures
}
