import DatTesting
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import DatSwarm

/// A connection over TCP that claims another transport.
private final class OtherConnection: PeerConnection {
  let remoteAddress: PeerAddress
  let isInbound = true
  let calls: AsyncStream<String>
  private let called: AsyncStream<String>.Continuation
  private let socket: PeerSocket

  init(_ socket: PeerSocket, from address: PeerAddress) {
    self.socket = socket
    remoteAddress = address
    (calls, called) = AsyncStream.makeStream()
  }

  func confirm() { called.yield("confirm") }
  func close() {
    called.yield("close")
    socket.close()
  }
  func setAside() { called.yield("set aside") }
  func takeUp() { called.yield("take up") }
  func pump(_ stream: some PeerStream) async throws { try await socket.pump(stream) }

  /// Waits until this was called.
  func was(_ name: String) async -> Bool {
    for await call in calls where call == name { return true }
    return false
  }
}

/// A transport that provides the test's connections.
private final class OtherTransport: PeerTransport {
  let origin = PeerOrigin.webrtc
  let events: AsyncStream<PeerTransportEvent>
  private let happening: AsyncStream<PeerTransportEvent>.Continuation

  init() {
    (events, happening) = AsyncStream.makeStream()
  }

  func bring(_ key: DiscoveryKey, _ connection: OtherConnection) {
    happening.yield(.arrived(key, connection))
  }
  func trouble(_ sentence: String) { happening.yield(.trouble(sentence)) }
  func fail(_ key: DiscoveryKey, _ address: PeerAddress, _ reason: String) {
    happening.yield(.failed(address, key, reason: reason))
  }

  var standingTroubles: [String] { ["a standing trouble"] }
  func join(_ key: DiscoveryKey) async {}
  func leave(_ key: DiscoveryKey) async {}
  func close() async {
    happening.finish()
  }
}

/// Two ends of connections over loopback.
private final class Ends: Sendable {
  private let listener: TCPListener
  private let running: Task<Void, Never>
  private let accepted: AsyncStream<PeerSocket>

  init() async throws {
    let listener = try await TCPListener(host: "127.0.0.1", port: 0)
    let (accepted, accepting) = AsyncStream.makeStream(of: PeerSocket.self)
    self.listener = listener
    self.accepted = accepted
    running = Task {
      await listener.run { socket in
        accepting.yield(socket)
        try? await Task.sleep(for: .seconds(3600))
      }
    }
  }

  /// Returns the ends of one more connection.
  func pair(
    _ one: PeerAddress = PeerAddress(host: "a.hub.example", port: 1),
    _ other: PeerAddress = PeerAddress(host: "b.hub.example", port: 1)
  ) async throws -> (OtherConnection, OtherConnection) {
    let dialed = try await TCPDialer.connect(to: listener.address)
    for await socket in accepted {
      return (OtherConnection(dialed, from: one), OtherConnection(socket, from: other))
    }
    throw SwarmError(.failed, "nothing was accepted")
  }

  func close() async {
    running.cancel()
    await listener.close()
    await running.value
  }
}

@Suite(.timeLimit(.minutes(1)))
struct TransportTests {
  private struct Node {
    let swarm: Swarm
    let transport = OtherTransport()
    let events: AsyncStream<SwarmEvent>

    init(_ options: Swarm.Options = Swarm.Options()) async throws {
      swarm = Swarm(options: options, transports: [transport])
      events = await swarm.events()
    }

    func join(_ feed: Feed) async -> DiscoveryKey {
      let key = feed.discoveryKey!
      await swarm.join(key) { _ in try await feed.replicate(.live) }
      return key
    }
  }

  private func feeds() async throws -> (Feed, Feed) {
    let feed = try await Feed.open(storage: MemoryStorage())
    try await feed.append([UInt8]("a block".utf8))
    var options = Feed.Options()
    options.key = feed.key
    return (feed, try await Feed.open(storage: MemoryStorage(), options: options))
  }

  @Test func `connections that a transport brings are served as those over TCP`() async throws {
    let ends = try await Ends()
    let (one, other) = (try await Node(), try await Node())
    let (feed, copy) = try await feeds()
    let key = await one.join(feed)
    _ = await other.join(copy)
    let (left, right) = try await ends.pair()
    one.transport.bring(key, left)
    other.transport.bring(key, right)
    #expect(try await copy.get(0) == [UInt8]("a block".utf8))
    #expect(await left.was("confirm"))
    #expect(await one.swarm.peers.map(\.address) == [left.remoteAddress])
    await one.swarm.close()
    await other.swarm.close()
    await ends.close()
  }

  @Test func `of two ways to one peer the transport's waits while the other one lasts`()
    async throws
  {
    let ends = try await Ends()
    let (one, other) = (try await Node(), try await Node())
    let (feed, copy) = try await feeds()
    let key = await one.join(feed)
    _ = await other.join(copy)
    let address = try await other.swarm.listen(host: "127.0.0.1")
    await one.swarm.connect(to: address, about: key)
    for await event in one.events { if case .connected = event { break } }
    let (left, right) = try await ends.pair()
    one.transport.bring(key, left)
    other.transport.bring(key, right)
    // Whichever of the two ends, its transport is notified if that is the one that was provided.
    #expect(await left.was("set aside"))
    #expect(await right.was("set aside"))
    await one.swarm.disconnect(from: address, about: key)
    #expect(await left.was("take up"))
    #expect(await right.was("take up"))
    await one.swarm.close()
    await other.swarm.close()
    await ends.close()
  }

  @Test func `peers behind relays count each by its name, and all have one cap`() async throws {
    let ends = try await Ends()
    var options = Swarm.Options()
    options.maximumInbound = 4
    options.maximumPerAddress = 2
    let node = try await Node(options)
    let (feed, _) = try await feeds()
    let key = await node.join(feed)
    var held: [OtherConnection] = []
    var refused: [String] = []
    for name in ["a", "a", "a", "b", "c", "d"] {
      let (mine, theirs) = try await ends.pair(PeerAddress(host: "\(name).hub.example", port: 1))
      held += [mine, theirs]
      node.transport.bring(key, mine)
    }
    // The third of a is one too many for its name; d takes the place of one of a's.
    var evicted: [String] = []
    for await event in node.events {
      if case .refused(let address, _, .crowded) = event { refused.append(address.host) }
      if case .evicted(let address) = event { evicted.append(address.host) }
      if refused.count + evicted.count == 2 { break }
    }
    #expect(refused == ["a.hub.example"])
    #expect(evicted == ["a.hub.example"])
    await node.swarm.close()
    await ends.close()
  }

  @Test func `a connection about a topic that is not joined is closed, and a banned host's`()
    async throws
  {
    let ends = try await Ends()
    let node = try await Node()
    let (feed, copy) = try await feeds()
    let key = await node.join(feed)
    await node.swarm.ban("a.hub.example")
    let (banned, _) = try await ends.pair()
    node.transport.bring(key, banned)
    #expect(await banned.was("close"))
    await node.swarm.unban("a.hub.example")
    await node.swarm.leave(key)
    let (late, _) = try await ends.pair()
    node.transport.bring(copy.discoveryKey!, late)
    #expect(await late.was("close"))
    await node.swarm.close()
    await ends.close()
  }

  @Test func `a host that breaks the protocol over a transport is refused for a while`()
    async throws
  {
    let ends = try await Ends()
    var options = Swarm.Options()
    options.maximumOffences = 1
    let node = try await Node(options)
    let key = await node.join(try await feeds().0)
    let (left, right) = try await ends.pair()
    node.transport.bring(key, left)
    try? await right.pump(SayingStream([3, 0, 0xff, 0xff]))
    for await event in node.events {
      if case .failed = event { break }
    }
    let (again, _) = try await ends.pair()
    node.transport.bring(key, again)
    for await event in node.events {
      guard case .refused(let address, _, let why) = event else { continue }
      #expect(address == again.remoteAddress && why == .offended)
      break
    }
    await node.swarm.close()
    await ends.close()
  }

  @Test func `troubles of a transport are told like those of a source`() async throws {
    let node = try await Node()
    let (feed, _) = try await feeds()
    _ = await node.join(feed)
    let address = PeerAddress(host: "a.hub.example", port: 1)
    node.transport.fail(feed.discoveryKey!, address, "It has no fingerprint.")
    node.transport.trouble("The hub is away.")
    for await event in node.events {
      guard case .failed(let failed, _, let reason) = event else { continue }
      #expect(failed == address && reason == "It has no fingerprint.")
      break
    }
    for await event in node.events {
      guard case .trouble(.webrtc, let sentence) = event else { continue }
      #expect(sentence == "The hub is away.")
      break
    }
    #expect(await node.swarm.troubles == ["a standing trouble"])
    await node.swarm.close()
  }
}
