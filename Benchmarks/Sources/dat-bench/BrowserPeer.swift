internal import DatSignal
internal import DatSwarm
internal import DatWebRTC
internal import Foundation
internal import Hypercore
internal import HypercoreCrypto

/// A native peer at a signal hub, for what Tests/Network/bench.py measures.
///
/// `peer webrtc HUB KEY send|receive|echo BYTES` carries bytes without any protocol over one connection;
/// `peer webrtc-idle HUB COUNT [KEY…]` holds feeds, its own or those of the keys, each met at the hub.
enum BrowserPeer {
  static func carry(_ rest: [String]) async throws {
    guard rest.count == 4, let key = DiscoveryKey(hex: rest[1]), let bytes = Int(rest[3]) else {
      throw BenchFailure("peer webrtc HUB KEY send|receive|echo BYTES")
    }
    let transport = WebRTCTransport(hubs: [try HubAddress(parsing: rest[0])])
    await transport.join(key)
    let joined = ContinuousClock.now
    say(["joined": true])
    for await event in transport.events {
      switch event {
      case .arrived(_, let connection):
        say(["connected": (ContinuousClock.now - joined).seconds])
        connection.confirm()
        let stream: any PeerStream =
          switch rest[2] {
          case "send": Source(bytes)
          case "receive": Sink(bytes)
          default: Echo()
          }
        try? await connection.pump(stream)
        say(["ended": true])
      case .failed(_, _, let reason): say(["failed": reason])
      case .trouble(let reason): say(["failed": reason])
      @unknown default: break
      }
    }
  }

  static func idle(_ rest: [String]) async throws {
    guard rest.count >= 2, let count = Int(rest[1]) else {
      throw BenchFailure("peer webrtc-idle HUB COUNT [KEY…]")
    }
    // Over loopback, of which a swarm takes any number from one address.
    var options = WebRTCTransport.Options()
    (options.webRTC.hosts, options.webRTC.dialsLoopback) = (["127.0.0.1"], true)
    let hub = try HubAddress(parsing: rest[0])
    var places = Swarm.Options()
    (places.maximumInbound, places.maximumHalfOpen) = (256, 256)
    let swarm = Swarm(
      options: places, transports: [WebRTCTransport(hubs: [hub], options: options)])
    let events = await swarm.events()
    var keys: [String] = []
    for number in 0..<count {
      var options = Feed.Options()
      if rest.count > 2 { options.key = PublicKey(hex: rest[2 + number]) }
      let feed = try await Feed.inMemory(options: options)
      keys.append(feed.key?.hex ?? "")
      guard let key = feed.discoveryKey else { throw BenchFailure("no key") }
      await swarm.join(key) { _ in try await feed.replicate(.live) }
    }
    say(["keys": keys])
    var open = 0
    for await event in events {
      switch event {
      case .connected: open += 1
      case .disconnected: open -= 1
      default: continue
      }
      say(["open": open])
    }
  }

  /// Sends so many bytes, and stays until the other side goes.
  private actor Source: PeerStream {
    private var left: Int
    private let end = Waiting()
    init(_ bytes: Int) { left = bytes }

    func receive(_ bytes: [UInt8]) {}
    func nextOutput() async -> [UInt8]? {
      guard left > 0 else {
        await end.wait()
        return nil
      }
      let count = min(left, 65_536)
      left -= count
      return [UInt8](repeating: 0x2a, count: count)
    }
    func finishInput() async { await end.open() }
    func close(_ error: (any Error)?) async { await end.open() }
  }

  /// Takes so many bytes, and tells how long that took from the first ones on.
  private actor Sink: PeerStream {
    private let expected: Int
    private var received = 0
    private var beginning = ContinuousClock.now
    private let end = Waiting()
    init(_ bytes: Int) { expected = bytes }

    func receive(_ bytes: [UInt8]) async {
      if received == 0 { beginning = .now }
      received += bytes.count
      if received >= expected {
        say(["received": received, "seconds": (ContinuousClock.now - beginning).seconds])
        await end.open()
      }
    }
    func nextOutput() async -> [UInt8]? {
      await end.wait()
      return nil
    }
    func finishInput() async { await end.open() }
    func close(_ error: (any Error)?) async { await end.open() }
  }

  /// Sends back what comes.
  private actor Echo: PeerStream {
    private let bytes: AsyncStream<[UInt8]>
    private let incoming: AsyncStream<[UInt8]>.Continuation
    private var iterator: AsyncStream<[UInt8]>.Iterator
    init() {
      (bytes, incoming) = AsyncStream.makeStream()
      iterator = bytes.makeAsyncIterator()
    }

    func receive(_ bytes: [UInt8]) { incoming.yield(bytes) }
    func nextOutput() async -> [UInt8]? {
      var iterator = iterator
      return await iterator.next(isolation: self)
    }
    func finishInput() { incoming.finish() }
    func close(_ error: (any Error)?) { incoming.finish() }
  }

  /// A gate that opens once.
  private actor Waiting {
    private var isOpen = false
    private var waiters: [CheckedContinuation<Void, Never>] = []
    func wait() async {
      if !isOpen { await withCheckedContinuation { waiters.append($0) } }
    }
    func open() {
      isOpen = true
      for waiter in waiters { waiter.resume() }
      waiters = []
    }
  }
}
