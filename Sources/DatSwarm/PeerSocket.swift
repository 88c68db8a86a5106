public import HypercoreCrypto
internal import NIOCore
internal import NIOPosix

/// A TCP connection to one peer, opened by either side.
///
/// It reads next to nothing until ``pump(_:)`` drives a stream over it, and closes when it is let go of.
public final class PeerSocket: Sendable {
  /// The other end; for a connection to a host name the address that answered.
  public let remoteAddress: PeerAddress
  /// Our end.
  public let localAddress: PeerAddress
  /// Whether the other side opened the connection.
  public let isInbound: Bool
  /// The feed that the remote's first message names, where the listener waited for that. The stream
  /// that is pumped gets that message like all others.
  public let firstFeed: DiscoveryKey?

  typealias Wrapped = NIOAsyncChannel<ByteBuffer, ByteBuffer>
  private let wrapped: Wrapped
  private let ticket: Admission.Ticket?
  /// What remembers who did harm, where this was accepted.
  private let policy: AddressPolicy?
  private let state = Guarded(State())

  private struct State {
    var isPumped = false
    var isConfirmed = false
    /// Why we closed it ourselves.
    var reason: SwarmError?
    var watch = WriteWatch()
    /// All of ours was sent.
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

  /// Closes a channel that nobody uses; letting go of it is not enough.
  static func discard(_ wrapped: Wrapped) {
    Task { try? await wrapped.executeThenClose { _, _ in } }
  }

  private var channel: any Channel { wrapped.channel }

  /// Whether ``confirm()`` was called.
  public var isConfirmed: Bool { state.with { $0.isConfirmed } }

  /// Says that the peer completed its handshake: it no longer counts among the half-open connections
  /// of its address, and the next try to reach it, should the connection end, comes soon.
  public func confirm() {
    state.with { $0.isConfirmed = true }
    ticket?.confirm()
  }

  /// Breaks the connection off, whatever is under way. ``pump(_:)`` then throws code `closed`.
  public func close() { close(closedHere) }

  private var closedHere: SwarmError {
    SwarmError(.closed, "The connection with \(remoteAddress) was closed here.")
  }

  private func close(_ reason: SwarmError) {
    state.with { if $0.reason == nil { $0.reason = reason } }
    channel.close(promise: nil)
  }

  /// Carries a stream's bytes both ways until both ends have said all.
  ///
  /// Nothing is read from the socket while the stream takes what was read before; the stream is asked
  /// for output when the socket has room. The remote's end of sending becomes
  /// ``PeerStream/finishInput()``, the end of our output closes our half of the connection once all is
  /// sent. Cancelling the task breaks the connection off.
  ///
  /// - Throws: what the stream threw, ``SwarmError`` for failures of the connection, or
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

  /// The error to report: ours, where we closed; the stream's own as it is.
  private func explained(_ error: any Error) -> any Error {
    if Task.isCancelled { return CancellationError() }
    switch error {
    case is IOError, is ChannelError, is NIOAsyncWriterError, is CancellationError, is SwarmError:
      return state.with { $0.reason }
        ?? SwarmError("The connection with \(remoteAddress) ended", error)
    default: return error
    }
  }

  /// Counts against the remote's address, once, what the stream blames it for.
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

  /// Closes the connection when the remote takes nothing for a whole period: a stream that waits for
  /// room in the socket can't notice that by itself.
  private func watchWrites(every period: TimeAmount) {
    let watch = channel.eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) {
      [weak self] task in
      guard let self else { return task.cancel() }
      let (isStuck, isLingering) = state.with { ($0.watch.looksStuck(), $0.isLingering) }
      guard isStuck else { return }
      task.cancel()
      // All is said and sent: no failure, even if the remote never says so.
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

  /// So little at a time is a keep-alive, which an idle peer sends too.
  private static let idleBytes = 4

  private func read(
    _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ stream: some PeerStream
  ) async throws {
    var iterator = inbound.makeAsyncIterator()
    // The buffer is let go of before the stream suspends us: under attack many are suspended.
    while let bytes = try await iterator.next().map({ Array(buffer: $0) }) {
      if bytes.count > Self.idleBytes { ticket?.noteActivity(now: .now) }
      try await stream.receive(bytes)
    }
    // The sequence ends alike when the remote has said all, when we closed, and when cancelled.
    try Task.checkCancellation()
    if let reason = state.with({ $0.reason }) { throw reason }
    await stream.finishInput()
  }

  /// How much is handed to the socket at once: more than a turn's output, but for a large block's.
  private static let pieceBytes = 512 << 10

  private func write(
    _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ stream: some PeerStream
  ) async throws {
    while let bytes = try await stream.nextOutput() {
      guard !bytes.isEmpty else { continue }
      // A large block goes in pieces: the remote may be slow to take it, and each is a copy.
      var rest = bytes[...]
      while !rest.isEmpty {
        let piece = rest.prefix(Self.pieceBytes)
        rest = rest.dropFirst(piece.count)
        state.with { $0.watch.begin() }
        try await outbound.write(ByteBuffer(bytes: piece))
        state.with { $0.watch.end() }
      }
    }
    // Before the remote can come again.
    await noteOffence(of: stream)
    // Closing our half while the remote's is closed closes the whole channel, with what is queued. So
    // an empty write follows all others and tells when they are done.
    state.with { $0.watch.begin() }
    try await channel.writeAndFlush(ByteBuffer()).get()
    // From here on the remote has a while to end its side.
    state.with { $0.isLingering = true }
    outbound.finish()
  }
}
