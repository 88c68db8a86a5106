#if WebRTC
  import DatTesting
  import NIOConcurrencyHelpers
  import NIOCore
  import NIOPosix

  @testable import DatWebRTC

  /// A path between two peers on loopback that loses and reorders datagrams: a port for each side, behind which
  /// is the other.
  final class LossyRelay: Sendable {
    private final class Port: ChannelInboundHandler, Sendable {
      typealias InboundIn = AddressedEnvelope<ByteBuffer>

      struct State {
        var peer: SocketAddress?
        var other: (any Channel)?
        var otherPort: Port?
        var random: SeededRandom
        var passed = 0
        var lost = 0
      }
      let state: NIOLockedValueBox<State>
      private let loss: Double
      private let delays: ClosedRange<Int64>

      init(seed: UInt64, loss: Double, delays: ClosedRange<Int64>) {
        state = NIOLockedValueBox(State(random: SeededRandom(seed: seed)))
        self.loss = loss
        self.delays = delays
      }

      func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        let (way, delay) = state.withLockedValue { state in
          state.peer = envelope.remoteAddress
          let isLost = Double.random(in: 0..<1, using: &state.random) < loss
          let delay = Int64.random(in: delays, using: &state.random)
          if isLost { state.lost += 1 } else { state.passed += 1 }
          return (isLost ? nil : state.other.map { ($0, state.otherPort) }, delay)
        }
        guard let (channel, port) = way,
          let peer = port?.state.withLockedValue({ $0.peer })
        else { return }
        let packet = AddressedEnvelope(remoteAddress: peer, data: envelope.data)
        guard delay > 0 else { return channel.writeAndFlush(packet, promise: nil) }
        channel.eventLoop.scheduleTask(in: .milliseconds(delay)) {
          channel.writeAndFlush(packet, promise: nil)
        }
      }
    }

    private let channels: [any Channel]
    private let ports: [Port]

    init(seed: UInt64, loss: Double, delays: ClosedRange<Int64>) async throws {
      let ports = [seed, seed &+ 1].map { Port(seed: $0, loss: loss, delays: delays) }
      var channels: [any Channel] = []
      for port in ports {
        channels.append(
          try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
              channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(port)
              }
            }
            .bind(host: "127.0.0.1", port: 0).get())
      }
      for (own, other) in [(0, 1), (1, 0)] {
        ports[own].state.withLockedValue { state in
          state.other = channels[other]
          state.otherPort = ports[other]
        }
      }
      self.channels = channels
      self.ports = ports
    }

    /// The numbers of datagrams that were passed on, and of those that weren't.
    var counts: (passed: Int, lost: Int) {
      ports.reduce((0, 0)) { sum, port in
        port.state.withLockedValue { (sum.0 + $0.passed, sum.1 + $0.lost) }
      }
    }

    /// Carries the signals of one side to the other, with the relay's port in place of its address.
    func carry(_ from: WebRTCConnection, _ to: WebRTCConnection, side: Int) -> Task<Void, Never> {
      let port = UInt16(channels[1 - side].localAddress?.port ?? 0)
      let source = SocketAddress.loopback
      // Before its first packet a side is known by its candidates.
      return Task { [ports] in
        for await signal in from.signals {
          guard case .candidate(let text) = signal else {
            try? await to.apply(signal)
            continue
          }
          guard var candidate = ICECandidate(parsing: text.utf8) else { continue }
          ports[side].state.withLockedValue {
            $0.peer = $0.peer ?? source(Int(candidate.address.port))
          }
          candidate.address.port = port
          try? await to.apply(.candidate(candidate.description))
        }
      }
    }

    func close() async {
      for channel in channels { try? await channel.close() }
    }
  }

  extension SocketAddress {
    fileprivate static func loopback(_ port: Int) -> SocketAddress? {
      try? SocketAddress(ipAddress: "127.0.0.1", port: port)
    }
  }
#endif
