internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL

/// A connection to a hub of the older kind: an event stream, and a request for each message.
///
/// Source: signalhub 4.9.0.
struct EventHubSession: HubSession {
  let messages: AsyncThrowingStream<SignalMessage, any Error>
  private let client: HTTPClient
  private let base: String
  private let reader: Task<Void, Never>

  init(
    _ address: HubAddress, _ application: String, _ id: String, _ options: SignalHub.Options
  ) async throws {
    var configuration = HTTPClient.Configuration()
    configuration.timeout.connect = .nanoseconds(Int64(options.connectTimeout / .nanoseconds(1)))
    configuration.redirectConfiguration = .disallow
    if let file = options.trustedCertificates {
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.additionalTrustRoots = [.file(file)]
      configuration.tlsConfiguration = tls
    }
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    self.client = client
    base = "\(address)/v1/\(Self.escaped(application))/"
    do {
      var request = HTTPClientRequest(
        url: base + "\(Self.escaped(SignalMessage.announcements)),\(Self.escaped(id))")
      request.headers.add(name: "accept", value: "text/event-stream")
      let response = try await client.execute(request, deadline: .distantFuture)
      let kind = response.headers.first(name: "content-type") ?? ""
      guard response.status == .ok, kind.utf8.starts(with: "text/event-stream".utf8) else {
        throw SignalError(
          .notAHub,
          "\(address) answers, but not as a signal hub does (status \(response.status.code)).")
      }
      let (messages, continuation) = AsyncThrowingStream.makeStream(
        of: SignalMessage.self, bufferingPolicy: .bufferingNewest(options.waiting))
      self.messages = messages
      reader = Task {
        var lines = EventStreamParser()
        do {
          for try await part in response.body {
            for event in try lines.take(part.readableBytesView) {
              if let message = SignalMessage(bytes: event) { continuation.yield(message) }
            }
          }
          continuation.finish()
        } catch {
          continuation.finish(throwing: error)
        }
      }
    } catch {
      try? await client.shutdown()
      throw error
    }
  }

  func say(_ message: [UInt8], to channel: String) async throws {
    var request = HTTPClientRequest(url: base + Self.escaped(channel))
    request.method = .POST
    request.headers.add(name: "content-type", value: "application/json")
    request.body = .bytes(message)
    let response = try await client.execute(request, timeout: .seconds(10))
    // Read to its end, so that the connection can be reused.
    _ = try await response.body.collect(upTo: 64 << 10)
  }

  func close() async {
    reader.cancel()
    try? await client.shutdown()
  }

  /// Returns a name as a part of a path: all but letters, digits and a few marks as percent escapes.
  static func escaped(_ name: String) -> String {
    var text = ""
    for byte in name.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e:
        text.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        text += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
      }
    }
    return text
  }
}

/// A parser of an event stream, which returns the content of each event's `data:` lines.
///
/// Source: HTML Living Standard, section 9.2.6, as far as hubs use it.
package struct EventStreamParser {
  private var line: [UInt8] = []
  private var data: [UInt8] = []
  private var hasData = false

  /// Makes a parser at the beginning of a stream.
  package init() {}

  /// Takes the next bytes.
  ///
  /// - Returns: the events that are complete now.
  /// - Throws: ``SignalError`` with code `notAHub` for an event of more than 64 KiB.
  package mutating func take(_ bytes: some Sequence<UInt8>) throws(SignalError) -> [[UInt8]] {
    var events: [[UInt8]] = []
    for byte in bytes {
      guard byte != UInt8(ascii: "\n") else {
        if let event = endLine() { events.append(event) }
        continue
      }
      line.append(byte)
      guard line.count + data.count <= SignalMessage.byteLimit + 16 else {
        throw SignalError(.notAHub, "The signal hub sent a message of more than 64 KiB.")
      }
    }
    return events
  }

  private mutating func endLine() -> [UInt8]? {
    defer { line = [] }
    if line.last == UInt8(ascii: "\r") { line.removeLast() }
    if line.isEmpty {
      defer { (data, hasData) = ([], false) }
      return hasData ? data : nil
    }
    guard line.starts(with: "data:".utf8) else { return nil }
    var value = line.dropFirst(5)
    if value.first == 0x20 { value = value.dropFirst() }
    if hasData { data.append(UInt8(ascii: "\n")) }
    hasData = true
    data.append(contentsOf: value)
    return nil
  }
}
