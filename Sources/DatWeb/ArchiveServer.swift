internal import DatHTTP
public import Hyperdrive
internal import Hummingbird
internal import HummingbirdCore
internal import NIOCore
internal import Logging

/// A small server that shows an archive in a browser, for reading.
///
/// It listens on loopback and answers only to its own names. The pages of another's archive run in a sandbox,
/// without scripts: its owner may be anybody.
public struct ArchiveServer: Sendable {
  private let archive: Archive
  private let isOwn: Bool
  private let host: String
  private let port: Int
  private let reading: ArchiveReadOptions

  /// The limits on connections. Nothing distinguishes the browser of the local user from others: if all slots
  /// are taken the oldest is evicted, and half a request has only a short time.
  private static var places: ConnectionPlaces.Limits {
    var limits = ConnectionPlaces.Limits()
    limits.strangers = Limits.connections / 4
    // Large files are read slowly.
    limits.life = .hours(24)
    return limits
  }

  /// - Parameter isOwn: true if the archive was made here, so that its pages may run scripts.
  /// - Parameter host: the address to listen at.
  /// - Parameter port: the port; 0 lets the system choose.
  /// - Parameter reading: the options of reads, such as how long a request waits for peers.
  public init(
    archive: Archive, isOwn: Bool, host: String = "127.0.0.1", port: Int = 8080,
    reading: ArchiveReadOptions = ArchiveReadOptions(timeout: .seconds(30))
  ) {
    self.archive = archive
    self.isOwn = isOwn
    self.host = host == "localhost" ? "127.0.0.1" : host
    self.port = port
    self.reading = reading
  }

  /// Listens and answers until the task is cancelled.
  ///
  /// - Parameter onReady: called once with the address to open, when requests are answered.
  /// - Throws: the system's error if the port can't be used.
  public func run(onReady: @escaping @Sendable (String) async -> Void = { _ in }) async throws {
    let gate = Gate()
    let places = ConnectionPlaces(Self.places) { _ in false }
    let responder = ArchiveResponder(archive: archive, isOwn: isOwn, gate: gate, reading: reading)
    let arrivals = Arrivals()
    let application = Application(
      responder: responder,
      server: arrivals.http1(
        configuration: .init(
          additionalChannelHandlers: [places.handler()],
          idleTimeout: .seconds(60),
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: Limits.header, maxHeaderListSize: Limits.header,
            maxHeaderFieldCount: 100))),
      configuration: ApplicationConfiguration(
        address: .hostname(host, port: port), serverName: nil,
        availableConnectionsDelegate: MaximumAvailableConnections(Limits.connections)),
      onServerRunning: { [host, port] channel in
        let port = channel.localAddress?.port ?? port
        gate.open(RequestGuard(boundHost: host, port: port, names: [], secret: ""))
        let name = host.contains(":") ? "[\(host)]" : host == "0.0.0.0" ? "127.0.0.1" : host
        await onReady("http://\(name):\(port)/")
      },
      logger: Logger(label: "dat.web", factory: { _ in SwiftLogNoOpLogHandler() }))
    try await arrivals.run { try await application.run() }
  }
}
