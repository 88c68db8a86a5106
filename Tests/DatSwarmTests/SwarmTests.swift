import DatTesting
import Hypercore
import HypercoreCrypto
import RandomAccessStorage
import Testing

@testable import DatSwarm

/// A source whose findings the test provides.
final class ToldSource: PeerSource {
  let origin: PeerOrigin
  let findings: AsyncStream<Finding>
  private let told: AsyncStream<Finding>.Continuation

  init(_ origin: PeerOrigin = .lan) {
    self.origin = origin
    (findings, told) = AsyncStream.makeStream()
  }

  func tell(_ key: DiscoveryKey, _ addresses: [PeerAddress], by informant: String = "127.0.0.1") {
    told.yield(Finding(topic: Topic(key), addresses: addresses, informant: informant))
  }

  func join(_ topic: Topic, announcing port: Int?) async {}
  func leave(_ topic: Topic) async {}
  func close() async { told.finish() }
}

/// One peer of some feeds, with a swarm of its own.
private struct Node {
  let swarm: Swarm
  let source = ToldSource()
  let events: AsyncStream<SwarmEvent>

  init(options: Swarm.Options = Swarm.Options()) async throws {
    swarm = Swarm(options: options, sources: [source])
    events = await swarm.events()
    try await swarm.listen(host: "127.0.0.1")
  }

  func join(_ feed: Feed) async -> DiscoveryKey {
    let key = feed.discoveryKey!
    await swarm.join(key) { _ in try await feed.replicate(.live) }
    return key
  }

  var address: PeerAddress { get async { await swarm.addresses[0] } }

  /// Waits until this many peers have completed their handshake. Blocks may arrive before.
  func waits(forPeers count: Int) async throws {
    while await swarm.peers.count != count { try await Task.sleep(for: .milliseconds(5)) }
  }
}

private func writer(_ blocks: Int) async throws -> Feed {
  let feed = try await Feed.open(storage: MemoryStorage())
  for number in 0..<blocks { try await feed.append([UInt8]("block \(number)".utf8)) }
  return feed
}

private func reader(of feed: Feed) async throws -> Feed {
  var options = Feed.Options()
  options.key = feed.key
  return try await Feed.open(storage: MemoryStorage(), options: options)
}

@Test(.timeLimit(.minutes(2)))
func `peers that are found share a feed, over one port for many feeds`() async throws {
  let host = try await Node()
  let guest = try await Node()
  var feeds: [Feed] = []
  for number in 1...3 {
    let feed = try await writer(number)
    feeds.append(feed)
    _ = await host.join(feed)
  }
  for (number, feed) in feeds.enumerated() {
    let copy = try await reader(of: feed)
    let key = await guest.join(copy)
    guest.source.tell(key, [await host.address])
    #expect(try await copy.get(UInt64(number)) == [UInt8]("block \(number)".utf8))
  }
  try await guest.waits(forPeers: 3)
  await guest.swarm.close()
  await host.swarm.close()
}

@Test(.timeLimit(.minutes(2)))
func `peers that find each other at once keep one connection`() async throws {
  let one = try await Node()
  let other = try await Node()
  let feed = try await writer(1)
  let copy = try await reader(of: feed)
  let key = await one.join(feed)
  _ = await other.join(copy)
  one.source.tell(key, [await other.address])
  other.source.tell(key, [await one.address])
  _ = try await copy.get(0)
  // Each side sees exactly one of the two connections end, as the duplicate, or before its ID was
  // known.
  for node in [one, other] {
    for await event in node.events {
      if case .duplicate = event { break }
      if case .failed = event { break }
      if case .disconnected = event { break }
    }
  }
  try await feed.append([1])
  #expect(try await copy.get(1) == [1])
  for node in [one, other] { try await node.waits(forPeers: 1) }
  await one.swarm.close()
  await other.swarm.close()
}

@Test(.timeLimit(.minutes(2)))
func `a peer that finds itself lets go of it`() async throws {
  // At an address that it can't know as its own.
  let node = try await Node()
  let key = await node.join(try await writer(1))
  await node.swarm.connect(
    to: PeerAddress(host: "localhost", port: await node.address.port), about: key)
  for await event in node.events {
    if case .refused(_, _, .own) = event { break }
  }
  await node.swarm.close()
}

@Test(.timeLimit(.minutes(2)))
func `who asks for a topic that is not here is refused, and so is who asks for nothing`()
  async throws
{
  var options = Swarm.Options()
  options.handshakeTimeout = .milliseconds(200)
  let node = try await Node(options: options)
  _ = await node.join(try await writer(1))
  // Silent ones, and those that send much of nothing known.
  for bytes in [[], [UInt8](repeating: 0, count: 5000), [UInt8](repeating: 0xff, count: 100)] {
    let socket = try await TCPDialer.connect(to: await node.address)
    let stream = SayingStream(bytes)
    try? await socket.pump(stream)
    #expect(await stream.received.isEmpty, "nothing is said to who does not say what it wants")
  }
  await node.swarm.close()
  // One that has the usual time.
  let patient = try await Node()
  _ = await patient.join(try await writer(1))
  let stranger = try await Node()
  let other = await stranger.join(try await writer(1))
  await stranger.swarm.connect(to: await patient.address, about: other)
  for await event in patient.events {
    if case .refused(_, nil, .unknownTopic) = event { break }
  }
  await stranger.swarm.close()
  await patient.swarm.close()
}

@Test(.timeLimit(.minutes(1)), arguments: [false, true])
func `the limits of a swarm hold for its listeners`(isProxy: Bool) async throws {
  var options = Swarm.Options()
  if isProxy {
    options.trustedProxies = ["127.0.0.1"]
    options.maximumPerProxy = 1
  } else {
    options.maximumPerLoopback = 1
  }
  let node = try await Node(options: options)
  _ = await node.join(try await writer(1))
  let held = [
    try await TCPDialer.connect(to: await node.address),
    try await TCPDialer.connect(to: await node.address),
  ]
  for await event in node.events {
    if case .refused(_, nil, .crowded) = event { break }
  }
  withExtendedLifetime(held) {}
  await node.swarm.close()
}

@Test(.timeLimit(.minutes(1)))
func `where no port is preferred the system chooses one, and one in use gives way to the next`()
  async throws
{
  let swarm = Swarm(options: Swarm.Options(), sources: [])
  let chosen = try await swarm.listen(host: "127.0.0.1", preferring: [])
  #expect(chosen.port >= 1024)
  let other = try await swarm.listen(host: "127.0.0.1", preferring: [chosen.port, 0])
  #expect(other.port >= 1024 && other.port != chosen.port)
  await #expect(throws: SwarmError.self) {
    try await swarm.listen(host: "127.0.0.1", preferring: [chosen.port])
  }
  await swarm.close()
}

@Test(.timeLimit(.minutes(2)))
func `a banned host is let go and kept out`() async throws {
  let node = try await Node()
  let guest = try await Node()
  let feed = try await writer(1)
  _ = await node.join(feed)
  let copy = try await reader(of: feed)
  let key = await guest.join(copy)
  guest.source.tell(key, [await node.address])
  _ = try await copy.get(0)
  // Before that the end of the connection is told in another way.
  for one in [node, guest] { try await one.waits(forPeers: 1) }
  await node.swarm.ban("127.0.0.1")
  for await event in guest.events {
    if case .forgotten = event { break }
    if case .waiting = event, await guest.swarm.peers.isEmpty { break }
  }
  // The guest may learn of it before the node's own end of the connection has ended.
  for await event in node.events {
    if case .disconnected = event { break }
  }
  #expect(await node.swarm.peers.isEmpty)
  await guest.swarm.close()
  await node.swarm.close()
}

@Test(.timeLimit(.minutes(2)))
func `a given peer that goes and comes back at the same address is connected again`()
  async throws
{
  let feed = try await writer(3)
  let copy = try await reader(of: feed)
  let guest = try await Node()
  let key = await guest.join(copy)
  var host = try await Node()
  let address = await host.address
  _ = await host.join(feed)
  await guest.swarm.connect(to: address, about: key)
  _ = try await copy.get(2)
  await host.swarm.close()
  try await feed.append([9])
  host = try await Node()
  try await host.swarm.listen(host: "127.0.0.1", port: address.port)
  _ = await host.join(feed)
  #expect(try await copy.get(3) == [9])
  // No block that was here came again.
  #expect(await copy.statistics.totals.downloadedBlocks == 4)
  await guest.swarm.close()
  await host.swarm.close()
}
