import AsyncHTTPClient
import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import DatSignal

/// Reads the events of a client one by one.
private final class EventReader: Sendable {
  private let events: AsyncStream<SignalHub.Event>
  init(_ hub: SignalHub) { events = hub.events }

  func next() async -> SignalHub.Event? {
    for await event in events { return event }
    return nil
  }

  func connected() async {
    while let event = await next() { if event == .connected { return } }
  }
}

/// A running hub and clients of both kinds, over loopback.
@Suite(.timeLimit(.minutes(1)))
struct HubServerTests {
  /// Runs a hub while `body` does.
  func withHub(
    _ change: (inout SignalServer.Options) -> Void = { _ in },
    _ body: (SignalServer) async throws -> Void
  ) async throws {
    var options = SignalServer.Options()
    options.port = 0
    change(&options)
    let server = try await SignalServer(options)
    let running = Task { try await server.run() }
    do { try await body(server) } catch {
      await server.close()
      throw error
    }
    await server.close()
    _ = await running.result
  }

  func hub(_ kind: String, _ server: SignalServer, id: String) throws -> SignalHub {
    SignalHub(
      try HubAddress(parsing: "\(kind)://127.0.0.1:\(server.port)"), application: "room", id: id)
  }

  @Test(arguments: ["ws", "http"], ["ws", "http"])
  func `clients of both kinds hear each other`(one: String, other: String) async throws {
    try await withHub { server in
      let ana = try hub(one, server, id: "ana")
      let bea = try hub(other, server, id: "bea")
      let ofAna = EventReader(ana)
      let ofBea = EventReader(bea)
      await ofAna.connected()
      await ofBea.connected()
      while server.subscriberCount < 2 { try await Task.sleep(for: .milliseconds(5)) }
      let hello = SignalMessage.connect(from: "ana", isNative: true)
      await ana.say(hello, to: SignalMessage.announcements)
      #expect(await ofBea.next() == .message(hello))
      #expect(await ofAna.next() == .message(hello))
      let offer = SignalMessage.signal(from: "bea", .description(isOffer: true, sdp: "v=0\r\n"))
      await bea.say(offer, to: "ana")
      #expect(await ofAna.next() == .message(offer))
      // What is for ana alone does not reach bea; the next thing bea hears is the last.
      await ana.say(hello, to: SignalMessage.announcements)
      #expect(await ofBea.next() == .message(hello))
      await ana.close()
      await bea.close()
    }
  }

  @Test(arguments: ["ws", "http"])
  func `a client comes back to a hub that was away`(kind: String) async throws {
    var options = SignalServer.Options()
    options.port = 0
    let first = try await SignalServer(options)
    options.port = first.port
    var client = SignalHub.Options()
    client.pauses = [.milliseconds(20)]
    let hub = SignalHub(
      try HubAddress(parsing: "\(kind)://127.0.0.1:\(first.port)"), application: "room", id: "ana",
      options: client)
    let events = EventReader(hub)
    #expect(await events.next() == .connected)
    await first.close()
    guard case .disconnected? = await events.next() else {
      Issue.record("the client did not notice that the hub is gone")
      return
    }
    let second = try await SignalServer(options)
    await events.connected()
    while second.subscriberCount < 1 { try await Task.sleep(for: .milliseconds(5)) }
    await hub.say(.connect(from: "x", isNative: false), to: "all")
    #expect(await events.next() == .message(.connect(from: "x", isNative: false)))
    await hub.close()
    await second.close()
  }

  @Test func `whoever connects amid messages hears those that come after`() async throws {
    try await withHub {
      $0.limits.messagesPerSecond = 1_000_000
      $0.limits.burst = 1_000_000
    } _: { server in
      let hello = SignalMessage.connect(from: "ana", isNative: true)
      let ana = try hub("ws", server, id: "ana")
      await EventReader(ana).connected()
      let talking = Task {
        // Some while each connects. As many as there can be are more than a busy machine reads, and whoever falls behind is
        // disconnected.
        while !Task.isCancelled {
          await ana.say(hello, to: SignalMessage.announcements)
          try? await Task.sleep(for: .milliseconds(1))
        }
      }
      for number in 0..<25 {
        let client = try hub("ws", server, id: "client \(number)")
        let reader = EventReader(client)
        await reader.connected()
        #expect(await reader.next() == .message(hello))
        await client.close()
      }
      talking.cancel()
      await talking.value
      await ana.close()
    }
  }

  private static let openssl = "/usr/bin/openssl"

  @Test(
    .enabled(if: FileManager.default.isExecutableFile(atPath: openssl), "needs openssl"),
    arguments: ["wss", "https"])
  func `a hub with a certificate of one's own serves those who trust it, and no others`(
    kind: String
  ) async throws {
    let folder =
      FileManager.default.temporaryDirectory.path + "/hub-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (chain, key) = (folder + "/chain.pem", folder + "/key.pem")
    let making = Process()
    making.executableURL = URL(fileURLWithPath: Self.openssl)
    making.arguments = [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=a hub", "-addext",
      "subjectAltName=IP:127.0.0.1",
    ]
    making.standardError = FileHandle.nullDevice
    try making.run()
    making.waitUntilExit()
    try await withHub {
      $0.certificate = (chain, key)
    } _: { server in
      var options = SignalHub.Options()
      options.trustedCertificates = chain
      let address = try HubAddress(parsing: "\(kind)://127.0.0.1:\(server.port)")
      let trusting = SignalHub(address, application: "room", id: "ana", options: options)
      #expect(await EventReader(trusting).next() == .connected)
      var doubting = SignalHub.Options()
      doubting.connectTimeout = .seconds(1)
      let other = SignalHub(address, application: "room", id: "bea", options: doubting)
      guard case .disconnected(let error, again: _) = await EventReader(other).next() else {
        Issue.record("a certificate that nobody trusts was taken")
        return
      }
      #expect(error.code == .unreachable)
      await trusting.close()
      await other.close()
    }
  }

  @Test func `a server that is no hub is named as such`() async throws {
    try await withHub { server in
      // A page's path instead of a hub's.
      let hub = SignalHub(
        try HubAddress(parsing: "http://127.0.0.1:\(server.port)/elsewhere"), application: "room",
        id: "a")
      let events = EventReader(hub)
      guard case .disconnected(let error, _)? = await events.next() else {
        Issue.record("no word of the wrong address")
        return
      }
      #expect(error.code == .notAHub)
      await hub.close()
    }
  }

  @Test func `a hub that can't be reached is told`() async throws {
    let hub = SignalHub(
      try HubAddress(parsing: "ws://127.0.0.1:1"), application: "room", id: "a")
    let events = EventReader(hub)
    guard case .disconnected(let error, _)? = await events.next() else {
      Issue.record("no word of a hub that isn't there")
      return
    }
    #expect(error.code == .unreachable)
    await hub.close()
  }

  @Test func `a page is served, and nothing beside it`() async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    let page = folder.appendingPathComponent("page")
    try FileManager.default.createDirectory(
      at: page.appendingPathComponent("js"), withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data("<h1>hello</h1>".utf8).write(to: page.appendingPathComponent("index.html"))
    try Data("let a".utf8).write(to: page.appendingPathComponent("js/a.js"))
    try Data("hidden".utf8).write(to: page.appendingPathComponent(".env"))
    try Data("secret".utf8).write(to: folder.appendingPathComponent("secret"))
    try FileManager.default.createSymbolicLink(
      at: page.appendingPathComponent("link"),
      withDestinationURL: folder.appendingPathComponent("secret"))
    try await withHub({ $0.pageFolder = page }) { server in
      let base = "http://127.0.0.1:\(server.port)"
      let index = try await get(base + "/")
      #expect(index.status == 200)
      #expect(index.body == "<h1>hello</h1>")
      #expect(index.headers["x-content-type-options"] == "nosniff")
      #expect(
        try await get(base + "/js/a.js").headers["content-type"] == "text/javascript; charset=utf-8"
      )
      for path in ["/.env", "/link", "/../secret", "/%2e%2e/secret", "/js/../../secret", "/js"] {
        #expect(try await get(base + path).status == 404, "\(path)")
      }
    }
  }

  @Test func `too large a message is refused, and a hub says what it is`() async throws {
    try await withHub { server in
      let base = "http://127.0.0.1:\(server.port)"
      let about = try await get(base + "/")
      #expect(about.body.contains("\"name\":\"dat-signal\""))
      #expect(about.headers["access-control-allow-origin"] == "*")
      var request = HTTPClientRequest(url: base + "/v1/room/all")
      request.method = .POST
      request.body = .bytes([UInt8](repeating: 0x61, count: 70_000))
      let large = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
      #expect(large.status == .payloadTooLarge)
      request.body = .bytes(Array("{}".utf8))
      #expect(try await HTTPClient.shared.execute(request, timeout: .seconds(10)).status == .ok)
    }
  }

  @Test func `an address that a trusted proxy names has a share of its own`() async throws {
    try await withHub {
      $0.trustedProxy = "127.0.0.1"
      $0.limits.connectionsByAddress = 2
      $0.limits.applicationsByAddress = 1
    } _: { server in
      let url = "http://127.0.0.1:\(server.port)/v1/room/all"
      func listens(_ forwarded: String?, at url: String) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: url)
        if let forwarded { request.headers.add(name: "X-Forwarded-For", value: forwarded) }
        return try await HTTPClient.shared.execute(request, timeout: .seconds(30))
      }
      // Held open as event streams. The last word is the proxy's; those before it are the client's own.
      let first = try await listens("198.51.100.9, 192.0.2.1", at: url)
      let second = try await listens("198.51.100.8, 192.0.2.1", at: url)
      #expect(first.status == .ok)
      #expect(second.status == .ok)
      #expect(try await listens("198.51.100.7, 192.0.2.1", at: url).status == .tooManyRequests)
      let other = try await listens("192.0.2.2", at: url)
      #expect(other.status == .ok)
      // So has each address its applications.
      let hall = "http://127.0.0.1:\(server.port)/v1/hall/all"
      #expect(try await listens("192.0.2.2", at: hall).status == .serviceUnavailable)
      let third = try await listens("192.0.2.3", at: hall)
      #expect(third.status == .ok)
      #expect(server.subscriberCount == 4)
      withExtendedLifetime([first, second, other, third]) {}
    }
  }

  @Test func `what nobody trusted forwards changes no share`() async throws {
    try await withHub {
      $0.trustedProxy = "192.0.2.99"
      $0.limits.connectionsByAddress = 1
      $0.limits.applicationsByAddress = 1
    } _: { server in
      var request = HTTPClientRequest(url: "http://127.0.0.1:\(server.port)/v1/room/all")
      request.headers.add(name: "X-Forwarded-For", value: "192.0.2.1")
      let first = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
      let second = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
      #expect(first.status == .ok)
      #expect(second.status == .ok, "the share of loopback, not that of the forwarded address")
      request.url = "http://127.0.0.1:\(server.port)/v1/hall/all"
      request.headers.replaceOrAdd(name: "X-Forwarded-For", value: "192.0.2.2")
      let hall = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
      #expect(hall.status == .serviceUnavailable, "another name of one address")
      withExtendedLifetime([first, second]) {}
    }
  }

  @Test func `a client that asks for more before it has read is cut off`() throws {
    let hub = try Hub(SignalServer.Options())
    let channel = EmbeddedChannel()
    try hub.configure(channel, tls: nil)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    func ask() throws {
      _ = try channel.writeInbound(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: hub\r\n\r\n"))
      channel.embeddedEventLoop.run()
    }
    func answers() throws -> Int {
      var count = 0
      while try channel.readOutbound(as: IOData.self) != nil { count += 1 }
      return count
    }
    try ask()
    #expect(try answers() > 0)
    channel.isWritable = false
    try ask()
    #expect(try answers() == 0)
    #expect(!channel.isActive)
    _ = try? channel.finish()
  }

  @Test func `a page's folder without a page is refused`() async throws {
    await #expect { try await SignalServer(withPage("/nowhere")) } throws: {
      ($0 as? SignalError)?.code == .page
    }
  }

  private func withPage(_ path: String) -> SignalServer.Options {
    var options = SignalServer.Options()
    options.port = 0
    options.pageFolder = URL(fileURLWithPath: path)
    return options
  }

  private func get(_ url: String) async throws -> (
    status: UInt, body: String, headers: [String: String]
  ) {
    let response = try await HTTPClient.shared.execute(
      HTTPClientRequest(url: url), timeout: .seconds(10))
    let body = try await response.body.collect(upTo: 1 << 20)
    return (
      UInt(response.status.code), String(buffer: body),
      Dictionary(response.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    )
  }
}
