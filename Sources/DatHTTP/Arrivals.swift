package import HummingbirdCore
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore

/// The connections that a server has set up and not handled yet.
///
/// NIO traps if a connection is released that nobody has handled. A server whose task is cancelled releases those
/// that wait in its queue, and anybody can have some wait there. So they are held here, and closed at the end.
package final class Arrivals: Sendable {
  private struct State {
    /// Functions that close connections, by channel.
    var waiting: [ObjectIdentifier: @Sendable () -> Void] = [:]
    var isOver = false
  }

  private let state = NIOLockedValueBox(State())

  package init() {}

  /// Returns a builder of an HTTP/1.1 server with connections that are held here until they are handled.
  package func http1(configuration: HTTP1Channel.Configuration) -> HTTPServerBuilder {
    HTTPServerBuilder { responder in
      Held(base: HTTP1Channel(responder: responder, configuration: configuration), arrivals: self)
    }
  }

  /// Runs a server, and closes what it leaves behind.
  ///
  /// - Throws: the error of the body.
  package func run(_ body: () async throws -> Void) async throws {
    defer { end() }
    try await body()
  }

  private func end() {
    let waiting = state.withLockedValue { state in
      state.isOver = true
      defer { state.waiting = [:] }
      return state.waiting
    }
    for close in waiting.values { close() }
  }

  fileprivate func enter(_ channel: any Channel, _ close: @escaping @Sendable () -> Void) {
    let isOver = state.withLockedValue { state in
      if !state.isOver { state.waiting[ObjectIdentifier(channel)] = close }
      return state.isOver
    }
    if isOver { close() }
  }

  fileprivate func leave(_ channel: any Channel) {
    state.withLockedValue { _ = $0.waiting.removeValue(forKey: ObjectIdentifier(channel)) }
  }
}

/// The handling of one connection, which holds it from its setup on.
private struct Held<Base: ServerChildChannel>: ServerChildChannel {
  let base: Base
  let arrivals: Arrivals

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
    base.setup(channel: channel, logger: logger).map { [base, arrivals] value in
      arrivals.enter(value.channel) {
        value.channel.close(promise: nil)
        // To handle a closed connection is how NIO wants it released.
        Task { await base.handle(value: value, logger: logger) }
      }
      return value
    }
  }

  func handle(value: Base.Value, logger: Logger) async {
    arrivals.leave(value.channel)
    await base.handle(value: value, logger: logger)
  }
}
