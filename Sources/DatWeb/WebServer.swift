internal import DatHTTP
public import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore

/// The address of a running server.
public struct WebAddress: Sendable, Hashable {
  /// The address of the socket.
  public let host: String
  public let port: Int
  /// The address to open in a browser. The part after `#` is the secret; a browser does not send it.
  public let url: String

  package init(host: String, port: Int, url: String) {
    (self.host, self.port, self.url) = (host, port, url)
  }
}

/// A small server that shows the chat's page in the browser of the local user.
///
/// ```swift
/// let server = try WebServer(room: room)
/// try await server.run { print($0.url) }
/// ```
///
/// It listens on loopback. Page, script and style are plain files without data. Data is returned only to
/// requests that carry the secret, and only if Host and Origin are this server's.
public struct WebServer: Sendable {
  /// The options of a server.
  public struct Options: Sendable {
    /// The address to listen at: a number, or `localhost`. With an address other than loopback, anybody who can
    /// read the network between browser and server can use the room.
    public var host = "127.0.0.1"
    /// The port; 0 lets the system choose.
    public var port = 0
    /// Further names under which the page may be opened, without port.
    public var names: [String] = []
    /// The secret; nil for a random one.
    public var secret: String?
    /// The address of the workshop's page, whose link is offered for sharing as well; nil if unknown.
    public var pageURL: String?
    /// The folder of the page's files; nil for the one that was built with the program.
    public var pageFolder: URL?
    /// Receives the server's log messages.
    public var logger = Logger(label: "dat.web", factory: { _ in SwiftLogNoOpLogHandler() })
    /// The silence after which an event stream sends a sign of life.
    public var heartbeat = Duration.seconds(15)
    /// The limits on connections that have not shown the secret.
    var places = ConnectionPlaces.Limits()

    public init() {}
  }

  private let rooms: any RoomDirectory
  private let options: Options
  private let secret: String
  private let files: PageFiles

  /// Makes a server for the rooms of a directory.
  ///
  /// - Throws: ``WebError/Code/filesMissing`` if the page's files can't be found.
  public init(rooms: any RoomDirectory, options: Options = Options()) throws(WebError) {
    self.rooms = rooms
    self.options = options
    secret = options.secret ?? Secret.random(bytes: 24)
    files = try PageFiles(folder: options.pageFolder)
  }

  /// Makes a server for one room.
  ///
  /// - Throws: ``WebError/Code/filesMissing`` if the page's files can't be found.
  public init(room: RoomView, options: Options = Options()) throws(WebError) {
    try self.init(rooms: SingleRoom(room), options: options)
  }

  /// Listens and answers until the task is cancelled.
  ///
  /// - Parameter onReady: called once, when requests are answered.
  /// - Throws: the system's error if the port can't be used.
  public func run(onReady: @escaping @Sendable (WebAddress) async -> Void = { _ in }) async throws {
    for room in await rooms.rooms() { await room.open() }
    let gate = Gate()
    let places = ConnectionPlaces(options.places) { [secret] request in
      request.headerFields[Fields.secret].map { Secret.matches($0, secret) } == true
    }
    let responder = WebResponder(
      rooms: rooms, files: files, gate: gate, heartbeat: options.heartbeat, pageURL: options.pageURL
    )
    let host = options.host == "localhost" ? "127.0.0.1" : options.host
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
        address: .hostname(host, port: options.port), serverName: nil,
        availableConnectionsDelegate: MaximumAvailableConnections(Limits.connections)),
      onServerRunning: { [options, secret] channel in
        let port = channel.localAddress?.port ?? options.port
        gate.open(
          RequestGuard(boundHost: host, port: port, names: options.names, secret: secret))
        let name = host.contains(":") ? "[\(host)]" : host == "0.0.0.0" ? "127.0.0.1" : host
        let url = "http://\(name):\(port)/#\(secret)"
        await onReady(WebAddress(host: host, port: port, url: url))
      },
      logger: options.logger)
    try await arrivals.run { try await application.run() }
  }
}

/// A holder of the guard, which can be made only when the port is known.
///
/// `@unchecked Sendable`: its one field is read and written only under the lock.
final class Gate: @unchecked Sendable {
  private let lock = NSLock()
  private var value: RequestGuard?

  func open(_ value: RequestGuard) { lock.withLock { self.value = value } }
  var guardian: RequestGuard? { lock.withLock { value } }
}
