package import HTTPTypes
internal import NIOConcurrencyHelpers
package import NIOCore
internal import NIOHTTPTypes

/// The slots of a small server's connections. Strangers have few slots, and for a short time; connections
/// that have proven their right are not counted.
///
/// Any user of the machine can open connections to a server on loopback, and send half a request on each. So
/// when the strangers' slots are taken the oldest is evicted, and requests of the page itself, which show the
/// secret, take precedence.
package final class ConnectionPlaces: Sendable {
  /// The limits on strangers.
  package struct Limits: Sendable {
    /// The most connections at a time: a browser opens six for a page.
    package var strangers = 32
    /// The longest time for the head of the first request; on loopback it arrives at once.
    package var head = TimeAmount.seconds(5)
    /// The longest life of a connection, including that of a slow reader: browsers open another.
    package var life = TimeAmount.seconds(30)

    package init() {}
  }

  private struct State {
    /// Functions that close strangers' connections, by the order of their arrival.
    var strangers: [UInt64: @Sendable () -> Void] = [:]
    var last: UInt64 = 0
    var evicted = 0
  }

  let limits: Limits
  private let isOwn: @Sendable (HTTPRequest) -> Bool
  private let state = NIOLockedValueBox(State())

  /// - Parameters:
  ///   - limits: the limits on strangers.
  ///   - isOwn: returns whether a request proves that its connection is not a stranger's.
  package init(_ limits: Limits = Limits(), isOwn: @escaping @Sendable (HTTPRequest) -> Bool) {
    self.limits = limits
    self.isOwn = isOwn
  }

  /// The number of strangers that are connected.
  package var strangerCount: Int { state.withLockedValue { $0.strangers.count } }
  /// The number of strangers that were evicted so far.
  package var evictedCount: Int { state.withLockedValue { $0.evicted } }

  /// The handler for a connection's pipeline, placed after the decoding of HTTP.
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

/// A handler that reads the heads of one connection's requests, and closes the connection if one takes too
/// long.
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

  /// Releases the slot, as the connection is no longer a stranger's, or is closed.
  private func leave() {
    deadline?.cancel()
    end?.cancel()
    if let number { places.leave(number) }
    number = nil
  }
}
