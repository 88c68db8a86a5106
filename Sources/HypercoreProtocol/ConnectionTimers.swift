/// The times at which to send a keep-alive, and to give up. It has no clock: instants are passed
/// in.
///
/// Source: hypercore-protocol `index.js`, the `timeout-refresh` ticks. There a silent remote is
/// given up 1.25 to 1.5 timeouts after its last byte; here after 1.5.
struct ConnectionTimers {
  enum Action: Equatable {
    case none
    case sendKeepAlive
    case close(ProtocolError)
  }

  typealias Instant = ContinuousClock.Instant

  /// Nil turns every timer off.
  private let timeout: Duration?
  /// The time by which a keep-alive may be early.
  private let keepAliveLead: Duration
  private let handshakeTimeout: Duration
  /// The newest instant that was passed in. Output is assumed to be sent at that time, so a
  /// keep-alive is early rather than late.
  private var latest: Moment
  /// The time of the last input, initially that of the connection's start.
  private var lastReceived: Moment
  /// The time of the last output; nil before the first Feed.
  private var lastSent: Moment?
  /// The time at which the Handshake must be here; nil once it is, or if the delay is this side's.
  private var handshakeDeadline: Moment?
  /// The time at which the frame that has begun must be complete.
  private var frameDeadline: Moment?
  private var isStopped = false

  init(
    timeout: Duration?, keepAliveLead: Duration = .zero, handshakeTimeout: Duration, now: Instant
  ) {
    self.timeout = timeout.flatMap { $0 > .zero ? $0 : nil }
    self.keepAliveLead = keepAliveLead
    self.handshakeTimeout = handshakeTimeout
    latest = Moment(now)
    lastReceived = latest
    handshakeDeadline = latest + handshakeTimeout
  }

  /// The time at which to call ``tick(_:)`` next.
  var deadline: Instant? {
    guard let timeout, !isStopped else { return nil }
    var earliest = silence(timeout)
    for other in [handshakeDeadline, frameDeadline, lastSent.map { $0 + timeout }] {
      if let other { earliest = min(earliest, other) }
    }
    return earliest.instant
  }

  mutating func tick(_ now: Instant) -> Action {
    let now = Moment(now)
    note(now)
    guard let timeout, !isStopped else { return .none }
    if now >= silence(timeout) { return .close(.remoteTimedOut) }
    if let handshakeDeadline, now >= handshakeDeadline { return .close(.handshakeTimedOut) }
    if let frameDeadline, now >= frameDeadline { return .close(.frameTimedOut) }
    if let lastSent, now >= lastSent + timeout - keepAliveLead { return .sendKeepAlive }
    return .none
  }

  mutating func received(_ now: Instant) {
    let now = Moment(now)
    note(now)
    lastReceived = max(lastReceived, now)
  }

  mutating func sent() { lastSent = latest }

  /// The Feed has arrived and the key is missing here: the remote is not to blame for what follows.
  mutating func waitsForKey() {
    handshakeDeadline = nil
    frameDeadline = nil
  }

  mutating func hasKey() { handshakeDeadline = latest + handshakeTimeout }

  mutating func handshakeArrived() { handshakeDeadline = nil }

  mutating func frameCompleted() { frameDeadline = nil }

  mutating func frameBegan() {
    if frameDeadline == nil { frameDeadline = latest + WireLimits.frameDuration }
  }

  /// Stops the timers: nothing more is expected.
  mutating func stop() { isStopped = true }

  private func silence(_ timeout: Duration) -> Moment {
    lastReceived + timeout * 3 / 2
  }

  private mutating func note(_ now: Moment) { latest = max(latest, now) }
}
