internal import ArgumentParser
internal import DatCoding
internal import DatSwarm
internal import DatWeb
internal import Foundation

/// The page, which is served while its rooms are open.
actor ChatPage {
  private let server: WebServer
  private let endpoint: PageEndpoint
  /// The address to open, with its secret; nil before it is served.
  private(set) var address: WebAddress?
  private var serving: Task<Void, any Error>?

  /// - Parameters:
  ///   - rooms: the rooms that it shows.
  ///   - endpoint: the address to listen at.
  ///   - pageURL: the address of the workshop's page; nil if unknown.
  init(_ rooms: any RoomDirectory, at endpoint: PageEndpoint, pageURL: String? = nil) throws {
    var options = WebServer.Options()
    options.host = endpoint.host
    options.port = endpoint.port
    options.pageURL = pageURL
    self.endpoint = endpoint
    server = try WebServer(rooms: rooms, options: options)
  }

  /// Starts serving.
  ///
  /// - Returns: the address to open, with its secret.
  /// - Throws: ``WebError`` with `cannotListen` if the port can't be used.
  func open() async throws -> WebAddress? {
    let (addresses, continuation) = AsyncStream<WebAddress>.makeStream()
    let serving = Task { [server] in
      defer { continuation.finish() }
      try await server.run { continuation.yield($0) }
    }
    self.serving = serving
    for await address in addresses {
      self.address = address
      return address
    }
    do {
      try await serving.value
      return nil
    } catch {
      throw WebError(
        .cannotListen,
        SwarmError("The page can't be served at \(endpoint)", error).reason
          + " --web without a number takes a free port.")
    }
  }

  /// Stops serving, and ends open requests.
  func close() async {
    serving?.cancel()
    _ = await serving?.result
  }
}

extension Output {
  /// Prints the address of the page.
  func announce(_ page: WebAddress) {
    if json {
      object(["event": "web", "url": .string(page.url)])
    } else {
      line(bold(page.url))
      line(
        dim(
          "open this in a browser, and keep it to yourself: whoever has it reads and writes as you")
      )
    }
  }
}

/// The address at which the page is served: a port on loopback, or one that was given.
struct PageEndpoint: Hashable, Sendable, ExpressibleByArgument, CustomStringConvertible {
  var host = "127.0.0.1"
  /// The port; 0 for any that is free.
  var port = 0

  init() {}

  init?(argument: String) {
    var text = argument[...]
    if let colon = text.lastIndex(of: ":") {
      host = String(text[..<colon]).trimmingCharacters(in: ["[", "]"])
      text = text[text.index(after: colon)...]
    }
    guard !host.isEmpty, let port = Int(text) else { return nil }
    self.port = port
  }

  var description: String { "\(host):\(port)" }

  func validate() throws {
    guard (0...65_535).contains(port) else {
      throw ValidationError("--web takes a port, 0 to 65535, not \(port).")
    }
  }
}
