#if WebRTC
  import DatSwarm
  import Foundation
  import Testing

  @testable import DatWebRTC

  /// Two connections in one process, over loopback.
  @Suite(.timeLimit(.minutes(1)))
  struct NativePairTests {
    /// A stream that sends a pattern and keeps what comes.
    actor PatternStream: PeerStream {
      private var left: Int
      private let expected: Int
      private(set) var received = 0
      private(set) var isIntact = true
      private var waiters: [CheckedContinuation<Void, Never>] = []

      init(sending: Int, expecting: Int) {
        left = sending
        total = sending
        expected = expecting
      }
      private let total: Int

      static func pattern(_ index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: index &* 31 &+ (index >> 8) &* 7 &+ (index >> 16) &* 13)
      }

      func receive(_ bytes: [UInt8]) {
        for byte in bytes {
          if byte != Self.pattern(received) { isIntact = false }
          received += 1
        }
        if received >= expected {
          for waiter in waiters { waiter.resume() }
          waiters = []
        }
      }

      func nextOutput() async -> [UInt8]? {
        if left == 0 {
          // It ends once everything of the other side is here.
          if received < expected { await withCheckedContinuation { waiters.append($0) } }
          return nil
        }
        let count = min(left, 60_000)
        let start = total - left
        left -= count
        return (start..<(start + count)).map(Self.pattern)
      }

      func finishInput() { close(nil) }
      func close(_ error: (any Error)?) {
        for waiter in waiters { waiter.resume() }
        waiters = []
      }
    }

    static var loopback: WebRTCOptions {
      var options = WebRTCOptions()
      options.hosts = ["127.0.0.1"]
      options.dialsLoopback = true
      return options
    }

    /// Carries signals between two connections until both have ended.
    static func carry(_ from: WebRTCConnection, _ to: WebRTCConnection) -> Task<Void, Never> {
      Task {
        for await signal in from.signals { try? await to.apply(signal) }
      }
    }

    @Test(arguments: [0, 1, 5_000_000])
    func `two connections carry bytes both ways, whole and in order`(count: Int) async throws {
      let one = try await WebRTCConnection(options: Self.loopback)
      let other = try await WebRTCConnection(options: Self.loopback)
      let carrying = [Self.carry(one, other), Self.carry(other, one)]
      await one.offer(label: "a label")
      try await one.opening()
      try await other.opening()
      let left = PatternStream(sending: count, expecting: 3)
      let right = PatternStream(sending: 3, expecting: count)
      async let first: Void = one.pump(left)
      async let second: Void = other.pump(right)
      _ = try? await (first, second)
      #expect(await right.received == count)
      #expect(await left.received == 3)
      #expect(await left.isIntact)
      #expect(await right.isIntact)
      for task in carrying { await task.value }
    }
  }
#endif
