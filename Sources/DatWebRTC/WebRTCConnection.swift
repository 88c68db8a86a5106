#if WebRTC
  package import DatSwarm

  /// A connection to one peer through a WebRTC data channel, from its description on.
  ///
  /// Stands for simple-peer. The caller carries the descriptions to the other side: with a ``SignalHub``, or
  /// anything else that transmits text.
  @WebRTCActor
  package final class WebRTCConnection {
    /// A word to be carried to the other side, in order.
    package enum Signal: Hashable, Sendable {
      /// An offer's SDP.
      case offer(String)
      /// An answer's SDP.
      case answer(String)
      /// One more address, as `candidate:…`.
      case candidate(String)
    }

    /// The words to be carried, until the connection is over.
    package nonisolated let signals: AsyncStream<Signal>
    private let outgoing: AsyncStream<Signal>.Continuation
    private var channel: DataChannel?
    private var stream: ChannelStream?
    private var outcome: Result<Void, WebRTCError>?
    private var openWaiters: [CheckedContinuation<Void, any Error>] = []
    private var hasOpened = false
    private var candidateCount = 0

    /// The most candidates taken from one peer; more are ignored.
    package nonisolated static let candidateLimit = 64

    /// A connection that waits for an offer.
    ///
    /// - Parameter heard: what each STUN or TURN server has said.
    package init(
      options: WebRTCOptions = WebRTCOptions(),
      heard: @escaping @WebRTCActor (HelpingServer, HelpingServer.Outcome) -> Void = { _, _ in }
    ) throws {
      // A description and a score of addresses; no real peer offers more than that.
      (signals, outgoing) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(128))
      let channel = try DataChannel(
        options,
        events: DataChannel.Events(
          described: { [weak self] kind, text in
            self?.outgoing.yield(kind == .offer ? .offer(text) : .answer(text))
          },
          candidate: { [weak self] text in self?.outgoing.yield(.candidate(text)) },
          server: heard,
          opened: { [weak self] in self?.opened() },
          received: { [weak self] bytes in self?.stream?.received(bytes) },
          writable: { [weak self] in self?.stream?.writable() },
          ended: { [weak self] error in self?.ended(error) }))
      self.channel = channel
      stream = ChannelStream(channel)
    }

    // MARK: Signals

    /// Offers a connection, with a channel of this label.
    package func offer(label: String) { channel?.offer(label: label) }

    /// Applies a signal of the other side.
    ///
    /// - Throws: ``WebRTCError`` with code `description` if an offer or answer can't be read or comes out of
    ///   turn.
    package func apply(_ kind: Signal) throws(WebRTCError) {
      switch kind {
      case .offer(let text): try apply(SessionDescription(.offer, parsing: text.utf8))
      case .answer(let text): try apply(SessionDescription(.answer, parsing: text.utf8))
      case .candidate(let text):
        candidateCount += 1
        guard candidateCount <= Self.candidateLimit,
          let candidate = ICECandidate(parsing: text.utf8)
        else {
          return
        }
        channel?.add(candidate)
      }
    }

    private func apply(_ description: SessionDescription) throws(WebRTCError) {
      try channel?.apply(description)
    }

    // MARK: Life

    private func opened() {
      hasOpened = true
      for waiter in openWaiters { waiter.resume() }
      openWaiters = []
    }

    private func ended(_ error: WebRTCError) { end(error, isProper: error.code == .closed) }

    private func end(_ error: WebRTCError, isProper: Bool) {
      guard outcome == nil else { return }
      outcome = isProper ? .success(()) : .failure(error)
      stream?.ended(isProper ? nil : error)
      for waiter in openWaiters { waiter.resume(throwing: error) }
      openWaiters = []
      outgoing.finish()
      // Not within a call of the library.
      Task { @WebRTCActor [weak self] in self?.release() }
    }

    private func release() {
      channel?.close()
      channel = nil
    }

    /// The reason why it ended before it was open; nil if it hasn't, or was.
    var failureToOpen: WebRTCError? {
      guard !hasOpened, let outcome else { return nil }
      if case .failure(let error) = outcome { return error }
      return WebRTCError(.closed, "The peer closed the connection.")
    }

    /// Returns when the channel is open.
    ///
    /// - Throws: ``WebRTCError`` if it ends before; `CancellationError`.
    package func opening() async throws {
      if hasOpened { return }
      if let failureToOpen { throw failureToOpen }
      try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation {
          (continuation: CheckedContinuation<Void, any Error>) in
          if Task.isCancelled {
            continuation.resume(throwing: CancellationError())
          } else {
            openWaiters.append(continuation)
          }
        }
      } onCancel: {
        Task { @WebRTCActor in self.close() }
      }
    }

    /// The address of the other side once a path was found; if that is relayed, the address of the relay.
    package var remoteAddress: PeerAddress? {
      (channel?.path?.address).map { PeerAddress(host: $0.host, port: Int($0.port)) }
    }

    /// True if a relay is between, of either side.
    package var isRelayed: Bool { channel?.path?.isRelayed ?? false }

    /// Aborts the connection; ``pump(_:)`` then throws code `closed`.
    package func close() {
      end(WebRTCError(.closed, "The connection was closed here."), isProper: false)
    }

    /// The time that the other side may take to end its direction, once all of ours was sent.
    private nonisolated static let lingering = Duration.seconds(10)
    /// The time that one write may take, within a factor of two.
    private nonisolated static let stallLimit = Duration.seconds(30)

    /// Carries a stream's bytes both ways until both ends have finished. A data channel can't be half closed:
    /// once the other side has closed it, the rest of this side's output is lost.
    ///
    /// - Throws: the stream's error, ``WebRTCError`` for failures of the connection, or
    ///   `CancellationError`. In every case both are closed afterwards.
    @concurrent
    package nonisolated func pump(_ stream: some PeerStream) async throws {
      do {
        try await withTaskCancellationHandler {
          try await run(stream)
        } onCancel: {
          Task { @WebRTCActor in self.close() }
          Task { await stream.close(CancellationError()) }
        }
      } catch {
        let failure = Task.isCancelled ? CancellationError() : error
        await stream.close(failure)
        await close()
        throw failure
      }
      await stream.close(nil)
      await close()
    }

    private enum Half { case read, wrote, lingered }

    @concurrent
    private nonisolated func run(_ stream: some PeerStream) async throws {
      guard let bytes = await self.stream else { return }
      try await withThrowingTaskGroup(of: Half.self) { group in
        group.addTask {
          while let arrived = try await bytes.next() { try await stream.receive(arrived) }
          await stream.finishInput()
          return .read
        }
        group.addTask {
          while let output = try await stream.nextOutput(), try await bytes.write(output) {}
          await bytes.finish()
          return .wrote
        }
        group.addTask { try await self.watch(bytes) }
        defer { group.cancelAll() }
        var left: Set<Half> = [.read, .wrote]
        do {
          while !left.isEmpty, let half = try await group.next() {
            if half == .lingered { return }
            left.remove(half)
            if half == .wrote {
              group.addTask {
                try await Task.sleep(for: Self.lingering)
                return .lingered
              }
            }
          }
        } catch {
          await stream.close(error)
          throw error
        }
      }
    }

    /// Ends the connection if the other side takes nothing for a whole period.
    @concurrent
    private nonisolated func watch(_ bytes: ChannelStream) async throws -> Half {
      while true {
        try await Task.sleep(for: Self.stallLimit)
        if await bytes.looksStuck() {
          throw WebRTCError(.unreachable, "The peer took nothing of what was sent for too long.")
        }
      }
    }
  }
#endif
