import DatDNS
import DatSwarm
import Foundation
import NIOCore
import NIOPosix

/// A DNS server on loopback, over UDP and TCP, that answers as a test says.
final class SmallDNSServer: Sendable {
  /// Returns the answers to a packet or message, none for silence.
  typealias Answer = @Sendable (DNSMessage, _ isPacket: Bool) -> [DNSMessage]

  /// What the server answers.
  ///
  /// Unchecked with this proof: the closure and the counts are accessed under the lock only.
  private final class State: @unchecked Sendable {
    private let lock = NSLock()
    private var answer: Answer
    private var counts = (packets: 0, messages: 0)

    init(_ answer: @escaping Answer) { self.answer = answer }

    func set(_ answer: @escaping Answer) { lock.withLock { self.answer = answer } }

    func answers(_ bytes: [UInt8], isPacket: Bool) -> [[UInt8]] {
      guard let question = DNSMessage(decoding: bytes) else { return [] }
      let answer = lock.withLock {
        if isPacket { counts.packets += 1 } else { counts.messages += 1 }
        return self.answer
      }
      return answer(question, isPacket).compactMap { $0.encoded() }
    }

    var asked: (packets: Int, messages: Int) { lock.withLock { counts } }
  }

  let address: PeerAddress
  private let state: State
  private let channels: [any Channel]

  /// The numbers of packets and messages that came.
  var asked: (packets: Int, messages: Int) { state.asked }

  init(_ answer: @escaping Answer) async throws {
    let state = State(answer)
    self.state = state
    while true {
      let packets = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Packets(state: state))
          }
        }
        .bind(host: "127.0.0.1", port: 0).get()
      let port = packets.localAddress?.port ?? 0
      let streams = try? await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Streams(state: state))
          }
        }
        .bind(host: "127.0.0.1", port: port).get()
      // The port may be taken by TCP.
      guard let streams else {
        try await packets.close()
        continue
      }
      channels = [packets, streams]
      address = PeerAddress(host: "127.0.0.1", port: port)
      return
    }
  }

  func set(_ answer: @escaping Answer) { state.set(answer) }

  func close() async { for channel in channels { try? await channel.close() } }

  private final class Packets: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    let state: State

    init(state: State) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let envelope = unwrapInboundIn(data)
      for answer in state.answers(Array(envelope.data.readableBytesView), isPacket: true) {
        context.channel.writeAndFlush(
          AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer)),
          promise: nil)
      }
    }
  }

  private final class Streams: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    let state: State
    private var received: [UInt8] = []

    init(state: State) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      received += unwrapInboundIn(data).readableBytesView
      guard received.count > 2, received.count == 2 + Int(received[0]) << 8 + Int(received[1])
      else { return }
      for answer in state.answers(Array(received.dropFirst(2)), isPacket: false) {
        let bytes = [UInt8(answer.count >> 8), UInt8(answer.count & 255)] + answer
        // In two pieces, as networks cut them.
        context.channel.writeAndFlush(ByteBuffer(bytes: bytes.prefix(3)), promise: nil)
        context.channel.writeAndFlush(ByteBuffer(bytes: bytes.dropFirst(3)), promise: nil)
      }
    }
  }
}

extension DNSMessage {
  /// The answer to a question, with SRV records of these hosts.
  func answer(
    _ hosts: [(name: String, port: UInt16)], flags: UInt16 = 0x8180, ttl: UInt32 = 1,
    addresses: [String: [UInt8]] = [:]
  ) -> DNSMessage {
    let records = hosts.map { host in
      DNSRecord(
        questions.first?.name ?? DNSName(""),
        .service(priority: 0, weight: 0, port: host.port, target: DNSName(host.name)), ttl: ttl)
    }
    let more = addresses.sorted { $0.key < $1.key }.map {
      DNSRecord(DNSName($0.key), .address($0.value), ttl: ttl)
    }
    return DNSMessage(
      id: id, flags: flags, questions: questions, answers: records, additionals: more)
  }
}
