internal import ArgumentParser
internal import AsyncHTTPClient
internal import DatDNS
internal import DatSwarm
internal import Foundation
internal import HypercoreCrypto
internal import Hyperdrive
internal import NIOCore
internal import NIOHTTP1

/// Looks up the names of links: only if the user asks for it, since the servers that are asked learn which archive
/// is wanted, and from which address.
struct ArchiveNames: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "Look up a name in a link: its host is asked for https://NAME/.well-known/dat.",
      discussion: "Without this a link has to have the key."))
  var names = false

  @Option(
    help: ArgumentHelp(
      "Look up a name in a link in DNS first, through this server (RFC 8484).",
      valueName: "https-url"))
  var dns: String?

  /// Returns a link with the key in place of a name; other text as it is.
  ///
  /// - Throws: a sentence for a name that is not to be looked up, or that nobody knows.
  func link(_ text: String) async throws -> String {
    guard let named = NamedLink(text) else { return text }
    guard names || dns != nil else {
      throw ValidationError(
        "\(SafeText.line(text, limit: 200)) has a name in place of the key, and names are not looked "
          + "up unless --names is given, which asks the host named. Or give the 64 hex digits of the key."
      )
    }
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: Self.configuration)
    let result = await Result<PublicKey, any Error>.of { try await key(of: named.host, client) }
    try? await client.shutdown()
    return named.link(with: try result.get())
  }

  private static var configuration: HTTPClient.Configuration {
    var configuration = HTTPClient.Configuration()
    configuration.timeout.connect = .seconds(5)
    // A name stands for what its own host says.
    configuration.redirectConfiguration = .disallow
    return configuration
  }

  /// The largest answer of a DNS server.
  private static let messageBytes = 65_535

  private func key(of host: String, _ client: HTTPClient) async throws -> PublicKey {
    if let dns, let key = try await record(of: host, from: dns, client) { return key }
    guard names else {
      throw ValidationError(
        "DNS has no archive for \(host): there is no record with datkey= in it. --names asks the host itself."
      )
    }
    let url = "\(Self.isLoopback(host) ? "http" : "https")://\(host)/.well-known/dat"
    var request = HTTPClientRequest(url: url)
    request.headers.add(name: "accept", value: "text/plain")
    let (status, body) = try await answer(request, client, limit: ArchiveNameAnswer.fileBytes)
    guard status == .ok else {
      throw ValidationError(
        "\(host) names no archive: \(url) is answered with status \(status.code). Give the key instead."
      )
    }
    guard let found = ArchiveNameAnswer(file: body) else {
      throw ValidationError(
        "\(host) names no archive: \(url) does not begin with dat:// and a key. Give the key instead."
      )
    }
    return found.key
  }

  /// The key that DNS has for a name, asked through HTTPS; nil if it has none.
  private func record(
    of host: String, from server: String, _ client: HTTPClient
  ) async throws -> PublicKey? {
    guard let url = URL(string: server), let serverName = url.host,
      url.scheme == "https" || (url.scheme == "http" && Self.isLoopback(serverName))
    else { throw ValidationError("--dns takes the https:// URL of a DNS server.") }
    let name = DNSName(host.prefix { $0 != ":" })
    guard name.labels.allSatisfy({ (1...63).contains($0.count) }),
      let question = DNSMessage(
        flags: DNSMessage.recursionDesired, questions: [DNSQuestion(name, type: DNSRecord.textType)]
      ).encoded()
    else { return nil }
    var request = HTTPClientRequest(url: server)
    request.method = .POST
    request.headers.add(name: "content-type", value: "application/dns-message")
    request.headers.add(name: "accept", value: "application/dns-message")
    request.body = .bytes(question)
    let (status, body) = try await answer(request, client, limit: Self.messageBytes)
    guard status == .ok, let message = DNSMessage(decoding: body), message.isResponse else {
      throw ValidationError(
        "The DNS server \(server) does not answer as one (status \(status.code)).")
    }
    let records = message.answers.compactMap { record -> (text: [UInt8], lifetime: UInt32)? in
      guard case .text(let parts) = record.contents else { return nil }
      return (parts.flatMap { $0 }, record.ttl)
    }
    return ArchiveNameAnswer(records: records)?.key
  }

  private func answer(
    _ request: HTTPClientRequest, _ client: HTTPClient, limit: Int
  ) async throws -> (HTTPResponseStatus, [UInt8]) {
    do {
      let response = try await client.execute(request, timeout: .seconds(10))
      let body = try await response.body.collect(upTo: limit)
      return (response.status, Array(body.readableBytesView))
    } catch is NIOTooManyBytesError {
      throw ValidationError("\(request.url) is too long for an answer about a name.")
    } catch {
      throw ValidationError("\(request.url) can't be asked: \(Problem.sentence(for: error))")
    }
  }

  /// True for this machine, to which nothing needs to be encrypted.
  private static func isLoopback(_ host: String) -> Bool {
    let name = String(host.prefix { $0 != ":" })
    // A name may begin with these digits, too.
    return name == "localhost"
      || name.hasPrefix("127.") && PeerAddress(host: name, port: 1).isNumeric
  }
}
