internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket

/// A handler that closes a connection without a whole request in time, unless one is being answered.
final class DeadlineHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  static let name = "deadline"

  private let limit: TimeAmount
  private var task: Scheduled<Void>?

  init(_ limit: TimeAmount) { self.limit = limit }

  func handlerAdded(context: ChannelHandlerContext) { start(context) }
  func handlerRemoved(context: ChannelHandlerContext) { task?.cancel() }

  private func start(_ context: ChannelHandlerContext) {
    task?.cancel()
    let channel = context.channel
    task = context.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    task?.cancel()
    context.fireChannelInactive()
  }

  /// Stops the timer when a whole request is here, while it is answered.
  func pause() { task?.cancel() }
  /// Restarts the timer for the next request once the answer is being sent.
  func restart(_ context: ChannelHandlerContext) { start(context) }
}

/// A handler that answers the requests of one connection: event streams, messages, the page.
final class HubHTTPHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart
  static let name = "hub"

  private let hub: Hub
  private let member: HubCore.Member
  private var head: HTTPRequestHead?
  private var body = ByteBuffer()
  private var isTooLarge = false
  /// True once an event stream has begun: nothing else is answered on this connection.
  private var isStreaming = false

  init(_ hub: Hub, _ member: HubCore.Member) {
    self.hub = hub
    self.member = member
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isStreaming else { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body.clear()
      isTooLarge = false
    case .body(var part):
      isTooLarge =
        isTooLarge || body.readableBytes + part.readableBytes > hub.options.limits.messageBytes
      if !isTooLarge { body.writeBuffer(&part) }
    case .end:
      if let head { answer(head, context) }
      head = nil
    }
  }

  private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    guard hub.rename(member, head) else {
      return respond(.tooManyRequests, "Too many connections from this address.\n", head, context)
    }
    let request = HubRequest(
      method: head.method.rawValue.utf8, target: head.uri.utf8, hasPage: hub.page != nil)
    switch request {
    case .preflight: respond(.ok, "", head, context)
    case .about:
      let text = #"{"name":"dat-signal","version":"1","subscribers":\#(hub.subscriberCount)}"#
      respond(.ok, text, head, context, kind: "application/json")
    case .listen(let application, let channels): listen(application, channels, head, context)
    case .say(let application, let channel): say(application, channel, head, context)
    case .page(let path): serve(path, head, context)
    case .socket, .unknown:
      respond(.notFound, "There is nothing here.\n", head, context)
    }
  }

  private func listen(
    _ application: [UInt8], _ channels: Set<[UInt8]>, _ head: HTTPRequestHead,
    _ context: ChannelHandlerContext
  ) {
    if let refusal = hub.subscribe(member, to: application, .channels(channels)) {
      let isName = refusal == .longName || refusal == .tooManyChannels
      return respond(
        isName ? .badRequest : .serviceUnavailable,
        isName ? "The names are too long or too many.\n" : "Too many listen already.\n", head,
        context)
    }
    isStreaming = true
    deadline(context)?.pause()
    let headers = headers(head, kind: "text/event-stream; charset=utf-8")
    context.write(
      wrapOutboundOut(
        .head(HTTPResponseHead(version: head.version, status: .ok, headers: headers))),
      promise: nil)
    // Some bytes at once: a client takes them as the sign that it is subscribed.
    context.writeAndFlush(
      wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: ":\n\n")))), promise: nil)
  }

  private func say(
    _ application: [UInt8], _ channel: [UInt8], _ head: HTTPRequestHead,
    _ context: ChannelHandlerContext
  ) {
    let limits = hub.options.limits
    if isTooLarge { return respond(.payloadTooLarge, "At most 64 KiB a message.\n", head, context) }
    if application.count > limits.nameBytes || channel.count > limits.nameBytes {
      return respond(.badRequest, "The names are too long.\n", head, context)
    }
    guard hub.takes(member) else {
      return respond(.tooManyRequests, "Too many messages from this address.\n", head, context)
    }
    hub.say(
      application, channel, event: HubMessage.event(body),
      frame: HubMessage.frame(application, channel, body))
    respond(.ok, "", head, context)
  }

  private func serve(_ path: [UInt8], _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    guard let file = hub.page?.file(at: path) else {
      return respond(.notFound, "There is no such file.\n", head, context)
    }
    respond(.ok, file.bytes, head, context, kind: file.kind)
  }

  // MARK: Responses

  private func headers(_ head: HTTPRequestHead, kind: String) -> HTTPHeaders {
    var headers: HTTPHeaders = [
      "content-type": kind, "access-control-allow-origin": "*", "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
    ]
    if head.method == .OPTIONS {
      headers.add(name: "access-control-allow-methods", value: "GET, POST, OPTIONS")
      headers.add(name: "access-control-allow-headers", value: "content-type")
      headers.add(name: "access-control-max-age", value: "86400")
    }
    return headers
  }

  private func respond(
    _ status: HTTPResponseStatus, _ text: String, _ head: HTTPRequestHead,
    _ context: ChannelHandlerContext, kind: String = "text/plain; charset=utf-8"
  ) {
    respond(status, Array(text.utf8), head, context, kind: kind)
  }

  private func respond(
    _ status: HTTPResponseStatus, _ bytes: [UInt8], _ head: HTTPRequestHead,
    _ context: ChannelHandlerContext, kind: String
  ) {
    var headers = headers(head, kind: kind)
    headers.add(name: "content-length", value: "\(bytes.count)")
    if !head.isKeepAlive { headers.add(name: "connection", value: "close") }
    context.write(
      wrapOutboundOut(
        .head(HTTPResponseHead(version: head.version, status: status, headers: headers))),
      promise: nil)
    if head.method != .HEAD, !bytes.isEmpty {
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
    }
    let channel = context.channel
    let isKept = head.isKeepAlive
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
      if !isKept { channel.close(promise: nil) }
    }
    deadline(context)?.restart(context)
  }

  private func deadline(_ context: ChannelHandlerContext) -> DeadlineHandler? {
    try? context.pipeline.syncOperations.handler(type: DeadlineHandler.self)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// A handler that passes on the messages of one WebSocket.
final class HubSocketHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let hub: Hub
  private let member: HubCore.Member
  private let application: [UInt8]
  private var message = ByteBuffer()
  private var isInside = false

  init(_ hub: Hub, _ member: HubCore.Member, application: [UInt8]) {
    self.hub = hub
    self.member = member
    self.application = application
  }

  /// Subscribes now and not before: messages are frames, which HTTP's handlers can't write.
  func handlerAdded(context: ChannelHandlerContext) {
    if hub.subscribe(member, to: application, .all) != nil { context.close(promise: nil) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    switch frame.opcode {
    case .text, .binary, .continuation:
      guard isInside == (frame.opcode == .continuation) else { return context.close(promise: nil) }
      var bytes = frame.unmaskedData
      guard message.readableBytes + bytes.readableBytes <= hub.options.limits.messageBytes else {
        return context.close(promise: nil)
      }
      message.writeBuffer(&bytes)
      isInside = !frame.fin
      if frame.fin { finish(context) }
    case .ping:
      context.writeAndFlush(
        wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)),
        promise: nil)
    case .connectionClose:
      let channel = context.channel
      context.writeAndFlush(
        wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: ByteBuffer()))
      ).whenComplete { _ in channel.close(promise: nil) }
    default: break
    }
  }

  /// Passes on a whole message: unchanged to WebSockets, and as an event to the streams of its channel.
  private func finish(_ context: ChannelHandlerContext) {
    defer { message = ByteBuffer() }
    // A client that sends too much is not cut off: its frames are dropped, as they are without subscribers.
    guard hub.takes(member), let parts = HubMessage.parts(ofFrame: message) else { return }
    hub.say(application, parts.channel, event: HubMessage.event(parts.message), frame: message)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
