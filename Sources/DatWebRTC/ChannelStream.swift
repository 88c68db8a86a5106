#if WebRTC
  internal import DatSwarm

  /// The channel as two streams of bytes, each with back-pressure: if nobody reads, the other side's window
  /// closes, and a write waits until the channel has room.
  @WebRTCActor
  final class ChannelStream {
    /// The unread bytes at which reading from the channel pauses, and those at which it resumes. Beyond them
    /// up to 1 MiB waits in SCTP's own buffer.
    private static let high = 256 << 10
    private static let low = 64 << 10

    private var channel: DataChannel?
    private var arrived: [[UInt8]] = []
    private var arrivedBytes = 0
    private var isPaused = false
    private var outcome: Result<Void, WebRTCError>?
    private var reader: CheckedContinuation<Void, Never>?
    private var writer: CheckedContinuation<Void, Never>?
    private var watch = WriteWatch()

    init(_ channel: DataChannel) { self.channel = channel }

    // MARK: Calls of the channel

    func received(_ bytes: UnsafeRawBufferPointer) {
      if outcome != nil { return }
      // Messages are small; joined here, a reader takes a burst at once.
      if let last = arrived.indices.last, arrived[last].count + bytes.count <= Self.low {
        arrived[last].append(contentsOf: bytes)
      } else {
        arrived.append(Array(bytes))
      }
      arrivedBytes += bytes.count
      if arrivedBytes > Self.high, !isPaused {
        isPaused = true
        channel?.setReading(false)
      }
      wakeReader()
    }

    func writable() { wakeWriter() }

    /// Notes the end of the channel, in order for nil.
    func ended(_ error: WebRTCError?) {
      guard outcome == nil else { return }
      outcome = error.map { .failure($0) } ?? .success(())
      channel = nil
      wakeReader()
      wakeWriter()
    }

    private func wakeReader() {
      reader?.resume()
      reader = nil
    }

    private func wakeWriter() {
      writer?.resume()
      writer = nil
    }

    // MARK: Calls of its users

    /// Returns the next bytes, or suspends until there are some; nil at the end.
    func next() async throws -> [UInt8]? {
      while arrived.isEmpty {
        switch outcome {
        case .failure(let error)?: throw error
        case .success?: return nil
        case nil: await untilWoken()
        }
        try Task.checkCancellation()
      }
      let bytes = arrived.removeFirst()
      arrivedBytes -= bytes.count
      if isPaused, arrivedBytes < Self.low {
        isPaused = false
        channel?.setReading(true)
      }
      return bytes
    }

    /// Suspends the reader until something has arrived or ended, or it is cancelled.
    ///
    /// Apart from ``next()``, which can throw: Swift 6.3's optimizer crashes if this is inlined there.
    @inline(never)
    private func untilWoken() async {
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          if Task.isCancelled { continuation.resume() } else { reader = continuation }
        }
      } onCancel: {
        Task { @WebRTCActor in self.wakeReader() }
      }
    }

    /// Sends all of these bytes, and waits for room.
    ///
    /// - Returns: false if the other side has closed the channel in order, so that nothing more can be sent.
    func write(_ bytes: [UInt8]) async throws -> Bool {
      watch.begin()
      defer { watch.end() }
      var rest = bytes[...]
      while !rest.isEmpty {
        guard let channel else {
          try outcome?.get()
          return false
        }
        let piece = rest.prefix(channel.maximumMessage)
        if try channel.send(piece) {
          rest = rest.dropFirst(piece.count)
          watch.begin()
          continue
        }
        await withTaskCancellationHandler {
          await withCheckedContinuation { continuation in
            if Task.isCancelled { continuation.resume() } else { writer = continuation }
          }
        } onCancel: {
          Task { @WebRTCActor in self.wakeWriter() }
        }
        try Task.checkCancellation()
      }
      return true
    }

    /// Returns true if nothing was taken since the last call, though there was something to send.
    func looksStuck() -> Bool { watch.looksStuck() }

    /// Ends this side's output: after what was written, the other side sees the end.
    func finish() { channel?.finish() }
  }
#endif
