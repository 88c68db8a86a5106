internal import ArgumentParser
internal import DatSignal
internal import DatSwarm
internal import DatWebRTC
internal import Foundation

/// The options for peers in browsers: the hubs at which they meet, and servers that help through routers.
struct HubOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Meet peers in browsers, and behind routers, at this signal hub, see `dat signal`; may be repeated.",
      valueName: "url"))
  var signal: [String] = []

  @Option(
    help: ArgumentHelp(
      "Trust the certificates of this PEM file at hubs as well: for a hub of your own.",
      valueName: "file"))
  var signalCertificate: String?

  @Option(
    help: ArgumentHelp(
      "Learn from this STUN server which address others see, for peers behind routers; may be repeated. None is asked by default.",
      valueName: "host:port"))
  var stun: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file of TURN servers, a line each: HOST:PORT NAME PASSWORD. They relay to peers that nothing else reaches.",
      valueName: "file"))
  var turn: String?

  @Flag(
    inversion: .prefixedNo,
    help:
      "Offer this machine's own addresses to whoever knows the room's discovery key. Otherwise only those that STUN and TURN servers see."
  )
  var hostCandidates = true

  func validate() throws {
    for url in signal { _ = try HubAddress(parsing: url) }
    guard signal.isEmpty else {
      if !hostCandidates, stun.isEmpty, turn == nil {
        throw ValidationError(
          "--no-host-candidates leaves no address to offer: name a server with --stun or --turn.")
      }
      return
    }
    for (name, isGiven) in [
      ("--signal-certificate", signalCertificate != nil), ("--stun", !stun.isEmpty),
      ("--turn", turn != nil), ("--no-host-candidates", !hostCandidates),
    ] where isGiven {
      throw ValidationError("\(name) is for peers that are met at a hub: add --signal URL.")
    }
  }

  /// Returns the requested transport; none without a hub.
  ///
  /// - Parameters:
  ///   - listen: the addresses for TCP connections: a single address is the one that is offered here, too.
  ///   - own: a hub of this process's own.
  func transports(listen: [ListenAddress], own: HubAddress? = nil) async throws
    -> [any PeerTransport]
  {
    let hubs = try signal.map { try HubAddress(parsing: $0) } + (own.map { [$0] } ?? [])
    guard !hubs.isEmpty else { return [] }
    #if WebRTC
      var options = WebRTCTransport.Options()
      options.hub.trustedCertificates = try signalCertificate.map { try Self.readable($0) }
      let named = listen.map { PeerAddress(host: $0.host, port: 1) }
        .filter { $0.isNumeric && !["0.0.0.0", "::"].contains($0.host) }
      if !named.isEmpty, named.count == listen.count { options.webRTC.hosts = named.map(\.host) }
      // No other machine reaches it there; tests and experiments do.
      options.webRTC.dialsLoopback =
        !named.isEmpty && named.allSatisfy { $0.host.hasPrefix("127.") || $0.host == "::1" }
      options.webRTC.offersHostAddresses = hostCandidates
      for server in stun {
        let (host, port) = try Self.resolve(server, "STUN")
        options.webRTC.stunServers.append(.init(host: host, port: port))
      }
      options.webRTC.turnServers = try await turnServers()
      return [WebRTCTransport(hubs: hubs, options: options)]
    #else
      throw ValidationError(
        "This dat was built without WebRTC, which needs libre 1.x, as Debian 12 has it.")
    #endif
  }

  private static func readable(_ path: String) throws -> String {
    _ = try InputSource(path: path)
    return path
  }

  #if WebRTC
    private func turnServers() async throws -> [WebRTCOptions.TURNServer] {
      guard let turn else { return [] }
      let bytes = try await InputSource(path: turn).bytes(limit: 64 << 10)
      let what = "The file \(SafeText.line(turn)) of TURN servers"
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw ValidationError("\(what) is not UTF-8.")
      }
      var servers: [WebRTCOptions.TURNServer] = []
      for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
        .enumerated()
      {
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
        guard let first = words.first, !first.hasPrefix("#") else { continue }
        guard words.count == 3 else {
          throw ValidationError(
            "\(what) has something else in line \(number + 1): a line is HOST:PORT NAME PASSWORD.")
        }
        let (host, port) = try Self.resolve(String(first), "TURN")
        servers.append(
          .init(host: host, port: port, username: String(words[1]), password: String(words[2])))
      }
      guard (1...4).contains(servers.count) else {
        throw ValidationError("\(what) names \(servers.count); one to four are used.")
      }
      return servers
    }
  #endif

  /// Returns the numeric address of a server, and its port.
  private static func resolve(_ text: String, _ kind: String) throws -> (String, Int) {
    let address = try PeerAddress(parsing: text)
    if address.isNumeric { return (address.host, address.port) }
    guard let host = HostName.addresses(of: address.host).first else {
      throw ValidationError(
        "The \(kind) server \(SafeText.line(address.host)) has no address that this machine knows of."
      )
    }
    return (host, address.port)
  }
}

/// Names of machines.
enum HostName {
  /// Returns the numeric addresses of a name, those of IPv4 first. Waits for the system's answer.
  static func addresses(of name: String) -> [String] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [(isIPv6: Bool, text: String)] = []
    var next = list
    while let entry = next?.pointee {
      next = entry.ai_next
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      let length = socklen_t(text.count)
      guard
        getnameinfo(
          entry.ai_addr, entry.ai_addrlen, &text, length, nil, 0, NI_NUMERICHOST) == 0,
        let end = text.firstIndex(of: 0)
      else { continue }
      found.append(
        (
          entry.ai_family == AF_INET6,
          String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        ))
    }
    return found.sorted { !$0.isIPv6 && $1.isIPv6 }.map(\.text)
  }
}

/// The address of the workshop's page, so that its link can be shared.
struct PageLinkOption: ParsableArguments {
  @Option(
    name: .customLong("page-url"),
    help: ArgumentHelp(
      "The address of the workshop's page, to share its link as well.", valueName: "url"))
  var pageURL: String?

  func validate() throws {
    guard let pageURL else { return }
    let bytes = Array(pageURL.utf8)
    guard bytes.count <= 1024, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
      bytes.starts(with: "https://".utf8) || bytes.starts(with: "http://".utf8)
    else {
      throw ValidationError(
        "--page-url takes the address of a page: https://HOST/ or http://HOST:PORT/.")
    }
  }
}
