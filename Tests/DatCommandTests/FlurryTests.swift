import Testing

@testable import dat

/// Lines that would come by the thousand.
@Suite struct FlurryTests {
  private let start = ContinuousClock.now

  @Test func `a few are shown one by one, and a thousand more are summed up`() {
    var flurry = Flurry(few: 5)
    let shown = (0..<1_000).count { flurry.admit(start + .milliseconds($0)) }
    #expect(shown == 5)
    #expect(flurry.held == 995)
    #expect(flurry.deadline == start + .milliseconds(5) + .seconds(10))
    let first = flurry.sum(start + .seconds(11))
    #expect(first == 995)
    // While it goes on, the sums become rarer.
    for second in 12..<70 { _ = flurry.admit(start + .seconds(second)) }
    #expect(flurry.deadline == start + .seconds(11) + .seconds(60))
    let second = flurry.sum(start + .seconds(71))
    #expect(second == 58)
    // A quiet window ends it.
    let last = flurry.sum(start + .seconds(700))
    #expect(last == 0)
    #expect(flurry.deadline == nil)
    let isShown = flurry.admit(start + .seconds(701))
    #expect(isShown)
  }

  @Test func `what comes now and then is always shown`() {
    var flurry = Flurry(few: 5)
    for number in 0..<100 {
      let isShown = flurry.admit(start + .seconds(3 * number))
      #expect(isShown)
    }
  }
}
