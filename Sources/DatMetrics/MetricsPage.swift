internal import DatHTTP
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
public import ServiceLifecycle

/// A service that serves the metrics on loopback, at `/metrics`, for a Prometheus on the same machine.
///
/// It answers only to this machine's own names, so that no web page in a local browser can read it through a name
/// that was made to point here. Connections are limited in number and time, so that nobody can keep Prometheus out.
public struct MetricsPage: Service {
  private let metrics: PrometheusMetrics
  private let port: Int
  private let logger: Logger
  private let onReady: @Sendable (Int) async -> Void
  private let refresh: @Sendable () async -> Void
  /// The limits on connections, all of which count as strangers'.
  var places: ConnectionPlaces.Limits = {
    var places = ConnectionPlaces.Limits()
    places.strangers = 16
    return places
  }()

  /// Makes a page of these metrics.
  ///
  /// - Parameters:
  ///   - port: the port; 0 for any that is free.
  ///   - onReady: called with the port, once requests are answered.
  ///   - refresh: called before each answer, to update gauges.
  public init(
    _ metrics: PrometheusMetrics, port: Int, logger: Logger = Logger(label: "dat.metrics"),
    onReady: @escaping @Sendable (Int) async -> Void = { _ in },
    refresh: @escaping @Sendable () async -> Void = {}
  ) {
    self.metrics = metrics
    self.port = port
    self.logger = logger
    self.onReady = onReady
    self.refresh = refresh
  }

  /// Listens and answers until the service is asked to end, or the task is cancelled.
  ///
  /// - Throws: the error of the system if the port is not available.
  public func run() async throws {
    let router = Router()
    let bound = NIOLockedValueBox(port)
    router.get("metrics") { [metrics, refresh] request, _ in
      guard Self.isOurs(request.head.authority, bound.withLockedValue { $0 }) else {
        return Response(
          status: .forbidden, headers: [.contentType: "text/plain; charset=utf-8"],
          body: ResponseBody(
            byteBuffer: ByteBuffer(
              string: "This server answers to 127.0.0.1, [::1] and localhost, with its port.\n")))
      }
      await refresh()
      return Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text())))
    }
    let places = ConnectionPlaces(places) { _ in false }
    let arrivals = Arrivals()
    let application = Application(
      router: router,
      server: arrivals.http1(configuration: .init(additionalChannelHandlers: [places.handler()])),
      configuration: ApplicationConfiguration(
        address: .hostname("127.0.0.1", port: port), serverName: nil,
        availableConnectionsDelegate: MaximumAvailableConnections(64)),
      onServerRunning: { [port, onReady] channel in
        let port = channel.localAddress?.port ?? port
        bound.withLockedValue { $0 = port }
        await onReady(port)
      },
      logger: logger)
    try await arrivals.run { try await application.run() }
  }

  /// Returns whether a Host field names this machine and the port.
  static func isOurs(_ host: String?, _ port: Int) -> Bool {
    guard let host, host.utf8.count <= 64 else { return false }
    return ["127.0.0.1", "[::1]", "localhost"].contains { "\($0):\(port)" == host.lowercased() }
  }
}
