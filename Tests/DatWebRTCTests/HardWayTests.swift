#if WebRTC
  import DatSwarm
  import DatTesting
  import NIOConcurrencyHelpers
  import Testing

  @testable import DatWebRTC

  /// Connections over paths that lose and reorder, with peers that stop reading, and with those that lie.
  @Suite(.timeLimit(.minutes(1)))
  struct HardWayTests {
    typealias PatternStream = NativePairTests.PatternStream

    @Test(arguments: [1, 2] as [UInt64])
    func `what a way loses and reorders arrives whole`(seed: UInt64) async throws {
      let relay = try await LossyRelay(seed: seed, loss: 0.03, delays: 0...3)
      let one = try await WebRTCConnection(options: NativePairTests.loopback)
      let other = try await WebRTCConnection(options: NativePairTests.loopback)
      let carrying = [relay.carry(one, other, side: 0), relay.carry(other, one, side: 1)]
      await one.offer(label: "a label")
      try await one.opening()
      try await other.opening()
      let left = PatternStream(sending: 300_000, expecting: 300_000)
      let right = PatternStream(sending: 300_000, expecting: 300_000)
      async let first: Void = one.pump(left)
      async let second: Void = other.pump(right)
      _ = try? await (first, second)
      #expect(await left.received == 300_000)
      #expect(await right.received == 300_000)
      #expect(await left.isIntact)
      #expect(await right.isIntact)
      #expect(relay.counts.lost > 0, "seed \(seed)")
      for task in carrying { await task.value }
      await relay.close()
    }

    /// A stream that sends bytes for ever, and counts them.
    private final class EndlessStream: PeerStream {
      let taken = NIOLockedValueBox(0)
      let limit: Int
      init(limit: Int) { self.limit = limit }
      func receive(_ bytes: [UInt8]) async throws {}
      func nextOutput() async throws -> [UInt8]? {
        let total = taken.withLockedValue { total in
          total += 65_536
          return total
        }
        return total > limit ? nil : [UInt8](repeating: 7, count: 65_536)
      }
      func finishInput() async {}
      func close(_ error: (any Error)?) async {}
    }

    /// A stream that takes nothing until it may, and then everything.
    private actor StoppedStream: PeerStream {
      private(set) var received = 0
      private var isStopped = true
      private var waiter: CheckedContinuation<Void, Never>?
      private var hasEnded = false
      private var ending: CheckedContinuation<Void, Never>?

      func goOn() {
        isStopped = false
        waiter?.resume()
        waiter = nil
      }
      func receive(_ bytes: [UInt8]) async {
        if isStopped { await withCheckedContinuation { waiter = $0 } }
        received += bytes.count
      }
      func nextOutput() async -> [UInt8]? {
        if !hasEnded { await withCheckedContinuation { ending = $0 } }
        return nil
      }
      func finishInput() { end() }
      func close(_ error: (any Error)?) {
        goOn()
        end()
      }
      private func end() {
        hasEnded = true
        ending?.resume()
        ending = nil
      }
    }

    @Test func `a reader that stops holds its sender back, and then gets all`() async throws {
      let one = try await WebRTCConnection(options: NativePairTests.loopback)
      let other = try await WebRTCConnection(options: NativePairTests.loopback)
      let carrying = [NativePairTests.carry(one, other), NativePairTests.carry(other, one)]
      await one.offer(label: "a label")
      try await one.opening()
      try await other.opening()
      let sender = EndlessStream(limit: 64 << 20)
      let reader = StoppedStream()
      let pumping = Task { try? await one.pump(sender) }
      let reading = Task { try? await other.pump(reader) }
      // Until no more is taken: the buffers of both sides are full then.
      var (before, quiet) = (-1, 0)
      while quiet < 10 {
        try await Task.sleep(for: .milliseconds(50))
        let taken = sender.taken.withLockedValue { $0 }
        quiet = taken == before && taken > 0 ? quiet + 1 : 0
        before = taken
      }
      #expect(before < 8 << 20, "\(before) bytes were taken for a reader that takes none")
      await reader.goOn()
      await pumping.value
      await reading.value
      #expect(await reader.received == 64 << 20)
      for task in carrying { await task.value }
    }

    @Test func `a certificate that the description does not name ends the connection`() async throws
    {
      let one = try await WebRTCConnection(options: NativePairTests.loopback)
      let other = try await WebRTCConnection(options: NativePairTests.loopback)
      // A hub in between that inserts the fingerprint of a certificate of its own.
      let carrying = Task {
        for await signal in one.signals {
          guard case .offer(let sdp) = signal else {
            try? await other.apply(signal)
            continue
          }
          var description = try? SessionDescription(.offer, parsing: sdp.utf8)
          description?.fingerprint = [UInt8](repeating: 0xab, count: 32)
          try? await other.apply(.offer(description?.text(session: 1) ?? ""))
        }
      }
      let back = NativePairTests.carry(other, one)
      await one.offer(label: "a label")
      let error = await #expect(throws: WebRTCError.self) { try await other.opening() }
      #expect(error?.code == .certificate)
      await one.close()
      await carrying.value
      await back.value
    }

    @Test func `descriptions out of turn, and ten thousand candidates, harm nothing`() async throws
    {
      let one = try await WebRTCConnection(options: NativePairTests.loopback)
      let other = try await WebRTCConnection(options: NativePairTests.loopback)
      for number in 0..<10_000 {
        try await other.apply(
          .candidate("candidate:1 1 udp 7 192.0.2.\(number % 250 + 1) \(number + 1) typ host"))
      }
      let offer = Task {
        for await signal in one.signals {
          if case .offer(let sdp) = signal { return sdp }
        }
        return ""
      }
      await one.offer(label: "a label")
      let sdp = await offer.value
      try await other.apply(.offer(sdp))
      // The first one counts.
      try await other.apply(.offer(sdp))
      let third = try await WebRTCConnection(options: NativePairTests.loopback)
      let error = await #expect(throws: WebRTCError.self) { try await third.apply(.answer(sdp)) }
      #expect(error?.code == .description)
      for connection in [one, other, third] { await connection.close() }
      await #expect(throws: (any Error).self) { try await other.opening() }
    }

    @Test func `a task that is cancelled breaks its connection off`() async throws {
      let one = try await WebRTCConnection(options: NativePairTests.loopback)
      let other = try await WebRTCConnection(options: NativePairTests.loopback)
      let carrying = [NativePairTests.carry(one, other), NativePairTests.carry(other, one)]
      await one.offer(label: "a label")
      try await one.opening()
      try await other.opening()
      let pumping = Task { try await one.pump(StoppedStream()) }
      let reading = Task { try? await other.pump(StoppedStream()) }
      pumping.cancel()
      await #expect(throws: CancellationError.self) { try await pumping.value }
      await reading.value
      for task in carrying { await task.value }
    }
  }
#endif
