package import HTTPTypes
internal import NIOConcurrencyHelpers
package import NIOCore
internal import NIOHTTPTypes

/// The places of a small server's connections: strangers have few, and short ones; those that have shown
/// that they may are not among them.
///
/// Any user of the machine can open connections to a server on loopback, and say half a request on each. So
/// where the strangers' places are taken the oldest makes room, and the page's own requests, which show the
/// secret, come first.
package final class ConnectionPlaces: Sendable {
  /// What a stranger gets.
  package struct Limits: Sendable {
    /// Connections at a time: a browser opens six for a page.
    package var strangers = 32
    /// How long the head of the first request may take; on loopback it comes at once.
    package var head = TimeAmount.seconds(5)
    /// How long a connection lasts at most, that of a slow reader too: browsers open another.
    package var life = TimeAmount.seconds(30)

    package init() {}
  }

  private struct State {
    /// How strangers are closed, by the order in which they came.
    var strangers: [UInt64: @Sendable () -> Void] = [:]
    var last: UInt64 = 0
    var evicted = 0
  }

  let limits: Limits
  private let isOwn: @Sendable (HTTPRequest) -> Bool
  private let state = NIOLockedValueBox(State())

  /// - Parameters:
  ///   - limits: what strangers get.
  ///   - isOwn: whether a request shows that its connection is none of theirs.
  package init(_ limits: Limits = Limits(), isOwn: @escaping @Sendable (HTTPRequest) -> Bool) {
    self.limits = limits
    self.isOwn = isOwn
  }

  /// How many strangers are connected.
  package var strangerCount: Int { state.withLockedValue { $0.strangers.count } }
  /// How many made room so far.
  package var evictedCount: Int { state.withLockedValue { $0.evicted } }

  /// What stands in a connection's pipeline behind the decoding of HTTP.
  package func handler() -> any RemovableChannelHandler { PlaceHandler(self) }

  fileprivate func enter(_ close: @escaping @Sendable () -> Void) -> UInt64 {
    let (number, oldest) = state.withLockedValue { state -> (UInt64, (@Sendable () -> Void)?) in
      state.last += 1
      state.strangers[state.last] = close
      guard state.strangers.count > limits.strangers, let oldest = state.strangers.keys.min() else {
        return (state.last, nil)
      }
      state.evicted += 1
      return (state.last, state.strangers.removeValue(forKey: oldest))
    }
    oldest?()
    return number
  }

  fileprivate func leave(_ number: UInt64) {
    state.withLockedValue { _ = $0.strangers.removeValue(forKey: number) }
  }

  fileprivate func accepts(_ request: HTTPRequest) -> Bool { isOwn(request) }
}

/// Looks at the heads of one connection's requests, and closes it when it has taken too long for one.
final class PlaceHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart

  private let places: ConnectionPlaces
  private var number: UInt64?
  private var deadline: Scheduled<Void>?
  private var end: Scheduled<Void>?

  init(_ places: ConnectionPlaces) { self.places = places }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    number = places.enter { channel.close(promise: nil) }
    let loop = context.eventLoop.assumeIsolated()
    deadline = loop.scheduleTask(in: places.limits.head) { channel.close(promise: nil) }
    end = loop.scheduleTask(in: places.limits.life) { channel.close(promise: nil) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let request) = unwrapInboundIn(data) {
      deadline?.cancel()
      if number != nil, places.accepts(request) { leave() }
    }
    context.fireChannelRead(data)
  }

  func channelInactive(context: ChannelHandlerContext) {
    leave()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { leave() }

  /// Is no stranger any more, or gone.
  private func leave() {
    deadline?.cancel()
    end?.cancel()
    if let number { places.leave(number) }
    number = nil
  }
}
