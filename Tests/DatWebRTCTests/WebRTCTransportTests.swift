#if WebRTC
  import DatSignal
  import Hypercore
  import HypercoreCrypto
  import RandomAccessStorage
  import Testing

  @testable import DatSwarm
  @testable import DatWebRTC

  /// A hub of the tests' own.
  struct TestHub {
    let server: SignalServer
    private let running: Task<Void, any Error>

    init(port: Int = 0) async throws {
      var options = SignalServer.Options()
      options.port = port
      let server = try await SignalServer(options)
      self.server = server
      running = Task { try await server.run() }
    }

    var port: Int { server.port }

    func address(sockets: Bool = true) throws -> HubAddress {
      try HubAddress(parsing: "\(sockets ? "ws" : "http")://127.0.0.1:\(port)")
    }

    func close() async {
      running.cancel()
      _ = await running.result
    }
  }

  /// A peer of some feeds that is found at hubs.
  struct HubNode {
    let swarm: Swarm
    let events: AsyncStream<SwarmEvent>

    init(_ hubs: [HubAddress], webRTC: WebRTCOptions = NativePairTests.loopback) async {
      var options = WebRTCTransport.Options()
      options.webRTC = webRTC
      options.hub.pauses = [.milliseconds(100)]
      await self.init(hubs, options)
    }

    init(_ hubs: [HubAddress], _ options: WebRTCTransport.Options) async {
      swarm = Swarm(transports: [WebRTCTransport(hubs: hubs, options: options)])
      events = await swarm.events()
    }

    @discardableResult
    func join(_ feed: Feed) async -> DiscoveryKey {
      let key = feed.discoveryKey!
      await swarm.join(key) { _ in try await feed.replicate(.live) }
      return key
    }

    func waits(for matches: @escaping (SwarmEvent) -> Bool) async {
      for await event in events where matches(event) { return }
    }

    /// Waits until this many peers have completed their handshake. Blocks may arrive before.
    func waits(forPeers count: Int) async throws {
      while await swarm.peers.count != count { try await Task.sleep(for: .milliseconds(5)) }
    }
  }

  @Suite(.timeLimit(.minutes(1)))
  struct WebRTCTransportTests {
    private func writer() async throws -> Feed {
      let feed = try await Feed.open(storage: MemoryStorage())
      try await feed.append([UInt8]("a block".utf8))
      return feed
    }

    private func reader(of feed: Feed) async throws -> Feed {
      var options = Feed.Options()
      options.key = feed.key
      return try await Feed.open(storage: MemoryStorage(), options: options)
    }

    @Test(arguments: [true, false])
    func `peers find each other at a hub of either kind and share a feed`(sockets: Bool)
      async throws
    {
      let hub = try await TestHub()
      let one = await HubNode([try hub.address(sockets: sockets)])
      let other = await HubNode([try hub.address(sockets: !sockets)])
      let feed = try await writer()
      let copy = try await reader(of: feed)
      await one.join(feed)
      await other.join(copy)
      #expect(try await copy.get(0) == [UInt8]("a block".utf8))
      await one.swarm.close()
      await other.swarm.close()
      await hub.close()
    }

    @Test func `peers at two hubs have one connection, and connections outlive a hub`() async throws
    {
      let hub = try await TestHub()
      let second = try await TestHub()
      let hubs = [try hub.address(), try second.address()]
      let one = await HubNode(hubs)
      let other = await HubNode(hubs)
      let feed = try await writer()
      let copy = try await reader(of: feed)
      await one.join(feed)
      await other.join(copy)
      #expect(try await copy.get(0) == [UInt8]("a block".utf8))
      await hub.close()
      await second.close()
      await one.waits { if case .trouble(.webrtc, _) = $0 { true } else { false } }
      let next = try await feed.append([UInt8]("another".utf8))
      #expect(try await copy.get(next) == [UInt8]("another".utf8))
      try await one.waits(forPeers: 1)
      #expect(await one.swarm.troubles.isEmpty == false)
      await one.swarm.close()
      await other.swarm.close()
    }

    @Test func `a hub that comes back finds peers for those that waited`() async throws {
      let first = try await TestHub()
      let address = try first.address()
      await first.close()
      let one = await HubNode([address])
      let other = await HubNode([address])
      let feed = try await writer()
      let copy = try await reader(of: feed)
      await one.join(feed)
      await other.join(copy)
      await one.waits { if case .trouble(.webrtc, _) = $0 { true } else { false } }
      let again = try await TestHub(port: address.port)
      #expect(try await copy.get(0) == [UInt8]("a block".utf8))
      #expect(await one.swarm.troubles.isEmpty)
      await one.swarm.close()
      await other.swarm.close()
      await again.close()
    }

    @Test func `of a peer that TCP reaches as well one connection is kept`() async throws {
      let hub = try await TestHub()
      let one = await HubNode([try hub.address()])
      let other = await HubNode([try hub.address()])
      let feed = try await writer()
      let copy = try await reader(of: feed)
      let key = await one.join(feed)
      await other.join(copy)
      #expect(try await copy.get(0) == [UInt8]("a block".utf8))
      let address = try await other.swarm.listen(host: "127.0.0.1")
      await one.swarm.connect(to: address, about: key)
      await one.waits { if case .duplicate = $0 { true } else { false } }
      try await one.waits(forPeers: 1)
      await one.swarm.close()
      await other.swarm.close()
      await hub.close()
    }

    @Test func `a topic that is left is joined anew`() async throws {
      let hub = try await TestHub()
      let one = await HubNode([try hub.address()])
      let other = await HubNode([try hub.address()])
      let feed = try await writer()
      let copy = try await reader(of: feed)
      let key = await one.join(feed)
      await other.join(copy)
      #expect(try await copy.get(0) == [UInt8]("a block".utf8))
      await one.swarm.leave(key)
      #expect(await one.swarm.peers.isEmpty)
      let next = try await feed.append([UInt8]("another".utf8))
      await one.join(feed)
      #expect(try await copy.get(next) == [UInt8]("another".utf8))
      await one.swarm.close()
      await other.swarm.close()
      await hub.close()
    }

    @Test func `what is said at a hub that makes no sense is a failure that is told`() async throws
    {
      let hub = try await TestHub()
      let one = await HubNode([try hub.address()])
      let feed = try await writer()
      let key = await one.join(feed)
      let stranger = SignalHub(try hub.address(), application: key.hex, id: "a stranger")
      var said = false
      for await event in stranger.events {
        if case .message(.connect(let from, isNative: true)) = event, !said {
          said = true
          stranger.post(
            .signal(from: "a stranger", .description(isOffer: true, sdp: "v=0\r\n")), to: from)
          break
        }
      }
      for await event in one.events {
        guard case .failed(let address, _, let reason) = event else { continue }
        #expect(reason == "The description has no usable ice-ufrag and ice-pwd.")
        #expect(address.host.hasSuffix(".127.0.0.1"))
        break
      }
      await stranger.close()
      await one.swarm.close()
      await hub.close()
    }
  }
#endif
