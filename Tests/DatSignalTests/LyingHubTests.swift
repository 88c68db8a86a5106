import NIOCore
import NIOPosix
import Testing

@testable import DatSignal

/// Servers that are none of the hubs they are taken for.
@Suite(.timeLimit(.minutes(1)))
struct LyingHubTests {
  /// Answers each request with the same bytes, whatever was asked.
  private final class Answers: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let bytes: [UInt8]
    private let closes: Bool

    init(_ bytes: [UInt8], closes: Bool) {
      self.bytes = bytes
      self.closes = closes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
      if closes { context.close(promise: nil) }
    }
  }

  /// The first events of a client whose hub answers with these bytes.
  private func events(
    _ kind: String, _ bytes: [UInt8], closes: Bool = false, count: Int
  ) async throws -> [SignalHub.Event] {
    let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Answers(bytes, closes: closes))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    var options = SignalHub.Options()
    options.pauses = [.milliseconds(50)]
    let address = try HubAddress(
      parsing: "\(kind)://127.0.0.1:\(server.localAddress?.port ?? 0)")
    let hub = SignalHub(address, application: "room", id: "a", options: options)
    var events: [SignalHub.Event] = []
    for await event in hub.events {
      events.append(event)
      if events.count == count { break }
    }
    await hub.close()
    try await server.close()
    return events
  }

  @Test(arguments: ["ws", "http"], [false, true])
  func `a server that answers with anything is told in a sentence, and tried again`(
    kind: String, closes: Bool
  ) async throws {
    for bytes in [[UInt8](repeating: 0xff, count: 1000), Array("220 mail.example.org\r\n".utf8)] {
      for event in try await events(kind, bytes, closes: closes, count: 2) {
        guard case .disconnected(let error, again: _) = event else {
          Issue.record("\(event)")
          continue
        }
        #expect(
          error.reason.utf8.starts(with: "\(kind)://127.0.0.1:".utf8)
            || error.reason.utf8.starts(with: "The signal hub \(kind)://127.0.0.1:".utf8))
      }
    }
  }

  @Test(arguments: [
    ("ws", "can't be reached: nothing listens there."),
    ("wss", "can't be reached: nothing listens there."),
  ])
  func `a hub that isn't there is told in words`(kind: String, end: String) async throws {
    let hub = SignalHub(
      try HubAddress(parsing: "\(kind)://127.0.0.1:1"), application: "room", id: "a")
    for await event in hub.events {
      guard case .disconnected(let error, again: _) = event else { continue }
      #expect(error.reason == "The signal hub \(kind)://127.0.0.1:1 \(end)")
      break
    }
    await hub.close()
  }

  @Test(arguments: [
    ("wss", "it speaks no TLS; is it ws:// or http://?"), ("http", "it speaks no HTTP."),
  ])
  func `a hub that speaks something else is told in words`(kind: String, end: String) async throws {
    let events = try await events(kind, Array("220 mail.example.org\r\n".utf8), count: 1)
    guard case .disconnected(let error, again: _) = events[0] else {
      Issue.record("\(events)")
      return
    }
    #expect(
      error.reason.utf8.suffix(end.utf8.count + 1).firstRange(of: end.utf8) != nil, "\(error)")
  }

  @Test func `what a hub sends that is no message is passed over`() async throws {
    let lines = [
      "HTTP/1.1 200 OK", "content-type: text/event-stream", "", "data", "data: {", "",
      "data: [[[[[[", "", "data: \u{0}\u{ffff}", "", "id: 7", "retry: x", "",
      "data: {\"type\":\"connect\",\"from\":\"bea\"}", "", "",
    ]
    let events = try await events("http", Array(lines.joined(separator: "\r\n").utf8), count: 2)
    #expect(events == [.connected, .message(.connect(from: "bea", isNative: false))])
  }

  @Test func `a message without end costs a hub its connection`() async throws {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: "
    let events = try await events(
      "http", Array(head.utf8) + [UInt8](repeating: 0x61, count: 200_000), count: 2)
    guard case .connected = events[0], case .disconnected(let error, again: _) = events[1] else {
      Issue.record("\(events)")
      return
    }
    #expect(error.code == .notAHub)
  }
}
