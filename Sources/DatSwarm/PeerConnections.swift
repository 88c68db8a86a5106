/// Keeps connections to given peers: dials each address, and again when the connection failed or
/// ended, for as long as the address is wanted.
///
/// The pauses between tries grow; they start over after a connection that was confirmed
/// (``PeerSocket/confirm()``) or lasted.
public actor PeerConnections {
  /// How often and how long.
  public struct Options: Sendable {
    /// The pauses before the second try, the third, and so on; the last one repeats.
    public var pauses: [Duration] = [1, 1, 5, 15, 30, 60].map { .seconds($0) }
    /// For one try.
    public var connectTimeout: Duration = .seconds(10)
    /// A connection as long as this counts as a success even if nobody confirmed it.
    public var lasting: Duration = .seconds(60)

    /// The defaults.
    public init() {}
  }

  /// How things stand with one address.
  public enum State: Hashable, Sendable {
    /// A call is under way.
    case connecting
    /// The connection is up.
    case connected
    /// The last try failed or the connection ended, for a reason in words. A ``waiting(until:)``
    /// follows at once.
    case failed(reason: String)
    /// The last call or connection ended; the next call is made then.
    case waiting(until: ContinuousClock.Instant)
  }

  /// One step of one address.
  public struct Change: Hashable, Sendable {
    /// The peer it is about.
    public let address: PeerAddress
    /// Nil when the address is no longer wanted.
    public let state: State?
  }

  /// Time and chance, to be replaced in tests.
  public struct Timing: Sendable {
    /// The clock.
    public var now: @Sendable () -> ContinuousClock.Instant
    /// Waits so long; throws where its task is cancelled.
    public var sleep: @Sendable (Duration) async throws -> Void
    /// Turns a pause into the one that is made, so that peers that lost each other at one moment
    /// don't all come back at one moment.
    public var jitter: @Sendable (Duration) -> Duration

    /// A time of one's own, for tests.
    public init(
      now: @escaping @Sendable () -> ContinuousClock.Instant,
      sleep: @escaping @Sendable (Duration) async throws -> Void,
      jitter: @escaping @Sendable (Duration) -> Duration
    ) {
      self.now = now
      self.sleep = sleep
      self.jitter = jitter
    }

    /// The system's clock, and three quarters to all of each pause.
    public static let system = Timing(
      now: { .now }, sleep: { try await Task.sleep(for: $0) },
      jitter: { $0 * Double.random(in: 0.75...1) })
  }

  private let options: Options
  private let timing: Timing
  private let serve: @Sendable (PeerSocket) async throws -> Void
  private var dialers: [PeerAddress: Task<Void, Never>] = [:]
  private var observers: [Int: AsyncStream<Change>.Continuation] = [:]
  private var observerCount = 0

  /// How things stand with each address that is wanted.
  public private(set) var states: [PeerAddress: State] = [:]

  /// - Parameter serve: drives one connection and returns when it is over; what it throws becomes
  ///   the reason that is shown.
  /// - Parameter options: what it does; the defaults are those of their type.
  /// - Parameter timing: the clock; another one for tests.
  public init(
    options: Options = Options(), timing: Timing = .system,
    serve: @escaping @Sendable (PeerSocket) async throws -> Void
  ) {
    self.options = options
    self.timing = timing
    self.serve = serve
  }

  deinit {
    for dialer in dialers.values { dialer.cancel() }
    for observer in observers.values { observer.finish() }
  }

  /// Wants a connection to the address. Does nothing if it is wanted already.
  public func add(_ address: PeerAddress) {
    guard dialers[address] == nil else { return }
    // The task holds us only for the moments in which it sets a state.
    let set: @Sendable (State) async -> Void = { [weak self] state in
      await self?.set(state, of: address)
    }
    dialers[address] = Task { [options, timing, serve] in
      await Self.keep(address, options, timing, serve, set)
    }
  }

  /// No longer wants the address: breaks its connection off and returns when it is closed.
  public func remove(_ address: PeerAddress) async {
    guard let dialer = dialers.removeValue(forKey: address) else { return }
    dialer.cancel()
    states[address] = nil
    report(Change(address: address, state: nil))
    await dialer.value
  }

  /// Removes all addresses.
  public func stop() async {
    let addresses = Array(dialers.keys)
    for address in addresses { dialers[address]?.cancel() }
    for address in addresses { await remove(address) }
  }

  /// The changes from now on, beginning with how things stand. A reader that falls far behind misses
  /// the oldest.
  public func changes() -> AsyncStream<Change> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: Change.self, bufferingPolicy: .bufferingNewest(1024))
    let number = observerCount
    observerCount += 1
    observers[number] = continuation
    continuation.onTermination = { [weak self] _ in
      Task { await self?.forget(number) }
    }
    for (address, state) in states { continuation.yield(Change(address: address, state: state)) }
    return stream
  }

  private func forget(_ observer: Int) { observers[observer] = nil }

  private func set(_ state: State, of address: PeerAddress) {
    // A dialer that was cancelled no longer speaks for the address, which may be wanted anew.
    guard !Task.isCancelled, dialers[address] != nil else { return }
    states[address] = state
    report(Change(address: address, state: state))
  }

  private func report(_ change: Change) {
    for observer in observers.values { observer.yield(change) }
  }

  /// Dials one address again and again until cancelled.
  private static func keep(
    _ address: PeerAddress, _ options: Options, _ timing: Timing,
    _ serve: @Sendable (PeerSocket) async throws -> Void,
    _ set: @Sendable (State) async -> Void
  ) async {
    var failures = 0
    while !Task.isCancelled {
      await set(.connecting)
      var reason = "The connection with \(address) ended."
      do {
        let socket = try await TCPDialer.connect(to: address, timeout: options.connectTimeout)
        await set(.connected)
        let start = timing.now()
        defer {
          socket.close()
          if socket.isConfirmed || timing.now() - start >= options.lasting { failures = 0 }
        }
        try await serve(socket)
      } catch {
        reason = "\(error)"
      }
      if Task.isCancelled { return }
      await set(.failed(reason: reason))
      let pause = timing.jitter(
        options.pauses.isEmpty
          ? .seconds(60) : options.pauses[min(failures, options.pauses.count - 1)])
      failures += 1
      await set(.waiting(until: timing.now() + pause))
      do { try await timing.sleep(pause) } catch { return }
    }
  }
}
