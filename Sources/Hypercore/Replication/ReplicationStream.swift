public import HypercoreProtocol

/// One connection to a peer, as bytes. Any transport can drive it.
///
/// Two loops are enough:
///
/// ```swift
/// // From the peer: suspends while this side is behind, which is back-pressure.
/// for try await chunk in socket { await stream.receive(chunk) }
/// await stream.finishInput()
///
/// // To the peer: blocks are read only when the socket has room for them.
/// while let bytes = await stream.nextOutput() { try await socket.write(bytes) }
/// ```
///
/// Stands for the duplex stream that hypercore `replicate()` returns.
public actor ReplicationStream {
  nonisolated let replica: Replica
  public nonisolated var unownedExecutor: UnownedSerialExecutor { replica.unownedExecutor }

  let session: ReplicationSession
  private let handle: OnReplica<ReplicationSession>
  nonisolated let extensionQueue = ExtensionQueue()
  private var outputWaiter: CheckedContinuation<Void, Never>?
  private var closeWaiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
  private var lastCloseWaiter: UInt64 = 0
  private var handshakeWaiters: [CheckedContinuation<Void, Never>] = []
  private var ticker: Task<Void, Never>?
  private var isDone = false
  var proofs = ProofState()
  private let hold = FrameBudget.Hold(.shared)
  /// The number of calls of ``receive(_:)`` that wait for others' frames to be completed.
  private var waitingForRoom = 0

  /// The reason why the connection ended; nil while it is open and after a proper end.
  public private(set) var closeReason: (any Error)?
  /// The remote's handshake, once it has arrived. Nothing in it is proven.
  public private(set) var remote: Handshake?

  package init(_ session: OnReplica<ReplicationSession>) async {
    replica = session.replica
    handle = session
    self.session = session.take(on: session.replica)
    start()
  }

  private func start() {
    let previousHandshake = session.hooks.onHandshake
    session.hooks.onHandshake = { [weak self] handshake in
      previousHandshake?(handshake)
      self?.assumeIsolated { $0.handshakeArrived(handshake) }
    }
    let previousClose = session.hooks.onClose
    session.hooks.onClose = { [weak self] error in
      previousClose?(error)
      self?.assumeIsolated { $0.closed(error) }
    }
    session.hooks.onExtension = {
      [extensionQueue, unowned session, weak self] channel, name, payload in
      if name == PeerProof.extensionName {
        self?.assumeIsolated { $0.proofArrived(payload) }
        return
      }
      guard let feed = session.discoveryKey(of: channel) else { return }
      extensionQueue.add(ExtensionMessage(name: name, payload: payload, feed: feed))
    }
    session.hooks.onOutput = { [weak self] in self?.assumeIsolated { $0.wakeOutput() } }
    ticker = Task { [weak self] in
      while let due = await self?.nextTick {
        guard (try? await Task.sleep(until: due, clock: .continuous)) != nil else { return }
        await self?.tick()
      }
    }
  }

  deinit {
    ticker?.cancel()
    // There is no transport left to carry its bytes.
    if !isDone { Task { [handle] in await Self.end(handle, on: handle.replica) } }
  }

  private static func end(
    _ session: OnReplica<ReplicationSession>, on replica: isolated Replica
  ) {
    session.take(on: replica).close()
  }

  /// The name of this side on the connection.
  public var id: [UInt8] { session.connection.options.id }

  // MARK: Bytes

  /// Receives bytes from the peer, cut anywhere. It is suspended while messages of extensions wait to be
  /// read, see ``extensionMessages()``, and while all peers of the process together hold too many bytes of
  /// incomplete messages and this one is among the largest: the transport reads on when it returns.
  public func receive(_ bytes: [UInt8]) async {
    session.receive(bytes, now: .now)
    await extensionQueue.waitForRoom()
    guard !isDone, !hold.set(session.connection.unparsedCount) else { return }
    waitingForRoom += 1
    await hold.waitForRoom()
    waitingForRoom -= 1
  }

  /// The reason why the connection ended, if the peer did what no working peer does.
  public var offence: (any Error)? {
    switch closeReason {
    case let error as ProtocolError where error.isOffence: error
    case let error as FeedError where error.isOffence: error
    default: nil
    }
  }

  /// Receives the end of the peer's output.
  public func finishInput() {
    session.finishInput(now: .now)
  }

  /// Returns the next bytes for the peer; waits until there are some.
  ///
  /// - Returns: nil when this side has ended: close the transport then. Also nil if the task was cancelled.
  public func nextOutput() async -> [UInt8]? {
    while true {
      guard let output = session.takeOutput(now: .now) else { return nil }
      if !output.isEmpty { return output }
      // Nothing else runs here between the look at the output and the wait.
      await withTaskCancellationHandler {
        await withCheckedContinuation { outputWaiter = $0 }
      } onCancel: {
        Task { await self.wakeOutput() }
      }
      if Task.isCancelled { return nil }
    }
  }

  /// Ends the connection. Without a reason, what is queued is still sent.
  public func close(_ reason: (any Error)? = nil) {
    if let reason { session.close(reason) } else { session.end() }
  }

  // MARK: Waiting

  /// Waits for the peer's handshake.
  ///
  /// - Returns: nil if the connection ended before.
  public func handshake() async -> Handshake? {
    if remote == nil, !isDone { await withCheckedContinuation { handshakeWaiters.append($0) } }
    return remote
  }

  /// Waits until the connection has ended: if it isn't live, until everything is exchanged.
  ///
  /// - Throws: the reason, if it was not a proper end; `CancellationError` if the task is cancelled before,
  ///   which leaves the connection as it is.
  public func finished() async throws {
    if !isDone {
      try Task.checkCancellation()
      lastCloseWaiter += 1
      let number = lastCloseWaiter
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          if Task.isCancelled {
            continuation.resume()
          } else {
            closeWaiters[number] = continuation
          }
        }
      } onCancel: {
        Task { await self.stopWaitingForClose(number) }
      }
      if !isDone { throw CancellationError() }
    }
    if let closeReason { throw closeReason }
  }

  private func stopWaitingForClose(_ number: UInt64) {
    closeWaiters.removeValue(forKey: number)?.resume()
  }

  /// True if the connection has ended.
  var isOver: Bool { isDone }

  /// The amounts that went through this connection, in bytes and frames.
  ///
  /// Stands for hypercore-protocol's `bytes` of a stream.
  public var statistics: Connection.Statistics { session.connection.statistics }

  // MARK: Parts

  /// The time of the next tick; nil once the connection has ended.
  private var nextTick: ContinuousClock.Instant? {
    isDone ? nil : session.nextTick(now: .now)
  }

  private func tick() {
    // The remote isn't silent while this side doesn't listen.
    if extensionQueue.isFull || waitingForRoom > 0 { session.receive([], now: .now) }
    session.tick(now: .now)
  }

  private func wakeOutput() {
    outputWaiter?.resume()
    outputWaiter = nil
  }

  private func handshakeArrived(_ handshake: Handshake) {
    remote = handshake
    sendKeyProof()
    for waiter in handshakeWaiters { waiter.resume() }
    handshakeWaiters = []
  }

  private func closed(_ error: (any Error)?) {
    isDone = true
    closeReason = error
    extensionQueue.finish()
    hold.end()
    ticker?.cancel()
    for waiter in handshakeWaiters + closeWaiters.values { waiter.resume() }
    handshakeWaiters = []
    closeWaiters = [:]
    endProofs()
  }
}
