internal import ArgumentParser
internal import DatCoding
internal import DatSignal
internal import DatSwarm
internal import Foundation

/// `dat signal`: a hub at which browsers and native peers find each other.
struct SignalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "signal",
    abstract: "Run a signal hub, at which peers in browsers are met, until interrupted.",
    discussion: """
      It passes on the few messages with which peers begin a connection, and keeps nothing; what peers say \
      in a room does not pass through it. It speaks both protocols of 2018 on one port: WebSockets, as \
      signalhubws, and event streams over HTTP, as signalhub.

      A page that was served over https may use a hub over wss and https alone: give it a certificate, or \
      put it behind a proxy and name that with --trust-forwarded.

      EXAMPLES
        dat signal
        dat signal --listen 0.0.0.0:3300 --page ./build
        dat signal --listen 0.0.0.0:443 --cert chain.pem --key key.pem
        dat chat ~/room --name ana --signal ws://127.0.0.1:3300
      """)

  @Option(
    help: ArgumentHelp(
      "Take connections here; port 0 takes any free one.", valueName: "host:port"))
  var listen = "127.0.0.1:3300"

  @Option(help: ArgumentHelp("Serve the built page in this folder as well.", valueName: "dir"))
  var page: String?

  @Option(
    help: ArgumentHelp("The certificate for wss and https, a PEM file.", valueName: "file"))
  var cert: String?

  @Option(help: ArgumentHelp("The certificate's private key, a PEM file.", valueName: "file"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Trust the proxy at this numeric address to name the address that a connection comes from.",
      valueName: "address"))
  var trustForwarded: String?

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  func validate() throws {
    guard (cert == nil) == (key == nil) else {
      throw ValidationError("--cert FILE and --key FILE go together.")
    }
    if let trustForwarded, !PeerAddress(host: trustForwarded, port: 1).isNumeric {
      throw ValidationError(
        "--trust-forwarded takes a numeric address, such as 192.0.2.7 or 2001:db8::7.")
    }
  }

  func run() async throws {
    let output = Output(json: json)
    do {
      try DescriptorLimit.check(isOnline: true)
      let address = try ListenAddress(parsing: listen)
      var options = SignalServer.Options()
      (options.host, options.port) = (address.host, address.port)
      options.pageFolder = page.map { URL(fileURLWithPath: $0) }
      if let cert, let key { options.certificate = (cert, key) }
      options.trustedProxy = trustForwarded
      // First, so that even an early signal ends it in order.
      let interruptions = Interruption.requests()
      let server = try await SignalServer(options)
      announce(HubListening(server, at: address.host, isSecure: cert != nil), output)
      let serving = Task { try await server.run() }
      for await _ in interruptions { break }
      await server.close()
      try await serving.value
      if json { output.object(["event": "closed"]) }
    } catch {
      throw output.ending(with: error, isEvent: true)
    }
  }

  private func announce(_ hub: HubListening, _ output: Output) {
    if json {
      output.object([
        "event": "listening", "host": .string(hub.host), "port": .integer(Int64(hub.port)),
        "url": .string(hub.url(sockets: true)),
        "page": .optional(page.map { _ in hub.url(sockets: false) + "/" }),
      ])
      return
    }
    output.line("listening on \(hub.url(sockets: true))")
    if page != nil { output.line("page at \(hub.url(sockets: false))/") }
    output.line(
      output.dim("dat chat DIR --name NAME --signal \(hub.url(sockets: true)) meets peers here"))
  }
}

/// The address at which a hub of this process listens.
struct HubListening {
  let host: String
  let port: Int
  let isSecure: Bool

  init(_ server: SignalServer, at host: String, isSecure: Bool = false) {
    self.host = host
    port = server.port
    self.isSecure = isSecure
  }

  /// Returns the URL by which this machine reaches it.
  func url(sockets: Bool) -> String {
    let kind = sockets ? (isSecure ? "wss" : "ws") : (isSecure ? "https" : "http")
    let name = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host
    return "\(kind)://\(name.utf8.contains(UInt8(ascii: ":")) ? "[\(name)]" : name):\(port)"
  }
}
