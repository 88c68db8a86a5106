#if WebRTC
  import DatSwarm
  import Hypercore
  import NIOCore
  import NIOPosix
  import RandomAccessStorage
  import Testing

  @testable import DatWebRTC

  /// A TURN server that refuses each request with one error code.
  final class RefusingRelay: Sendable {
    private final class Handler: ChannelInboundHandler, Sendable {
      typealias InboundIn = AddressedEnvelope<ByteBuffer>
      private let code: Int

      init(code: Int) { self.code = code }

      func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var envelope = unwrapInboundIn(data)
        // RFC 8489, sections 5 and 14.8: the request's method and transaction, and the one attribute.
        guard let method = envelope.data.readInteger(as: UInt16.self), method & 0x0110 == 0,
          envelope.data.readInteger(as: UInt16.self) != nil,
          let transaction = envelope.data.readBytes(length: 16)
        else { return }
        var answer = ByteBuffer()
        answer.writeInteger(method | 0x0110)
        answer.writeInteger(UInt16(8))
        answer.writeBytes(transaction)
        answer.writeInteger(UInt16(0x0009))
        answer.writeInteger(UInt16(4))
        answer.writeBytes([0, 0, UInt8(code / 100), UInt8(code % 100)])
        context.writeAndFlush(
          wrapOutboundOut(
            AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: answer)), promise: nil)
      }

      typealias OutboundOut = AddressedEnvelope<ByteBuffer>
    }

    private let channel: any Channel

    init(code: Int) async throws {
      channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Handler(code: code))
          }
        }
        .bind(host: "127.0.0.1", port: 0).get()
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    func close() async throws { try await channel.close() }
  }

  @Suite(.timeLimit(.minutes(1)))
  struct ServerTroublesTests {
    private let relay = HelpingServer(
      relays: true,
      address: TransportAddress(host: Array("192.0.2.7".utf8), port: 3478)!)

    @Test func `a server that fails is told once, until it has served again`() async {
      let troubles = ServerTroubles()
      let sentence = "The TURN server 192.0.2.7:3478 refuses to relay, with code 486."
      #expect(await troubles.heard(of: relay, .refused(486)) == sentence)
      #expect(await troubles.heard(of: relay, .refused(486)) == nil)
      #expect(await troubles.heard(of: relay, .silent) == nil)
      #expect(
        await troubles.standing == [
          "The TURN server 192.0.2.7:3478 has not answered: look whether that is its address, and whether it runs."
        ])
      #expect(await troubles.heard(of: relay, .serves) == nil)
      #expect(await troubles.standing.isEmpty)
      #expect(await troubles.heard(of: relay, .refused(486)) == sentence)
    }

    @Test func `a wrong password is called so`() async {
      #expect(
        await ServerTroubles().heard(of: relay, .refused(401))
          == "The TURN server 192.0.2.7:3478 refuses the account: look at its name and password.")
    }

    @Test func `a TURN server that refuses is told, and peers meet without it`() async throws {
      let hub = try await TestHub()
      let refusing = try await RefusingRelay(code: 486)
      var options = NativePairTests.loopback
      options.turnServers = [
        .init(host: "127.0.0.1", port: refusing.port, username: "ana", password: "secret")
      ]
      let one = await HubNode([try hub.address()], webRTC: options)
      let other = await HubNode([try hub.address()])
      let feed = try await Feed.open(storage: MemoryStorage())
      try await feed.append([UInt8]("a block".utf8))
      var copyOptions = Feed.Options()
      copyOptions.key = feed.key
      let copy = try await Feed.open(storage: MemoryStorage(), options: copyOptions)
      await one.join(feed)
      await other.join(copy)
      let sentence =
        "The TURN server 127.0.0.1:\(refusing.port) refuses to relay, with code 486."
      await one.waits {
        if case .trouble(_, let reason) = $0 { reason == sentence } else { false }
      }
      #expect(try await copy.get(0) == [UInt8]("a block".utf8))
      #expect(await one.swarm.troubles.contains { $0.hasSuffix(sentence) })
      await one.swarm.close()
      await other.swarm.close()
      try await refusing.close()
      await hub.close()
    }
  }
#endif
