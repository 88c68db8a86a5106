public import HypercoreCrypto
internal import NIOCore
internal import NIOPosix

/// A TCP connection to one peer, opened by either side.
///
/// It reads next to nothing until ``pump(_:)`` drives a stream over it, and closes when it is released.
public final class PeerSocket: Sendable {
  /// The address of the other end; for a connection to a host name the one that answered.
  public let remoteAddress: PeerAddress
  /// The address of this end.
  public let localAddress: PeerAddress
  /// True if the other side opened the connection.
  public let isInbound: Bool
  /// The feed that the remote's first message names, if the listener waited for it. The pumped stream receives
  /// that message like all others.
  public let firstFeed: DiscoveryKey?

  typealias Wrapped = NIOAsyncChannel<ByteBuffer, ByteBuffer>
  private let wrapped: Wrapped
  private let ticket: Admission.Ticket?
  /// The record of offenders, if this connection was accepted.
  private let policy: AddressPolicy?
  private let state = Guarded(State())

  private struct State {
    var isPumped = false
    var isConfirmed = false
    /// The reason why this side closed it.
    var reason: SwarmError?
    var watch = WriteWatch()
    /// True once all output was sent.
    var isLingering = false
    var hasOffended = false
  }

  init(
    _ wrapped: Wrapped, remote: PeerAddress, local: PeerAddress, ticket: Admission.Ticket? = nil,
    policy: AddressPolicy? = nil, firstFeed: DiscoveryKey? = nil
  ) {
    self.wrapped = wrapped
    remoteAddress = remote
    localAddress = local
    isInbound = ticket != nil
    self.ticket = ticket
    self.policy = policy
    self.firstFeed = firstFeed
    ticket?.whenEvicted { [weak self] in
      self?.close(
        SwarmError(
          .closed,
          "The connection with \(remote) made room: all places were taken, most by its address."
        ))
    }
  }

  deinit { if !state.with({ $0.isPumped }) { Self.discard(wrapped) } }

  /// Closes an unused channel; merely releasing it is not enough.
  static func discard(_ wrapped: Wrapped) {
    Task { try? await wrapped.executeThenClose { _, _ in } }
  }

  private var channel: any Channel { wrapped.channel }

  /// True if ``confirm()`` was called.
  public var isConfirmed: Bool { state.with { $0.isConfirmed } }

  /// Notes that the peer has completed its handshake: the connection no longer counts among the half-open ones
  /// of its address, and if it ends, the next attempt comes soon.
  public func confirm() {
    state.with { $0.isConfirmed = true }
    ticket?.confirm()
  }

  /// Aborts the connection. A running ``pump(_:)`` then throws code `closed`.
  public func close() { close(closedHere) }

  private var closedHere: SwarmError {
    SwarmError(.closed, "The connection with \(remoteAddress) was closed here.")
  }

  private func close(_ reason: SwarmError) {
    state.with { if $0.reason == nil { $0.reason = reason } }
    channel.close(promise: nil)
  }

  /// Carries a stream's bytes both ways until both ends have finished.
  ///
  /// Nothing more is read from the socket while the stream handles what was read before, and the stream is
  /// asked for output only when the socket has room. The end of the remote's output becomes
  /// ``PeerStream/finishInput()``; the end of this side's output closes this half of the connection once all is
  /// sent. Cancelling the task aborts the connection.
  ///
  /// - Throws: the stream's error, ``SwarmError`` for failures of the connection, or
  ///   `CancellationError`. In every case the stream and the connection are closed afterwards.
  public func pump(_ stream: some PeerStream) async throws {
    do {
      try start()
      try await withTaskCancellationHandler {
        try await run(stream)
      } onCancel: {
        close()
        Task { await stream.close(CancellationError()) }
      }
    } catch {
      await noteOffence(of: stream)
      let failure = explained(error)
      await stream.close(failure)
      close()
      throw failure
    }
    await stream.close(nil)
  }

  /// Returns the error to report: this side's reason if it closed the connection; the stream's own unchanged.
  private func explained(_ error: any Error) -> any Error {
    if Task.isCancelled { return CancellationError() }
    switch error {
    case is IOError, is ChannelError, is NIOAsyncWriterError, is CancellationError, is SwarmError:
      return state.with { $0.reason }
        ?? SwarmError("The connection with \(remoteAddress) ended", error)
    default: return error
    }
  }

  /// Counts an offence that the stream reports against the remote's address, once.
  private func noteOffence(of stream: some PeerStream) async {
    guard let policy, await stream.offence != nil else { return }
    let isFirst = state.with { state in
      defer { state.hasOffended = true }
      return !state.hasOffended
    }
    if isFirst { policy.offended(remoteAddress, now: .now) }
  }

  // MARK: Starting

  private func start() throws {
    let isFirst = state.with { state in
      defer { state.isPumped = true }
      return !state.isPumped
    }
    guard isFirst else {
      throw SwarmError(.failed, "The connection with \(remoteAddress) is in use already.")
    }
    watchWrites(every: TCPOptions.stallLimit)
  }

  /// Closes the connection if the remote takes nothing for a whole period. A stream that waits for room in the
  /// socket can't notice that by itself.
  private func watchWrites(every period: TimeAmount) {
    let watch = channel.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) {
      [weak self] task in
      guard let self else { return task.cancel() }
      let (isStuck, isLingering) = state.with { ($0.watch.looksStuck(), $0.isLingering) }
      guard isStuck else { return }
      task.cancel()
      // Everything is sent: no failure, even if the remote never ends its side.
      if isLingering { return channel.close(promise: nil) }
      close(SwarmError(.stalled, "\(remoteAddress) took nothing of what was sent for too long."))
    }
    channel.closeFuture.whenComplete { _ in watch.cancel() }
  }

  // MARK: Running

  private func run(_ stream: some PeerStream) async throws {
    try await wrapped.executeThenClose { inbound, outbound in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await self.read(inbound, stream) }
        group.addTask { try await self.write(outbound, stream) }
        do {
          while try await group.next() != nil {}
        } catch {
          let failure = self.explained(error)
          self.close((failure as? SwarmError) ?? self.closedHere)
          await stream.close(failure)
          throw failure
        }
      }
    }
  }

  /// The largest read that counts as a keep-alive, which an idle peer sends too.
  private static let idleBytes = 4

  private func read(
    _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ stream: some PeerStream
  ) async throws {
    var iterator = inbound.makeAsyncIterator()
    // The buffer is released before the stream suspends: under attack many calls are suspended.
    while let bytes = try await iterator.next().map({ Array(buffer: $0) }) {
      if bytes.count > Self.idleBytes { ticket?.noteActivity(now: .now) }
      try await stream.receive(bytes)
    }
    // The sequence ends the same way when the remote has finished, when this side closed, and when cancelled.
    try Task.checkCancellation()
    if let reason = state.with({ $0.reason }) { throw reason }
    await stream.finishInput()
  }

  /// The most bytes handed to the socket at once: more than a turn's output, unless that holds a large block.
  private static let pieceBytes = 512 << 10

  private func write(
    _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ stream: some PeerStream
  ) async throws {
    while let bytes = try await stream.nextOutput() {
      guard !bytes.isEmpty else { continue }
      // A large block is sent in pieces: the remote may be slow to take it, and each piece is a copy.
      var rest = bytes[...]
      while !rest.isEmpty {
        let piece = rest.prefix(Self.pieceBytes)
        rest = rest.dropFirst(piece.count)
        state.with { $0.watch.begin() }
        try await outbound.write(ByteBuffer(bytes: piece))
        state.with { $0.watch.end() }
      }
    }
    // Before the remote can reconnect.
    await noteOffence(of: stream)
    // Closing this half while the remote's is closed closes the whole channel, together with what is queued.
    // So an empty write follows all others, and its completion shows that they are done.
    state.with { $0.watch.begin() }
    try await channel.writeAndFlush(ByteBuffer()).get()
    // From here on the remote has a limited time to end its side.
    state.with { $0.isLingering = true }
    outbound.finish()
  }
}
