package import Hypercore
internal import HypercoreProtocol

/// One end of a simulated connection: a session, or a hostile peer.
package protocol NetworkEnd: AnyObject {
  typealias Instant = ContinuousClock.Instant

  func receive(_ bytes: [UInt8], now: Instant)
  /// Receives the end of the other end's output.
  func finishInput(now: Instant)
  /// Handles the loss of the connection.
  func lose(now: Instant)
  /// Returns the next output; nil if this end has ended, empty if there is nothing now.
  func takeOutput(now: Instant) -> [UInt8]?
  func tick(now: Instant)
  /// The time at which something is due; nil if no timer is set.
  var deadline: Instant? { get }
  /// The time at which its owner calls ``tick(now:)``; it is asked for this once before each call.
  func nextTick(now: Instant) -> Instant
  /// True if it doesn't end by itself.
  var isLive: Bool { get }
  /// Called when there is output to take; set by the network.
  var onOutput: (() -> Void)? { get set }
}

/// The error that the transport broke.
package struct ConnectionLost: Error {
  package init() {}
}

extension ReplicationSession: NetworkEnd {
  package var onOutput: (() -> Void)? {
    get { hooks.onOutput }
    set { hooks.onOutput = newValue }
  }

  package func lose(now: Instant) { close(ConnectionLost()) }
}

/// A network of peers in one thread, on virtual time.
///
/// Bytes take a random time and are cut at random positions. They stay in order within a connection, but not
/// between connections. Everything is determined by the seed: nothing here waits, and nothing reads a clock.
///
/// ```swift
/// let simulation = Simulation(seed: seed)
/// let link = simulation.connect(one, other)
/// try simulation.settle()
/// ```
package final class Simulation {
  package typealias Instant = ContinuousClock.Instant

  /// The properties of a connection.
  package struct Conditions: Sendable {
    /// The delay of bytes, in microseconds.
    package var delay = 100...20_000
    /// The chance that a piece is lost once. It comes a round trip later, and what follows waits for it.
    package var loss = 0.0
    package var cutting = Cutting.random(upTo: 3000)
    /// The most bytes in flight in one direction.
    package var window = 64 << 10
    /// The number of bytes in either direction after which the connection breaks.
    package var breaksAfter: Int?

    package init() {}
  }

  package private(set) var now: Instant
  package let start: Instant
  package var random: SeededRandom
  package private(set) var links: [SimulatedLink] = []
  /// The number of deliveries and timers so far.
  package private(set) var stepCount = 0
  /// The number of times at which a live end had something due before its owner would look.
  package var lateLooks: Int { links.reduce(pastLateLooks) { $0 + $1.lateLooks } }
  private var pastLateLooks = 0

  package init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    start = .now
    now = start
  }

  /// Joins two ends.
  @discardableResult
  package func connect(
    _ one: any NetworkEnd, _ other: any NetworkEnd, _ conditions: Conditions = Conditions()
  ) -> SimulatedLink {
    let link = SimulatedLink(one, other, conditions, now: now)
    links.append(link)
    return link
  }

  /// Breaks a connection: bytes in flight are lost. One end is notified at once, the other one up to `delay`
  /// later.
  package func cut(_ link: SimulatedLink, delay: ClosedRange<Int> = 0...1_000_000) {
    guard !link.isBroken else { return }
    link.isBroken = true
    let first = Int.random(in: 0...1, using: &random)
    let late = Duration.microseconds(Int.random(in: delay, using: &random))
    link.lossDue = [now, now]
    link.lossDue[1 - first] = now + late
  }

  /// Breaks a connection because one end is gone, which is not notified.
  package func cut(_ link: SimulatedLink, without gone: any NetworkEnd) {
    link.isBroken = true
    link.lossDue = link.ends.map { $0 === gone ? nil : now }
  }

  // MARK: Running

  /// Lets time pass.
  package func run(for duration: Duration) {
    let end = now + duration
    while step(until: end) {}
    now = max(now, end)
  }

  /// Runs until nothing is in flight and no timer is set.
  ///
  /// - Throws: ``Restless`` if that takes more than `limit` of virtual time or too many steps.
  package func settle(limit: Duration = .seconds(600), steps: Int = 200_000) throws {
    let end = now + limit
    let last = stepCount + steps
    while step(until: end) {
      if stepCount > last { throw Restless(what: "it took more than \(steps) steps") }
    }
    if nextInstant() != nil { throw Restless(what: "it was not at rest after \(limit)") }
  }

  /// The error that the network does not come to rest.
  package struct Restless: Error, CustomStringConvertible {
    let what: String
    package var description: String { "The network did not come to rest: \(what)." }
  }

  /// Does the next thing that is due.
  ///
  /// - Returns: false if there is nothing before `end`.
  @discardableResult
  package func step(until end: Instant) -> Bool {
    links.removeAll { link in
      if link.isOver { pastLateLooks += link.lateLooks }
      return link.isOver
    }
    for link in links { link.pump(now: now, random: &random) }
    guard let next = nextInstant(), next <= end else { return false }
    now = max(now, next)
    stepCount += 1
    let due = links.filter { ($0.next ?? end) <= now && $0.next != nil }
    if let link = due.randomElement(using: &random) {
      link.act(now: now)
      if let most = link.conditions.breaksAfter, link.carried.contains(where: { $0 >= most }) {
        cut(link)
      }
    }
    return true
  }

  private func nextInstant() -> Instant? {
    links.compactMap { $0.next }.min()
  }
}

/// A connection of a ``Simulation``.
package final class SimulatedLink {
  package typealias Instant = ContinuousClock.Instant

  /// Bytes in flight, or the end of them.
  private struct Flight {
    var arrival: Instant
    var bytes: [UInt8]?
  }

  /// The direction from one end to the other.
  private struct Direction {
    var flights: [Flight] = []
    var first = 0
    var bytesUnderWay = 0
    var hasOutput = true
    var hasEnded = false
    var lastArrival: Instant

    var isOver: Bool { hasEnded && first == flights.count }
  }

  package let ends: [any NetworkEnd]
  package var conditions: Conditions
  /// The number of bytes that arrived at the second end, and at the first.
  package private(set) var carried = [0, 0]
  package fileprivate(set) var isBroken = false
  /// Called with what arrives: the side that sent it, and the bytes.
  package var onDelivery: ((Int, [UInt8]) -> Void)?
  fileprivate var lossDue: [Instant?] = [nil, nil]
  private var directions: [Direction]
  /// The time of each end's next tick, as its owner sleeps until then whatever happens.
  private var ticks: [Instant]
  fileprivate private(set) var lateLooks = 0

  package typealias Conditions = Simulation.Conditions

  init(
    _ one: any NetworkEnd, _ other: any NetworkEnd, _ conditions: Conditions, now: Instant
  ) {
    ends = [one, other]
    self.conditions = conditions
    directions = [Direction(lastArrival: now), Direction(lastArrival: now)]
    ticks = ends.map { $0.nextTick(now: now) }
    for (side, end) in ends.enumerated() {
      end.onOutput = { [weak self] in self?.directions[side].hasOutput = true }
    }
  }

  /// True if nothing more can happen here.
  package var isOver: Bool {
    isBroken ? lossDue.allSatisfy { $0 == nil } : directions.allSatisfy(\.isOver)
  }

  /// Takes the output of the ends, as far as there is room.
  func pump(now: Instant, random: inout SeededRandom) {
    guard !isBroken else { return }
    for side in 0...1 {
      while directions[side].hasOutput, !directions[side].hasEnded,
        directions[side].bytesUnderWay < conditions.window
      {
        directions[side].hasOutput = false
        guard let bytes = ends[side].takeOutput(now: now) else {
          directions[side].hasEnded = true
          send(nil, from: side, now: now, &random)
          break
        }
        if bytes.isEmpty { continue }
        directions[side].hasOutput = true
        for piece in conditions.cutting.pieces(of: bytes, using: &random) {
          send(piece, from: side, now: now, &random)
        }
      }
    }
  }

  private func send(_ bytes: [UInt8]?, from side: Int, now: Instant, _ random: inout SeededRandom) {
    var delay = Duration.microseconds(Int.random(in: conditions.delay, using: &random))
    if conditions.loss > 0, random.chance(conditions.loss) { delay *= 3 }
    let arrival = max(now + delay, directions[side].lastArrival)
    directions[side].lastArrival = arrival
    directions[side].bytesUnderWay += bytes?.count ?? 0
    directions[side].flights.append(Flight(arrival: arrival, bytes: bytes))
  }

  /// The time of the next event here.
  var next: Instant? {
    if isBroken { return lossDue.compactMap { $0 }.min() }
    var next: Instant?
    for side in 0...1 {
      let direction = directions[side]
      if direction.first < direction.flights.count {
        next = earlier(next, direction.flights[direction.first].arrival)
      }
      if !directions[side].hasEnded, ends[side].deadline != nil {
        next = earlier(next, ticks[side])
      }
    }
    return next
  }

  /// Does one thing that is due.
  func act(now: Instant) {
    if isBroken {
      for side in 0...1 {
        guard let due = lossDue[side], due <= now else { continue }
        lossDue[side] = nil
        ends[side].lose(now: now)
        return
      }
      return
    }
    for side in 0...1 {
      if directions[side].first < directions[side].flights.count,
        directions[side].flights[directions[side].first].arrival <= now
      {
        deliver(from: side, now: now)
        return
      }
      if !directions[side].hasEnded, let deadline = ends[side].deadline, ticks[side] <= now {
        if ends[side].isLive, deadline < ticks[side], ticks[side] == now { lateLooks += 1 }
        ends[side].tick(now: now)
        ticks[side] = ends[side].nextTick(now: now)
        return
      }
    }
  }

  private func deliver(from side: Int, now: Instant) {
    let flight = directions[side].flights[directions[side].first]
    directions[side].first += 1
    if directions[side].first == directions[side].flights.count {
      directions[side].flights.removeAll(keepingCapacity: true)
      directions[side].first = 0
    }
    guard var bytes = flight.bytes else {
      ends[1 - side].finishInput(now: now)
      return
    }
    directions[side].bytesUnderWay -= bytes.count
    if let most = conditions.breaksAfter {
      bytes = Array(bytes.prefix(max(most - carried[side], 0)))
    }
    carried[side] += bytes.count
    onDelivery?(side, bytes)
    ends[1 - side].receive(bytes, now: now)
  }

  private func earlier(_ one: Instant?, _ other: Instant?) -> Instant? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
  }
}
