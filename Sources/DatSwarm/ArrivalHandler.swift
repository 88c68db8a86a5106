internal import HypercoreCrypto
internal import HypercoreProtocol
internal import NIOCore

/// A channel handler that hands a connection over once it is usable: after it was set up and, if requested,
/// after the remote has named the feed of the connection.
///
/// It precedes the handler that tasks read from, and buffers what arrives until then.
final class ArrivalHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  var arrived: ((_ local: PeerAddress, _ firstFeed: DiscoveryKey?) -> Void)?
  var refused: ((SwarmEvent.Refusal) -> Void)?
  /// Called if the connection is not handed over: merely releasing its channel is not enough.
  var discard: (() -> Void)?
  private let timeout: TimeAmount?
  private var deadline: Scheduled<Void>?
  private var kept = ByteBuffer()
  private var isClosing = false

  init(waiting timeout: Duration?) { self.timeout = timeout.map { TimeAmount($0) } }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    guard let timeout else { return handOver(context, nil) }
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
      self.refuse(context, .silent)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var buffer = unwrapInboundIn(data)
    guard timeout != nil, !isClosing else { return context.fireChannelRead(data) }
    kept.writeBuffer(&buffer)
    do {
      // Refused as soon as it can be no beginning, so at most one read and a few bytes are kept.
      guard let feed = try Connection.peek(Array(kept.readableBytesView)) else {
        if kept.readableBytes > Self.maximumKept { refuse(context, .malformed) }
        return
      }
      handOver(context, feed)
    } catch {
      refuse(context, .malformed)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { finish() }

  /// More than any first message needs, padding and keep-alives included.
  private static let maximumKept = 4096

  private func handOver(_ context: ChannelHandlerContext, _ feed: DiscoveryKey?) {
    discard = nil
    arrived?(PeerAddress(context.localAddress) ?? PeerAddress(host: "", port: 0), feed)
    finish()
    if kept.readableBytes > 0 {
      context.fireChannelRead(wrapInboundOut(kept))
      context.fireChannelReadComplete()
    }
    context.pipeline.syncOperations.removeHandler(self, promise: nil)
  }

  private func refuse(_ context: ChannelHandlerContext, _ why: SwarmEvent.Refusal) {
    guard !isClosing else { return }
    isClosing = true
    refused?(why)
    kept.clear()
    finish()
    context.close(promise: nil)
  }

  private func finish() {
    deadline?.cancel()
    arrived = nil
    discard?()
    discard = nil
  }
}
