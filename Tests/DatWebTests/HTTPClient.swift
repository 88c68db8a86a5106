internal import DatWeb
internal import DatWebTesting
internal import Foundation
internal import NIOCore
internal import NIOPosix

/// An answer as it came over the socket.
struct Answer {
  var status: Int
  /// Names in lower case.
  var headers: [String: String]
  var body: String

  var json: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any] ?? [:]
  }

  var errorCode: String? { (json["error"] as? [String: Any])?["code"] as? String }
}

/// A running server and the means to send it any bytes at all.
struct TestServer {
  let address: WebAddress
  var port: Int { address.port }
  var secret: String { String(address.url.split(separator: "#").last ?? "") }
  var origin: String { "http://127.0.0.1:\(port)" }

  /// Runs a server for as long as the body takes.
  static func with(
    _ rooms: any RoomDirectory, options: WebServer.Options = WebServer.Options(),
    _ body: (TestServer) async throws -> Void
  ) async throws {
    let server = try WebServer(rooms: rooms, options: options)
    let (addresses, continuation) = AsyncStream<WebAddress>.makeStream()
    let running = Task {
      defer { continuation.finish() }
      try await server.run { continuation.yield($0) }
    }
    guard let address = await addresses.first(where: { _ in true }) else {
      return try await running.value
    }
    do {
      try await body(TestServer(address: address))
    } catch {
      running.cancel()
      throw error
    }
    running.cancel()
    _ = await running.result
  }

  static func with(
    _ room: FakeRoom, options: WebServer.Options = WebServer.Options(),
    _ body: (TestServer) async throws -> Void
  ) async throws {
    try await with(SingleRoom(RoomView(room, patience: .zero)), options: options, body)
  }

  /// The header fields of a request from the page itself.
  func fields(post: Bool = false) -> [String: String] {
    var fields = [
      "Host": "127.0.0.1:\(port)", "Dat-Secret": secret, "Sec-Fetch-Site": "same-origin",
    ]
    if post {
      fields["Origin"] = origin
      fields["Content-Type"] = "application/json"
    }
    return fields
  }

  func get(_ path: String, changing changes: [String: String?] = [:]) async throws -> Answer {
    try await send("GET", path, fields(), changes, body: "")
  }

  func post(_ path: String, _ body: String, changing changes: [String: String?] = [:]) async throws
    -> Answer
  {
    try await send("POST", path, fields(post: true), changes, body: body)
  }

  func send(
    _ method: String, _ path: String, _ fields: [String: String], _ changes: [String: String?],
    body: String
  ) async throws -> Answer {
    var fields = fields
    for (name, value) in changes { fields[name] = value }
    fields["Connection"] = "close"
    if !body.isEmpty { fields["Content-Length"] = String(body.utf8.count) }
    let head = fields.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }.joined()
    return try await raw("\(method) \(path) HTTP/1.1\r\n\(head)\r\n\(body)")
  }

  /// Sends bytes and reads until the server closes.
  func raw(_ request: String) async throws -> Answer {
    let (channel, parts) = try await connect()
    try await channel.writeAndFlush(ByteBuffer(string: request))
    var received: [UInt8] = []
    for await part in parts { received.append(contentsOf: part.readableBytesView) }
    return Self.parse(received)
  }

  /// Opens an event stream and hands its events to `body`.
  func events(_ path: String, _ body: (inout EventReader) async throws -> Void) async throws {
    let (channel, parts) = try await connect()
    let head = fields().map { "\($0.key): \($0.value)\r\n" }.joined()
    try await channel.writeAndFlush(ByteBuffer(string: "GET \(path) HTTP/1.1\r\n\(head)\r\n"))
    var reader = EventReader(parts.makeAsyncIterator())
    do {
      try await body(&reader)
    } catch {
      try await channel.close()
      throw error
    }
    try? await channel.close()
  }

  private func connect() async throws -> (any Channel, AsyncStream<ByteBuffer>) {
    let (stream, continuation) = AsyncStream<ByteBuffer>.makeStream()
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Collector(continuation))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return (channel, stream)
  }

  /// Hands on what is received, until the connection ends.
  private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let continuation: AsyncStream<ByteBuffer>.Continuation

    init(_ continuation: AsyncStream<ByteBuffer>.Continuation) { self.continuation = continuation }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      continuation.yield(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
  }

  private static func parse(_ bytes: [UInt8]) -> Answer {
    let text = String(decoding: bytes, as: UTF8.self)
    let halves = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let lines = halves[0].components(separatedBy: "\r\n")
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let sides = line.split(separator: ":", maxSplits: 1)
      if sides.count == 2 {
        headers[sides[0].lowercased()] = sides[1].trimmingCharacters(in: .whitespaces)
      }
    }
    var body = halves.count > 1 ? String(halves[1]) : ""
    if headers["transfer-encoding"] == "chunked" { body = unchunk(body) }
    let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return Answer(status: status, headers: headers, body: body)
  }

  private static func unchunk(_ text: String) -> String {
    var rest = Array(text.utf8)[...]
    var body: [UInt8] = []
    while let end = rest.firstIndex(of: 13),
      let count = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16), count > 0
    {
      body += rest[(end + 2)...].prefix(count)
      rest = rest[(end + 2)...].dropFirst(count + 2)
    }
    return String(decoding: body, as: UTF8.self)
  }
}

/// Reads server-sent events off a chunked answer.
struct EventReader {
  struct Event {
    var name: String
    var data: [String: Any]
    subscript(list name: String) -> [[String: Any]] { data[name] as? [[String: Any]] ?? [] }
  }

  private var parts: AsyncStream<ByteBuffer>.Iterator
  private var text = ""
  /// The number of comments, the signs of life, that were read.
  private(set) var comments = 0

  init(_ parts: AsyncStream<ByteBuffer>.Iterator) { self.parts = parts }

  /// The next event; nil when the stream has ended. Chunk headers are skipped as unknown lines.
  mutating func next() async throws -> Event? {
    while true {
      while let end = text.range(of: "\n\n") {
        let block = text[..<end.lowerBound]
        text = String(text[end.upperBound...])
        var event = Event(name: "", data: [:])
        for line in block.split(whereSeparator: \.isNewline) {
          if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
          if line.hasPrefix(": ") { comments += 1 }
          guard line.hasPrefix("data: ") else { continue }
          let object = try? JSONSerialization.jsonObject(with: Data(line.dropFirst(6).utf8))
          event.data = object as? [String: Any] ?? [:]
        }
        if !event.name.isEmpty { return event }
      }
      // The last chunk; the connection may stay open for another request.
      if text.utf8.suffix(5).elementsEqual("0\r\n\r\n".utf8) { return nil }
      guard let part = await parts.next(isolation: #isolation) else { return nil }
      text += String(buffer: part)
    }
  }

  /// Waits for the next sign of life, and reads it and what came before it.
  mutating func comment() async {
    while true {
      if let end = text.range(of: ": here\n\n") {
        text.removeSubrange(..<end.upperBound)
        comments += 1
        return
      }
      guard let part = await parts.next(isolation: #isolation) else { return }
      text += String(buffer: part)
    }
  }
}
