internal import DatHTTP
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore
public import ServiceLifecycle

/// Serves what was measured on loopback, at `/metrics`, for a Prometheus on the same machine.
///
/// It answers to this machine's own names alone, so that no page of a browser here can read it under a name
/// that was pointed here; and connections are few and short, so that nobody keeps Prometheus out.
public struct MetricsPage: Service {
  private let metrics: PrometheusMetrics
  private let port: Int
  private let logger: Logger
  private let onReady: @Sendable (Int) async -> Void
  private let refresh: @Sendable () async -> Void

  /// - Parameters:
  ///   - port: the port; 0 for any that is free.
  ///   - onReady: told the port, once requests are answered.
  ///   - refresh: called before each answer, to bring gauges up to date.
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
  /// - Throws: the error of the system where the port is not to be had.
  public func run() async throws {
    let router = Router()
    router.get("metrics") { [metrics, refresh] request, context in
      guard Self.isOurs(request.head.authority, context.localPort) else {
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
    let application = Application(
      router: router,
      configuration: ApplicationConfiguration(
        address: .hostname("127.0.0.1", port: port), serverName: nil,
        availableConnectionsDelegate: MaximumAvailableConnections(16)),
      onServerRunning: { [port, onReady] channel in
        await onReady(channel.localAddress?.port ?? port)
      },
      logger: logger)
    try await application.run()
  }
}
