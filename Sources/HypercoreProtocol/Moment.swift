/// An instant as nanoseconds since a moment early in this process.
///
/// The size of the standard library's instant is unknown before the program runs, which makes every
/// value that holds one slow to access; this is an integer.
package struct Moment: Comparable, Sendable {
  private static let origin = ContinuousClock.now
  private let nanoseconds: Int64

  package init(_ instant: ContinuousClock.Instant) {
    nanoseconds = Self.nanoseconds(Self.origin.duration(to: instant))
  }

  private init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package var instant: ContinuousClock.Instant {
    Self.origin.advanced(by: .nanoseconds(nanoseconds))
  }

  package static func < (left: Moment, right: Moment) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  package static func + (moment: Moment, duration: Duration) -> Moment {
    let (sum, overflow) = moment.nanoseconds.addingReportingOverflow(nanoseconds(duration))
    return Moment(nanoseconds: overflow ? .max : sum)
  }

  package static func - (moment: Moment, duration: Duration) -> Moment {
    let (rest, overflow) = moment.nanoseconds.subtractingReportingOverflow(nanoseconds(duration))
    return Moment(nanoseconds: overflow ? .min : rest)
  }

  /// Returns the last whole multiple of `step` that is not after this moment. Multiples are counted from the same
  /// origin everywhere in the process, so all who round to a step arrive at the same moments.
  package func rounded(downTo step: Duration) -> Moment {
    let step = Self.nanoseconds(step)
    guard step > 0 else { return self }
    let (quotient, rest) = nanoseconds.quotientAndRemainder(dividingBy: step)
    let count = rest < 0 ? quotient - 1 : quotient
    let (rounded, overflow) = count.multipliedReportingOverflow(by: step)
    return Moment(nanoseconds: overflow ? .min : rounded)
  }

  /// Durations of more than a century count as endless.
  private static func nanoseconds(_ duration: Duration) -> Int64 {
    let (seconds, attoseconds) = duration.components
    let bounded = min(max(seconds, -4_000_000_000), 4_000_000_000)
    return bounded * 1_000_000_000 + attoseconds / 1_000_000_000
  }
}
