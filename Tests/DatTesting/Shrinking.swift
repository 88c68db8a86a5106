/// The steps of a plan without those that a failure does not need.
///
/// Drops runs of steps, long ones first, as long as the rest still fails. Each step of a plan has to
/// mean something whichever others are missing.
///
/// - Parameter fails: whether a plan of these steps fails.
package func shrunk<Step>(_ steps: [Step], attempts: Int = 400, fails: ([Step]) -> Bool) -> [Step] {
  var steps = steps
  var attempts = attempts
  var length = max(steps.count / 2, 1)
  while length > 0 {
    var start = 0
    var dropped = false
    while start < steps.count, attempts > 0 {
      var fewer = steps
      fewer.removeSubrange(start..<min(start + length, steps.count))
      attempts -= 1
      if fails(fewer) {
        steps = fewer
        dropped = true
      } else {
        start += length
      }
    }
    if !dropped || length > 1 { length /= 2 }
  }
  return steps
}

/// A plan that failed, as small as it could be made.
package struct PlanFailure: Error, CustomStringConvertible {
  package let seed: UInt64
  package let steps: [String]
  package let cause: String

  package var description: String {
    "SEED=\(seed) fails: \(cause)\nsteps:\n  " + steps.joined(separator: "\n  ")
  }
}

/// Runs a plan; one that fails is shrunk.
///
/// - Parameter run: throws where the plan fails.
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
